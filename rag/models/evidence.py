"""The interface of evidence models, which decide how likely each sentence is to answer a question.

An ``EvidenceModel`` gets the question and whole passages, so that it can read both together, along with retrieval's
scores for each sentence. Its probabilities alone decide what is quoted and whether anything is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.values import Passage, Span


@dataclass(frozen=True, slots=True)
class Candidate:
    """A retrieved passage, with retrieval scores for each of ``passage.sentences``, in order.

    similarities: cosine of question and sentence embeddings. coverages: share of the question's words, weighted by
    rarity, that the sentence contains, in [0, 1]. fused: the sentence's score in the fused sentence ranking, 0 if
    unranked; empty if nothing was ranked. question: the question with names as the passage spells them; empty means
    as asked.
    """

    passage: Passage
    similarities: tuple[float, ...]
    coverages: tuple[float, ...]
    fused: tuple[float, ...] = ()
    question: str = ""


@dataclass(frozen=True, slots=True)
class SentenceEvidence:
    """The probability that this sentence answers; ``answer`` is the short answer inside it, if known."""

    span: Span
    probability: float
    answer: Span | None = None


@dataclass(frozen=True, slots=True)
class PassageEvidence:
    """The probability that the passage answers, and the evidence in each of its sentences, in order."""

    passage: Passage
    probability: float
    sentences: tuple[SentenceEvidence, ...]


Support = Callable[[str, Sequence[str]], float]  # statement, sentences -> probability that they support it


def likeliest(passages: Iterable[PassageEvidence]) -> float:
    """Return the probability of the likeliest sentence; 0 if there is none."""
    return max((passage.probability for passage in passages), default=0.0)


class EvidenceModel(Protocol):
    """Decides how likely each sentence is to answer."""

    @property
    def name(self) -> str:
        """The model's name and version, as they appear in traces."""

    @property
    def support(self) -> Support | None:
        """Function that returns how likely sentences support a statement; None if the model has none."""

    def warm_up(self) -> None:
        """Load what the first read would otherwise wait for."""

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:
        """Return the evidence in each passage, in order."""
