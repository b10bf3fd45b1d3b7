"""One question on its way through the engine: what becomes known of it, and the result made of that."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TypedDict

from rag.config import Settings
from rag.models import PassageEvidence, likeliest
from rag.quoting import by_probability
from rag.retrieval import Filters
from rag.values import Abstention, Answer, Claim, EndedAt, Hit, Mode, Removed, Trace, percent
from rag.writing import Draft, prompt_hash

_NEAREST = 5  # sentences shown beside a refusal


class _Told(TypedDict):
    """What answers and abstentions have in common."""

    standalone_question: str
    removed: tuple[Removed, ...]
    notice: str


@dataclass(slots=True)
class ResultBuilder:
    """What is known of one question on its way, for the trace of its result."""

    settings: Settings
    question: str
    models: dict[str, str]
    standalone: str = ""
    index_version: int = 0
    removed: tuple[Removed, ...] = ()
    notice: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)

    @property
    def mode(self) -> Mode:
        """How it was to be answered."""
        return "written" if "writer" in self.models else "quotes"

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Keep how long a stage took."""
        start = time.perf_counter()
        yield
        self.timings_ms[stage] = round((time.perf_counter() - start) * 1000, 2)

    @property
    def trace(self) -> Trace:
        """What produced the result, so far."""
        return Trace(
            settings_hash=self.settings.hash(),
            prompt_hash=prompt_hash() if self.mode == "written" else None,
            models=self.models,
            index_version=self.index_version,
            timings_ms=self.timings_ms,
        )

    def answer(self, claims: tuple[Claim, ...], hits: tuple[Hit, ...], mode: Mode = "quotes") -> Answer:
        """Return the answer made of these claims."""
        return Answer(self.question, claims, hits, self.trace, mode=mode, **self._told())

    def written(self, draft: Draft, hits: tuple[Hit, ...]) -> Answer:
        """Return the answer that the model wrote, as far as it stands."""
        self.removed = draft.removed
        if draft.problem:
            self.notice = f"The language model ended early, so something may be missing: {draft.problem}."
        return self.answer(draft.claims, hits, "written")

    def not_written(self, draft: Draft) -> None:
        """Keep why the model's answer is not the answer; the quotes decide."""
        self.removed = draft.removed
        if draft.problem:
            self.notice = f"The language model failed, so nothing was written: {draft.problem}."
        elif draft.refused:
            self.notice = "The language model found no answer in the passages."
        else:
            self.notice = "Nothing that the language model wrote stood up to the check against the passages."

    def leave_open(self, questions: Sequence[str]) -> None:
        """Keep which of several questions asked in one would be refused alone; what was noticed before stays."""
        if questions:
            named = " ".join(f"“{question}”" for question in questions)
            self.notice = " ".join(filter(None, [self.notice, f"The documents may not answer this part: {named}"]))

    def abstain(self, stage: EndedAt, reason: str, near: tuple[Hit, ...] = ()) -> Abstention:
        """Return that there is no answer, why, and what came nearest."""
        return Abstention(self.question, reason, near, self.trace, stage, mode=self.mode, **self._told())

    def _told(self) -> _Told:
        return {
            "standalone_question": self.standalone or self.question,
            "removed": self.removed,
            "notice": self.notice,
        }


def nothing_found(filters: Filters) -> str:
    """Return the reason of an abstention for which nothing was retrieved."""
    if filters == Filters():
        return "No passage of the documents has anything to do with the question."
    return f"No passage of the documents that the filter lets through ({filters}) has anything to do with the question."


def nearest(evidence: Sequence[Sequence[PassageEvidence]]) -> tuple[Hit, ...]:
    """Return the likeliest sentences of all that was read, each with its passage; no sentence twice."""
    likeliest_first = by_probability(list(chain.from_iterable(evidence)))
    return tuple(
        Hit(quote.passage, quote.evidence.probability, rank, "evidence", quote.evidence.span)
        for rank, quote in enumerate(likeliest_first[:_NEAREST], start=1)
    )


def no_evidence(evidence: Sequence[Sequence[PassageEvidence]], min_probability: float) -> str:
    """Return the reason of an abstention for which nothing read is sure enough."""
    read = [passage for passages in evidence for passage in passages]
    n_read = len({passage.passage.id for passage in read})
    which = f"None of the {n_read} passages" if n_read > 1 else "The one passage"
    does = "answers" if n_read > 1 else "does not answer"
    return (
        f"{which} read {does} the question surely enough: the likeliest sentence is right with a probability of "
        f"{percent(likeliest(read))}, and {min_probability:.0%} is asked for."
    )
