"""Find the passages worth reading for a question."""

from rag.retrieval.followups import condense
from rag.retrieval.question import objection, parts, question_itself
from rag.retrieval.search import RANKINGS, Filters, Ranking, Retrieved, merge_hits, retrieve

__all__ = [
    "RANKINGS",
    "Filters",
    "Ranking",
    "Retrieved",
    "condense",
    "merge_hits",
    "objection",
    "parts",
    "question_itself",
    "retrieve",
]
