"""Which sentences answer a question, and how surely: the seam for every model that decides.

``EvidenceModel`` gets the question and whole passages, so that a model can read both together; what retrieval knows of
each sentence comes along for those that want it. The probabilities alone decide what is quoted and whether anything is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.values import Passage, Span


@dataclass(frozen=True, slots=True)
class Candidate:
    """A retrieved passage, with retrieval scores for each of ``passage.sentences``, in their order.

    similarities: cosine of question and sentence embeddings. coverages: share of the question's words, by rarity, that
    the sentence has, in [0, 1]. fused: the sentence's score in the fused ranking of sentences, 0 where it is not in it;
    empty where nothing was ranked. question: as asked, but with names as the passage has them; empty for as asked.
    """

    passage: Passage
    similarities: tuple[float, ...]
    coverages: tuple[float, ...]
    fused: tuple[float, ...] = ()
    question: str = ""


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


Support = Callable[[str, Sequence[str]], float]  # statement, sentences -> probability that they support it


def likeliest(passages: Iterable[PassageEvidence]) -> float:
    """Return the probability of the likeliest sentence of all; 0 where there is none."""
    return max((passage.probability for passage in passages), default=0.0)


class EvidenceModel(Protocol):
    """Decides which sentences answer."""

    @property
    def name(self) -> str:
        """The model's name and version, as they stand in traces."""

    @property
    def support(self) -> Support | None:
        """How probable it is that sentences support a statement; None for a model that cannot tell."""

    def warm_up(self) -> None:
        """Load now what the first reading would wait for."""

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:
        """Return the evidence in each passage, in the order given."""
