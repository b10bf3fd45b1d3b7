"""Which sentences answer a question, and how surely: the seam for every model that decides.

``EvidenceModel`` gets the question and whole passages, so that a model can read both together; what retrieval knows of
each sentence comes along for those that want it. The probabilities alone decide what is quoted and whether anything is.
Knows nothing about indexes or answers.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol

from rag.types import Passage, Span


@dataclass(frozen=True, slots=True)
class Candidate:
    """A retrieved passage, with retrieval scores for each of ``passage.sentences``, in their order.

    similarities: cosine of question and sentence embeddings. coverages: share of the question's words, by rarity, that
    the sentence has, in [0, 1]. fused: the sentence's score in the fused ranking of sentences, 0 where it is not in it;
    empty where nothing was ranked.
    """

    passage: Passage
    similarities: tuple[float, ...]
    coverages: tuple[float, ...]
    fused: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class SentenceEvidence:
    """How probable it is that this sentence answers; ``answer`` is the short answer inside it, where one is known."""

    span: Span
    probability: float
    answer: Span | None = None


@dataclass(frozen=True, slots=True)
class PassageEvidence:
    """How probable it is that the passage answers, and each of its sentences, in order."""

    passage: Passage
    probability: float
    sentences: tuple[SentenceEvidence, ...]


class EvidenceModel(Protocol):
    """Decides which sentences answer."""

    @property
    def name(self) -> str:
        """The model's name and version, as they stand in traces."""

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:
        """Return the evidence in each passage, in the order given."""


class RetrievalScores:
    """The baseline: a logistic model of the two retrieval scores. It reads nothing, so it is often wrong."""

    name = "retrieval-scores"

    def __init__(self) -> None:
        weights = json.loads((files("rag.weights") / "retrieval_scores.json").read_text(encoding="utf-8"))
        self._bias = float(weights["bias"])
        self._similarity = float(weights["similarity"])
        self._coverage = float(weights["coverage"])

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:  # noqa: ARG002 - reads scores
        """Return the evidence in each passage, in the order given."""
        return [self._passage(candidate) for candidate in candidates]

    def _passage(self, candidate: Candidate) -> PassageEvidence:
        scores = zip(candidate.passage.sentences, candidate.similarities, candidate.coverages, strict=True)
        sentences = tuple(SentenceEvidence(span, self._probability(s, c)) for span, s, c in scores)
        return PassageEvidence(candidate.passage, max((s.probability for s in sentences), default=0.0), sentences)

    def _probability(self, similarity: float, coverage: float) -> float:
        return 1.0 / (1.0 + math.exp(-(self._bias + self._similarity * similarity + self._coverage * coverage)))


class FirstSentence:
    """No decision at all: quotes the sentence nearest to the question, whatever it says. What every model must beat."""

    name = "first-sentence"

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:  # noqa: ARG002 - reads scores
        """Return 1 for the sentence with the highest similarity, 1/3 for the next one, and so on."""
        nearest = sorted({s for candidate in candidates for s in candidate.similarities}, reverse=True)
        probability = {similarity: 3.0**-rank for rank, similarity in enumerate(nearest)}

        def passage(candidate: Candidate) -> PassageEvidence:
            scores = zip(candidate.passage.sentences, candidate.similarities, strict=True)
            read = tuple(SentenceEvidence(span, probability[similarity]) for span, similarity in scores)
            return PassageEvidence(candidate.passage, max((s.probability for s in read), default=0.0), read)

        return [passage(candidate) for candidate in candidates]


# Every evidence model by the name it has in an evaluation.
EVIDENCE_MODELS: Mapping[str, Callable[[], EvidenceModel]] = {"baseline": RetrievalScores, "none": FirstSentence}
