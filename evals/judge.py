"""One question judged: what was answered, what was read for it, and the stage that lost a wrong answer.

Works on records, not on the engine: what is judged here is what a user gets. A failure is neither an answer nor a
refusal, and counts as wrong in every respect.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.quoting.quotes import quotable_from

from . import metrics
from .gold import Part, Place, Question

RANKS = (1, 3, 5, 10)  # the k of recall at k
NEAREST_RANKS = (1, 5)  # of the sentences that a refusal shows

# Where a wrong answer was lost, in the order of the pipeline.
LOST_AT = {
    "failed": "the question ended in an error",
    "question": "refused before anything was searched",
    "retrieve": "needed evidence is in none of the passages read",
    "rank": "the evidence was read, but other sentences were judged likelier",
    "refuse": "the evidence was among the likeliest sentences, but below the threshold",
    "select": "the evidence was among the likeliest sentences and above the threshold, but not quoted",
    "facts": "the evidence was quoted, but an expected fact is not in the quotes",
    "answer": "answered, although the documents do not answer",
}


@dataclass(frozen=True, slots=True)
class ReadSentence:
    """A sentence that the evidence model judged. retrieved: its score in the ranking of sentences, 0 if not in it."""

    place: Place
    probability: float
    retrieved: float = 0.0


@dataclass(frozen=True, slots=True)
class ReadPassage:
    """A passage that was read for a question, in the order of retrieval, with its sentences in their order."""

    place: Place
    probability: float
    sentences: tuple[ReadSentence, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question.

    lost_at: the stage that lost a wrong answer, a key of ``LOST_AT``; None if the answer is right.
    confidence: probability of the likeliest sentence read, 0 where none was, and 1 for a failure, so that it counts as
    wrong as can be; confident_right: whether that sentence holds gold evidence.
    scores: metric -> value of this question, for the metrics that are means over questions; absent where it does not
    apply.
    timings_ms: stage -> milliseconds.
    """

    id: str
    kind: str
    split: str
    answerable: bool
    failed: bool
    answered: bool
    right: bool
    lost_at: str | None
    confidence: float
    confident_right: bool
    scores: Mapping[str, float]
    timings_ms: Mapping[str, float]

    @property
    def refused(self) -> bool:
        """Whether the engine said that the documents do not answer."""
        return not self.answered and not self.failed


def judge(
    question: Question,
    record: Mapping[str, Any],
    read: Sequence[ReadPassage],
    *,
    texts: Mapping[str, str],
    max_claims: int,
    min_probability: float,
) -> Outcome:
    """Judge the record of one question.

    record: an ask record, or ``{"id", "error"}``. read: what the evidence model was given, empty if it was not reached.
    texts: source -> whole text, to compare quotes with. max_claims and min_probability: the settings that decided how
    many sentences and which could be quoted.

    An answerable question is right if all expected facts stand in the quotes and one of these holds gold evidence: an
    expected word in an unrelated sentence proves nothing. An unanswerable one is right if it is refused.
    """
    failed = "error" in record
    if failed:
        read = ()  # whatever was read, nothing came of it
    answered = not failed and bool(record["answered"])
    cited = [Place(c["source"], c["start"], c["end"]) for c in record["citations"]] if answered else []
    said = "\n".join(claim["text"] for claim in record["claims"]) if answered else ""
    ranked = by_probability(read)
    if question.answerable:
        right = answered and metrics.facts_present(said, question.facts) == 1.0 and _holds_evidence(cited, question)
    else:
        right = not failed and not answered
    scores = {"right": float(right), "failed": float(failed)}
    if question.answerable:
        scores |= _found_scores(question, read, ranked) | _said_scores(question, said, cited, texts)
        if not answered:
            scores |= {f"nearest@{k}": float(_holds_evidence(_nearest(record, k), question)) for k in NEAREST_RANKS}
    if answered:
        scores |= _cited_scores(question, record, cited, texts)
    if failed:
        scores |= {"extra_sentences": 1.0, "citation_precision": 0.0}
    likeliest = ranked[:max_claims]
    lost_at = _lost_at(question, record, cited, read, likeliest=likeliest, min_probability=min_probability)
    return Outcome(
        id=question.id,
        kind=question.kind,
        split=question.split,
        answerable=question.answerable,
        failed=failed,
        answered=answered,
        right=right,
        lost_at=None if right else lost_at,
        confidence=1.0 if failed else ranked[0].probability if ranked else 0.0,
        confident_right=_holds_evidence([sentence.place for sentence in ranked[:1]], question),
        scores=scores,
        timings_ms={} if failed else record["trace"]["timings_ms"],
    )


def by_probability(read: Sequence[ReadPassage]) -> list[ReadSentence]:
    """Return every sentence read once, likeliest first; ties in the order of retrieval."""
    best: dict[Place, ReadSentence] = {}
    for sentence in (sentence for passage in read for sentence in passage.sentences):
        known = best.setdefault(sentence.place, sentence)
        if sentence.probability > known.probability:
            best[sentence.place] = sentence
    return sorted(best.values(), key=lambda sentence: -sentence.probability)


def _nearest(record: Mapping[str, Any], k: int) -> list[Place]:
    """Return the k sentences that a refusal shows first; none for a failure, and where nothing was read."""
    return [Place(hit["source"], **hit["sentence"]) for hit in record.get("nearest", ())[:k] if hit["sentence"]]


