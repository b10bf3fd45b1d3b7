"""Values as JSON objects: the one form in which results leave Footnote, whatever the surface.

The schemas are written out in ``docs/schemas`` and pinned by tests.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rag.values import Abstention, Answer, Citation, Hit, Result, Span, Trace

Record = dict[str, Any]


def search_record(question: str, hits: Sequence[Hit], *, question_id: str | None = None) -> Record:
    """Return ``{"id", "question", "hits"}``."""
    return {"id": question_id, "question": question, "hits": [hit_record(hit) for hit in hits]}


def ask_record(result: Result, *, question_id: str | None = None) -> Record:
    """Return the record of an answer or an abstention: the same keys for both."""
    answer = result if isinstance(result, Answer) else None
    abstention = result if isinstance(result, Abstention) else None
    return {
        "id": question_id,
        "question": result.question,
        "standalone_question": result.standalone_question,
        "mode": result.mode,
        "answered": answer is not None,
        "text": answer.text if answer else "",
        "claims": [
            {"text": claim.text, "citations": [citation.marker for citation in claim.citations]}
            for claim in (answer.claims if answer else ())
        ],
        "removed": [{"text": item.text, "fault": item.fault, "detail": item.detail} for item in result.removed],
        "citations": [citation_record(citation) for citation in (answer.citations if answer else ())],
        "reason": abstention.reason if abstention else None,
        "stage": abstention.stage if abstention else None,
        "nearest": [near_record(hit) for hit in (abstention.nearest if abstention else ())],
        "notice": result.notice or None,
        "trace": trace_record(result.trace),
    }


def hit_record(hit: Hit) -> Record:
    """Return a found passage with its place in the source."""
    return {
        "rank": hit.rank,
        "score": hit.score,
        "source": hit.passage.source,
        "start": hit.passage.span.start,
        "end": hit.passage.span.end,
        "text": hit.passage.text,
    }


def near_record(hit: Hit) -> Record:
    """Return a passage that was read in vain, with the place of the sentence that came nearest."""
    return {**hit_record(hit), "sentence": _span_record(hit.sentence)}


def citation_record(citation: Citation) -> Record:
    """Return a citation; the date as YYYY-MM-DD."""
    return {
        "marker": citation.marker,
        "source": citation.source,
        "title": citation.title,
        "publisher": citation.publisher,
        "date": citation.date.isoformat() if citation.date else None,
        "start": citation.span.start,
        "end": citation.span.end,
        "quote": citation.quote,
        "answer": _span_record(citation.answer),
        "page": citation.page,
    }


def _span_record(span: Span | None) -> Record | None:
    return {"start": span.start, "end": span.end} if span else None


def trace_record(trace: Trace) -> Record:
    """Return what produced a result."""
    return {
        "settings_hash": trace.settings_hash,
        "prompt_hash": trace.prompt_hash,
        "models": dict(trace.models),
        "index_version": trace.index_version,
        "timings_ms": dict(trace.timings_ms),
    }


def error_record(message: str, *, question_id: str | None = None) -> Record:
    """Return what stands in a batch in the place of a line that could not be answered."""
    return {"id": question_id, "error": message}


def dumped(record: Mapping[str, Any]) -> str:
    """Return the record as one line of JSON that any file takes: a lone surrogate, as in a broken id, becomes '?'."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
