"""Restores conversations stored in a browser, checking every citation against the current documents.

Data from a browser is untrusted: it is parsed strictly, and a quote that is no longer at its position is marked as
lost.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from rag.engine import Rag
from rag.errors import IndexMissing, InvalidValue, UsageError
from rag.index import Catalog
from rag.records import AskRecord, CitationRecord, NearRecord
from rag.values import Abstention, Answer, Citation, Claim, Hit, Passage, Removed, Result, Span, Trace
from rag.web.turn import Turn, Turns, Verdict

MAX_TURNS = 200  # per conversation; page.js stores no more


class _Turn(BaseModel):
    record: AskRecord
    scope: str = ""
    verdict: Verdict | None = None


class _Asked(BaseModel):
    turns: list[_Turn] = Field(max_length=MAX_TURNS)


def restored(rag: Rag, kept: object) -> Turns:
    """Return the turns of ``{"turns": [{"record", "scope", "verdict"}]}``; raises UsageError for anything else."""
    try:
        turns = _Asked.model_validate(kept).turns
        try:
            with rag.catalog() as catalog:
                return tuple(_turn(turn, catalog) for turn in turns)
        except IndexMissing:
            return tuple(_turn(turn, None) for turn in turns)
    except (ValidationError, InvalidValue) as error:
        raise UsageError("this conversation cannot be read any more; delete it from the list and ask again") from error


def _turn(kept: _Turn, catalog: Catalog | None) -> Turn:
    record = kept.record
    placed = [_placed(citation, catalog) for citation in record.citations]
    result = _result(record, [citation for citation, _ in placed], [hit for _, hit in placed if hit], catalog)
    return Turn(
        record.question,
        scope=kept.scope,
        result=result,
        lost=frozenset(citation.marker for citation, _ in placed if not citation.doc_id),
        verdict=kept.verdict,
    )


def _placed(kept: CitationRecord, catalog: Catalog | None) -> tuple[Citation, Hit | None]:
    """Return the citation, linked to its document if the quote is still there, and the passage around it."""
    span = Span(kept.start, kept.end)
    entry = catalog.entry_by_source(kept.source) if catalog else None
    stands = entry is not None and entry.document.text[span.start : span.end] == kept.quote
    citation = Citation(
        marker=kept.marker,
        doc_id=entry.document.id if entry and stands else "",
        source=kept.source,
        title=kept.title,
        publisher=kept.publisher,
        date=kept.date,
        span=span,
        quote=kept.quote,
        answer=Span(kept.answer.start, kept.answer.end) if kept.answer else None,
        page=entry.document.page_of(span.start) if entry and stands else kept.page,
    )
    passage = catalog.passage_at(citation.doc_id, span) if catalog and stands else None
    return citation, Hit(passage, 0.0, kept.marker, "evidence") if passage else None


def _result(record: AskRecord, citations: Sequence[Citation], hits: Sequence[Hit], catalog: Catalog | None) -> Result:
    by_marker = {citation.marker: citation for citation in citations}
    trace = Trace(**record.trace.model_dump())
    about: dict[str, Any] = {
        "standalone_question": record.standalone_question,
        "mode": record.mode,
        "removed": tuple(Removed(item.text, item.fault, item.detail) for item in record.removed),
        "notice": record.notice or "",
    }
    if not record.claims:
        nearest = tuple(_hit(hit, catalog) for hit in record.nearest)
        return Abstention(record.question, record.reason or "", nearest, trace, record.stage or "evidence", **about)
    if any(marker not in by_marker for claim in record.claims for marker in claim.citations):
        raise InvalidValue("a claim cites what the record does not have")
    claims = tuple(Claim(claim.text, tuple(by_marker[n] for n in claim.citations)) for claim in record.claims)
    return Answer(record.question, claims, tuple(hits), trace, **about)


def _hit(kept: NearRecord, catalog: Catalog | None) -> Hit:
    """Return a passage; if its text is gone, it has no document id and so cannot be opened."""
    entry = catalog.entry_by_source(kept.source) if catalog else None
    stands = entry is not None and entry.document.text[kept.start : kept.end] == kept.text
    passage = Passage(
        id=f"{kept.source}:{kept.start}-{kept.end}",
        doc_id=entry.document.id if entry and stands else "",
        span=Span(kept.start, kept.end),
        heading="",
        source=kept.source,
        text=kept.text,
    )
    sentence = Span(kept.sentence.start, kept.sentence.end) if kept.sentence else None
    return Hit(passage, kept.score, kept.rank, "evidence", sentence)
