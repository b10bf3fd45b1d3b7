"""What tests of answers share: every character that is shown, checked against the sources."""

from collections.abc import Callable

from conftest import SEEDS

from rag import Answer
from rag.values import Result


def text_on_disk(source: str) -> str:
    return (SEEDS / source).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")


def check_quotes(result: Result, text_of: Callable[[str], str]) -> None:
    """Check every character that is shown against the sources."""
    for hit in result.hits if isinstance(result, Answer) else result.nearest:
        passage = hit.passage
        assert passage.text == text_of(passage.source)[passage.span.start : passage.span.end]
    if isinstance(result, Answer):
        assert [c.marker for c in result.citations] == list(range(1, len(result.citations) + 1))
        for citation in result.citations:
            assert citation.quote == text_of(citation.source)[citation.span.start : citation.span.end]
        for claim in result.claims:
            assert claim.text == claim.citations[0].quote
