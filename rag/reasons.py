"""What a reader is told when there is no answer, or when one came about otherwise than asked."""

from collections.abc import Sequence

from rag.models import PassageEvidence, likeliest
from rag.retrieval import Filters
from rag.values import percent
from rag.writing import Draft


def nothing_found(filters: Filters) -> str:
    """Return the reason for abstaining when nothing was retrieved."""
    if filters == Filters():
        return "No passage of the documents has anything to do with the question."
    return f"No passage of the documents that the filter lets through ({filters}) has anything to do with the question."


def no_evidence(evidence: Sequence[Sequence[PassageEvidence]], min_probability: float) -> str:
    """Return the reason for abstaining when no sentence read is likely enough."""
    read = [passage for passages in evidence for passage in passages]
    n_read = len({passage.passage.id for passage in read})
    which = f"None of the {n_read} passages" if n_read > 1 else "The one passage"
    does = "answers" if n_read > 1 else "does not answer"
    return (
        f"{which} read {does} the question surely enough: the likeliest sentence is right with a probability of "
        f"{percent(likeliest(read))}, and {min_probability:.0%} is asked for."
    )


def ended_early(draft: Draft) -> str:
    """Return the notice beside a written answer whose model did not finish; empty if it did."""
    if not draft.problem:
        return ""
    return f"The language model ended early, so something may be missing: {draft.problem}."


def not_written(draft: Draft) -> str:
    """Return why quotes stand in place of the model's answer."""
    if draft.problem:
        return f"The language model failed, so nothing was written: {draft.problem}."
    if draft.refused:
        return "The language model found no answer in the passages."
    return "Nothing that the language model wrote stood up to the check against the passages."


def left_open(questions: Sequence[str]) -> str:
    """Return which parts of a compound question would be refused on their own; empty if none would."""
    named = " ".join(f"“{question}”" for question in questions)
    return f"The documents may not answer this part: {named}" if named else ""
