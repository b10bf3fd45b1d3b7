"""What the trained evidence model has to beat: retrieval scores alone, and no decision at all."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rag.models import Candidate, EvidenceModel, PassageEvidence, SentenceEvidence, TrainedEvidence


class RetrievalScores:
    """The baseline: a logistic model of the two retrieval scores. It reads nothing, so it is often wrong."""

    name = "retrieval-scores"
    support = None

    def __init__(self) -> None:
        weights = json.loads(Path(__file__).with_name("retrieval_scores.json").read_text(encoding="utf-8"))
        self._bias = float(weights["bias"])
        self._similarity = float(weights["similarity"])
        self._coverage = float(weights["coverage"])

    def warm_up(self) -> None:
        """Nothing to load."""

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
    support = None

    def warm_up(self) -> None:
        """Nothing to load."""

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:  # noqa: ARG002 - reads scores
        """Return 1 for the nearest sentence, and for the next ones 1/5, 1/9 and so on: too little to be quoted."""
        nearest = sorted({s for candidate in candidates for s in candidate.similarities}, reverse=True)
        probability = {similarity: 1 / (1 + 4 * rank) for rank, similarity in enumerate(nearest)}

        def passage(candidate: Candidate) -> PassageEvidence:
            scores = zip(candidate.passage.sentences, candidate.similarities, strict=True)
            read = tuple(SentenceEvidence(span, probability[similarity]) for span, similarity in scores)
            return PassageEvidence(candidate.passage, max((s.probability for s in read), default=0.0), read)

        return [passage(candidate) for candidate in candidates]


# Every evidence model by the name it has in an evaluation.
EVIDENCE_MODELS: Mapping[str, Callable[[], EvidenceModel]] = {
    "trained": TrainedEvidence,
    "baseline": RetrievalScores,
    "none": FirstSentence,
}
