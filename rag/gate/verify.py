"""Audit stored answers without a model: check that quotes are where they claim to be and support their claims.

Reads the records that ``rag ask --json`` and ``--batch`` write and repeats, on the quotes alone, every check of
``rag.gate.claims`` that needs no model.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rag.errors import UsageError
from rag.gate.claims import (
    Excerpt,
    fault_of_facts,
    fault_of_meaning,
    fault_of_text,
    fault_of_words,
    statement,
    text_around,
)
from rag.gate.markers import visible
from rag.records import AskRecord, CitationRecord, ClaimRecord, Record, dumped
from rag.text.duplicates import says_the_same
from rag.text.sentences import sentences
from rag.values import Document, Span

Lookup = Callable[[str], Document | None]  # source -> its document, None if there is none


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """The result for a claim, or for the record if ``claim`` is empty. faults: one line each, empty if it passes."""

    question: str
    claim: str
    faults: tuple[str, ...]


def read_records(path: Path) -> list[Record]:
    """Read the records of a file: a single one, a JSON list, or one per line. Raises UsageError otherwise."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{path}: cannot be read ({reason}); give a file that rag ask --json wrote") from error
    try:
        found = _parsed(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON, nor JSON a line; give what rag ask --json or --batch wrote") from error
    if not found or not all(isinstance(record, dict) for record in found):
        raise UsageError(f"{path}: holds no answers; give what rag ask --json or --batch wrote")
    readable: list[Record] = json.loads(dumped({"records": found}))["records"]  # replaces lone surrogates
    return readable


def _parsed(content: str) -> list[Any]:
    try:
        whole = json.loads(content)
    except ValueError:
        return [json.loads(line) for line in content.split("\n") if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def audit(
    record: Mapping[str, Any], lookup: Lookup, *, synonyms: Sequence[Sequence[str]] = ()
) -> tuple[ClaimCheck, ...]:
    """Return a verdict per claim of a record, in order, after one for the record itself if it is at fault."""
    question = str(record.get("question", ""))
    if "error" in record and not record.get("claims"):
        return ()  # a failed line of a batch claims nothing
    try:
        stored = AskRecord.model_validate_json(dumped(record), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        return (ClaimCheck(question, "", (f"no ask record: {where}: {first['msg'].lower()}",)),)
    of_record = tuple(_faults_of_record(stored))
    verdicts = [ClaimCheck(question, "", of_record)] if of_record else []
    verdicts += [
        ClaimCheck(question, claim.text, tuple(_faults_of_claim(claim, stored, lookup, synonyms)))
        for claim in stored.claims
    ]
    return tuple(verdicts)


def _faults_of_record(stored: AskRecord) -> Iterator[str]:
    if stored.answered != bool(stored.claims):
        yield f"answered: is {str(stored.answered).lower()} with {len(stored.claims)} claims"
    markers = [citation.marker for citation in stored.citations]
    rebuilt = "\n".join(f"{c.text} {''.join(f'[{marker}]' for marker in c.citations)}" for c in stored.claims)
    if stored.text != rebuilt:
        yield "text: is not what the claims make"
    for marker in sorted({marker for marker in markers if markers.count(marker) > 1}):
        yield f"[{marker}]: stands for two citations"
    for marker in sorted(set(markers) - {marker for claim in stored.claims for marker in claim.citations}):
        yield f"[{marker}]: belongs to no claim"


def _faults_of_claim(
    claim: ClaimRecord, stored: AskRecord, lookup: Lookup, synonyms: Sequence[Sequence[str]]
) -> Iterator[str]:
    cited = {citation.marker: citation for citation in stored.citations}
    yield from _faults_of_form(claim)
    for marker in claim.citations:
        if marker not in cited:
            yield f"fabricated: [{marker}] means no citation"
    citations = [cited[marker] for marker in claim.citations if marker in cited]
    documents = [(citation, lookup(citation.source)) for citation in citations]
    faults = [fault for citation, document in documents for fault in _faults_of_citation(citation, document)]
    yield from faults
    if faults or not citations or len(citations) < len(claim.citations):
        return  # without all cited text, the claim cannot be checked
    places = [(document, Span(citation.start, citation.end)) for citation, document in documents if document]
    if stored.mode == "quotes":
        if claim.text != citations[0].quote:
            yield f"misquoted: is not the quote of [{citations[0].marker}]"
        for other in citations[1:]:
            if not says_the_same(_last_sentence(claim.text), _last_sentence(other.quote)):
                yield f"[{other.marker}]: says something else than the claim"
    else:
        yield from _faults_of_written(claim.text, f"{stored.question} {stored.standalone_question}", places, synonyms)


def _faults_of_form(claim: ClaimRecord) -> Iterator[str]:
    if not claim.citations:
        yield "uncited: no citation"
    if len(set(claim.citations)) < len(claim.citations):
        yield "uncited: one citation comes twice"
    if not visible(claim.text).strip() or visible(claim.text) != claim.text.replace("\r", ""):
        yield "text: is empty, or holds characters that are not seen"


def _last_sentence(quote: str) -> str:
    """Return the sentence that a quote is about; one before it may only provide context."""
    return sentences(quote, Span(0, len(quote)))[-1].cut(quote)


def _faults_of_citation(citation: CitationRecord, document: Document | None) -> Iterator[str]:
    where = f"[{citation.marker}] {citation.source}:{citation.start}-{citation.end}"
    if document is None:
        yield f"{where}: the index has no such source; run rag ingest with its folder, or name another --index"
        return
    answer = citation.answer
    if answer is not None and not citation.start <= answer.start < answer.end <= citation.end:
        yield f"{where}: the short answer lies outside of the quote"
    if document.text[citation.start : citation.end] != citation.quote or citation.end <= citation.start:
        yield f"{where}: the quote does not stand there; the source or the record has been changed"
    about = {
        "title": document.title,
        "publisher": document.publisher,
        "date": document.date,
        "page": document.page_of(citation.start),
    }
    if "page" not in citation.model_fields_set:  # earlier versions wrote no page
        del about["page"]
    for name, value in about.items():
        if getattr(citation, name) != value:
            yield f"{where}: {name} is {value!r} in the index and {getattr(citation, name)!r} here"


def _faults_of_written(
    text: str, question: str, places: Sequence[Excerpt], synonyms: Sequence[Sequence[str]]
) -> Iterator[str]:
    said = statement(text, question=question, around=[text_around(places)], synonyms=synonyms)
    for fault in (
        fault_of_text(text),
        fault_of_facts(said, places),
        fault_of_meaning(said, places),
        fault_of_words(said, places),
    ):
        if fault is not None:
            yield ": ".join(fault)
