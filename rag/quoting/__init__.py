"""The fewest sentences that answer, quoted word for word."""

from rag.quoting.quotes import QuestionEvidence, by_probability, cite_all, select

__all__ = [
    "QuestionEvidence",
    "by_probability",
    "cite_all",
    "select",
]