def _holds_evidence(units: Sequence[Place], question: Question) -> bool:
    return len(_missing(question.evidence, units)) < len(question.evidence)


def _missing(evidence: Iterable[Part], units: Sequence[Place]) -> list[Part]:
    """Return the parts of which none of these units holds an alternative."""
    return [part for part in evidence if not any(unit.holds(place) for place in part for unit in units)]


def _lost_at(
    question: Question,
    record: Mapping[str, Any],
    cited: Sequence[Place],
    read: Sequence[ReadPassage],
    *,
    likeliest: Sequence[ReadSentence],
    min_probability: float,
) -> str:
    """Return the first stage, in the order of the pipeline, behind which some of the missing evidence was missing."""
    if "error" in record or not question.answerable:
        return "failed" if "error" in record else "answer"
    missing = _missing(question.evidence, cited)
    best = max((sentence.probability for sentence in likeliest), default=0.0)
    enough = quotable_from(best, min_probability=min_probability)
    quotable = [sentence.place for sentence in likeliest if sentence.probability >= enough]
    stages = {
        "question" if record["stage"] == "question" else "retrieve": [passage.place for passage in read],
        "rank": [sentence.place for sentence in likeliest],
        "refuse": quotable,
    }
    lost = (stage for stage, units in stages.items() if _missing(missing, units))
    return next(lost, "select" if missing else "facts")


def _found_scores(question: Question, read: Sequence[ReadPassage], ranked: Sequence[ReadSentence]) -> dict[str, float]:
    """Return how well passages and sentences were ranked; sentences both as retrieved and by probability."""
    retrieved = {s.place: s.retrieved for passage in read for s in passage.sentences if s.retrieved}
    rankings = {
        "passage": [passage.place for passage in read],
        "retrieved": sorted(retrieved, key=lambda place: -retrieved[place]),  # ties in reading order
        "sentence": [sentence.place for sentence in ranked],
    }
    parts = question.evidence
    scores: dict[str, float] = {}
    for unit, ranking in rankings.items():
        scores |= {f"{unit}_recall@{k}": metrics.recall_at_k(ranking, parts, k=k) for k in RANKS}
        scores |= {f"{unit}_all@{k}": metrics.all_evidence_at_k(ranking, parts, k=k) for k in RANKS}
        scores[f"{unit}_mrr"] = metrics.reciprocal_rank(ranking, parts)
        scores[f"{unit}_ndcg@10"] = metrics.ndcg(ranking, parts, k=10)
    return scores


def _said_scores(question: Question, said: str, cited: Sequence[Place], texts: Mapping[str, str]) -> dict[str, float]:
    """Return what an answerable question's answer has of what it should have; all 0 where there is none."""
    return {
        "facts": metrics.facts_present(said, question.facts) if said else 0.0,
        "token_f1": _token_f1(said, question, texts),
        "citation_recall": metrics.citation_recall(cited, question.evidence),
    }


def _cited_scores(
    question: Question, record: Mapping[str, Any], cited: Sequence[Place], texts: Mapping[str, str]
) -> dict[str, float]:
    """Return what an answer's citations are worth, whether or not it should have been given."""
    return {
        "extra_sentences": metrics.extra_sentence_rate(cited, question.evidence),
        "citation_precision": metrics.citation_precision(cited, question.evidence),
        "quotes_exact": _quotes_exact(record, texts),
        "markers_resolve": _markers_resolve(record),
    }


def _token_f1(said: str, question: Question, texts: Mapping[str, str]) -> float:
    """Compare with the gold evidence: of each part the alternative that is nearest to what was said."""
    alternatives = [[texts[place.source][place.start : place.end] for place in part] for part in question.evidence]
    nearest = [max(quotes, key=lambda quote: metrics.token_f1(said, quote)) for quotes in alternatives]
    return metrics.token_f1(said, "\n".join(nearest))


def _quotes_exact(record: Mapping[str, Any], texts: Mapping[str, str]) -> float:
    """Return the share of citations whose quote is exactly what stands at their offsets.

    In quotes mode a claim also has to say what its first citation quotes.
    """
    said: dict[int, str] = {}
    if record["mode"] == "quotes":
        said = {claim["citations"][0]: claim["text"] for claim in record["claims"] if claim["citations"]}

    def is_exact(citation: Mapping[str, Any]) -> bool:
        found = texts.get(citation["source"], "")[citation["start"] : citation["end"]]
        return bool(found == citation["quote"] == said.get(citation["marker"], found))

    return sum(map(is_exact, record["citations"])) / len(record["citations"])


def _markers_resolve(record: Mapping[str, Any]) -> float:
    """Return the share of claims whose markers all name one citation; 0 if the text is not the claims with theirs."""
    known = Counter(citation["marker"] for citation in record["citations"])
    lines = [f"{claim['text']} {''.join(f'[{n}]' for n in claim['citations'])}" for claim in record["claims"]]
    if not lines or record["text"] != "\n".join(lines):
        return 0.0
    resolved = [all(known[n] == 1 for n in claim["citations"] or [None]) for claim in record["claims"]]
    return sum(resolved) / len(resolved)
