"""Results as JSON objects: the only form in which results leave Footnote and are read back, on every surface.

These models are the only description of the records. ``docs/schemas`` is generated from them (``make schemas``), MCP
announces them, and ``rag verify`` and the page's stored conversations are parsed with them. Keys that an earlier
version did not write have defaults; unknown keys are ignored.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from rag.question_options import MAX_TOP_K
from rag.values import Abstention, Answer, Citation, EndedAt, Fault, Hit, Mode, Result, Span, Trace

Record = dict[str, Any]
MAX_NEAREST = 5  # sentences shown beside a refusal
_MAX_OFFSET = 2**40  # larger than any text, and within what a database accepts


class _Record(BaseModel):
    """Base class of all records; their JSON always has every key and no others."""

    model_config = ConfigDict(
        frozen=True, json_schema_serialization_defaults_required=True, json_schema_extra={"additionalProperties": False}
    )


Start = Annotated[int, Field(ge=0, le=_MAX_OFFSET, description="First character, in Unicode code points from 0.")]
End = Annotated[
    int,
    Field(
        ge=0,
        le=_MAX_OFFSET,
        description="Character after the last one, in Unicode code points; greater than start.",
        json_schema_extra={"minimum": 1},
    ),
]
Source = Annotated[
    str, Field(description="Path of the document relative to the ingested folder, with forward slashes.")
]


LineId = Annotated[
    Any, Field(description="The id of the batch line, whatever JSON value it was given as; null where none was given.")
]


class SpanRecord(_Record):
    """Characters of a source, half-open."""

    start: Start
    end: End

    @classmethod
    def of(cls, span: Span | None) -> "SpanRecord | None":
        """Return where a span stands."""
        return cls(start=span.start, end=span.end) if span else None


class HitRecord(_Record):
    """A found passage. text == source_text[start:end], where source_text is the decoded file."""

    rank: int = Field(ge=1, description="Place in the ranking, counted from 1.")
    score: float = Field(
        ge=0, description="Reciprocal rank fusion; no unit, comparable within one list only, higher is nearer."
    )
    source: Source
    start: Start
    end: End
    text: str = Field(description="The characters from start to end.")


class NearRecord(HitRecord):
    """A sentence that was read in vain, in its passage. text == source_text[start:end]."""

    score: float = Field(ge=0, le=1, description="Probability that the sentence answers the question.")
    sentence: SpanRecord | None = Field(
        None,
        description="Where the sentence stands that came nearest, inside start and end, in the same counting; null in "
        "conversations kept by earlier versions.",
    )


class CitationRecord(_Record):
    """Exact characters of one source. quote == source_text[start:end], where source_text is the decoded file."""

    marker: int = Field(ge=1, description="Number of the footnote, counted from 1.")
    source: Source
    title: str = Field(description="Title of the document.")
    publisher: str | None = Field(description="Who published it; null where not known.")
    date: dt.date | None = Field(description="Day of publication, YYYY-MM-DD; null where not known.")
    start: Start
    end: End
    quote: str = Field(
        min_length=1, description="The characters from start to end, unchanged.", json_schema_extra={"pattern": r"\S"}
    )
    answer: SpanRecord | None = Field(
        None,
        description="Where the short answer stands inside the quote, in the same counting; null if none is marked.",
    )
    page: int | None = Field(
        None, ge=1, description="Page on which the quote begins, counted from 1; null for a source without pages."
    )


class ClaimRecord(_Record):
    """One statement and its evidence."""

    text: str = Field(
        description="The statement, without markers; in quotes mode the quote of its first citation.",
        json_schema_extra={"pattern": r"\S"},
    )
    citations: list[int] = Field(
        description="Markers of its citations: at least one, always.",
        json_schema_extra={"minItems": 1, "items": {"type": "integer", "minimum": 1}},
    )


class RemovedRecord(_Record):
    """A sentence that a check refused."""

    text: str = Field(description="The sentence.")
    fault: Fault = Field(description="What the check found.")
    detail: str = Field("", description="What exactly, in words for the reader; empty where the fault says all.")


class TraceRecord(_Record):
    """What produced the result, so that it can be produced again."""

    settings_hash: str = Field(
        description="12 hexadecimal digits over all settings that can change an answer.",
        json_schema_extra={"pattern": "^[0-9a-f]{12}$"},
    )
    prompt_hash: str | None = Field(description="Hash of the prompts; null in quotes mode, which has none.")
    models: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        description="Part of the pipeline -> name of its model."
    )
    index_version: int = Field(ge=0, description="Number of commits of the index that was read; 0 where none was read.")
    timings_ms: dict[str, Annotated[float, Field(ge=0)]] = Field(
        description="Stage -> milliseconds, in the order the stages ran."
    )


class AskRecord(_Record):
    """An answer or an abstention, with the same keys for both: ``rag ask --json``, a line of a batch, ``/ask``, MCP."""

    model_config = ConfigDict(
        json_schema_extra={
            "additionalProperties": False,
            "if": {"properties": {"answered": {"const": True}}},
            "then": {
                "properties": {
                    "text": {"type": "string", "pattern": r"\S"},
                    "claims": {"minItems": 1},
                    "citations": {"minItems": 1},
                    "reason": {"type": "null"},
                    "stage": {"type": "null"},
                    "nearest": {"maxItems": 0},
                }
            },
            "else": {
                "properties": {
                    "text": {"const": ""},
                    "claims": {"maxItems": 0},
                    "citations": {"maxItems": 0},
                    "reason": {"type": "string", "minLength": 1},
                    "stage": {"type": "string"},
                }
            },
        }
    )

    id: LineId = None
    question: str = Field(description="The question as it was asked.")
    standalone_question: str = Field(
        "",
        description="The question as it was looked up: a follow-up completed from the conversation, else the question "
        "itself.",
    )
    mode: Mode = Field(description="quotes: verbatim sentences; written: sentences by a language model.")
    answered: bool = Field(description="Whether the documents answer.")
    text: str = Field(
        description="The claims, a line each, every one followed by its markers; empty for an abstention."
    )
    claims: list[ClaimRecord] = Field(description="The statements of the answer, in order.")
    removed: list[RemovedRecord] = Field([], description="Sentences that a check refused; none in quotes mode.")
    citations: list[CitationRecord] = Field(description="All citations of the claims, once each, by marker.")
    reason: str | None = Field(
        None, description="Why there is no answer, as a sentence for the reader; null for an answer."
    )
    stage: EndedAt | None = Field(None, description="Where the question ended without an answer; null for an answer.")
    nearest: list[NearRecord] = Field(
        [],
        max_length=MAX_NEAREST,
        description="For an abstention the sentences that came nearest, likeliest first, each with its passage; none "
        "where nothing was read.",
    )
    notice: str | None = Field(
        None,
        description="What the reader should know of how the result came about, as when a language model failed; null "
        "for nothing.",
    )
    trace: TraceRecord


class SearchRecord(_Record):
    """Passages found: ``rag search --json``, a line of ``rag search --batch``, ``/search``, MCP."""

    id: LineId = None
    question: str = Field(description="The question as it was asked.")
    hits: list[HitRecord] = Field(
        max_length=MAX_TOP_K, description="Passages, best first; none for a text without words."
    )


class ErrorRecord(_Record):
    """What stands in the output of ``--batch`` in the place of a line that could not be answered."""

    id: Any = Field(
        None,
        description="The id of the line, whatever JSON value it was given as; null where none was given or the line "
        "could not be read.",
    )
    error: str = Field(
        description="What is wrong with the line, in one line.", json_schema_extra={"pattern": r"^[^\r\n]+$"}
    )


class VerdictRecord(_Record):
    """What became of one claim of a stored answer."""

    question: str = Field(description="The question of the answer.")
    claim: str = Field(description="The claim; empty where the verdict is about the record as a whole.")
    stands: bool = Field(description="Whether nothing is wrong with it.")
    faults: list[str] = Field(description="What is wrong, a line each; none where it stands.")


class VerifyRecord(_Record):
    """What ``rag verify --json`` prints: a verdict for each claim of the answers in a file, in their order."""

    stands: bool = Field(description="Whether every claim of every answer stands.")
    verdicts: list[VerdictRecord] = Field(
        description="One for each claim, and one before them where the record itself is at fault."
    )


MODELS: Mapping[str, type[_Record]] = {
    "ask": AskRecord,
    "search": SearchRecord,
    "batch-error": ErrorRecord,
    "verify": VerifyRecord,
}


def schema(name: str) -> Record:
    """Return the JSON Schema of one of ``MODELS``, as stored in ``docs/schemas``."""
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{name}.schema.json"}
    return about | MODELS[name].model_json_schema(mode="serialization")


def search_record(question: str, hits: Sequence[Hit], *, question_id: Any = None) -> Record:
    """Return the record of a search."""
    return _dump(SearchRecord(id=question_id, question=question, hits=[HitRecord(**_hit(hit)) for hit in hits]))


def ask_record(result: Result, *, question_id: Any = None) -> Record:
    """Return the record of an answer or an abstention."""
    answer = result if isinstance(result, Answer) else None
    abstention = result if isinstance(result, Abstention) else None
    record = AskRecord(
        id=question_id,
        question=result.question,
        standalone_question=result.standalone_question,
        mode=result.mode,
        answered=answer is not None,
        text=answer.text if answer else "",
        claims=[
            ClaimRecord(text=claim.text, citations=[citation.marker for citation in claim.citations])
            for claim in (answer.claims if answer else ())
        ],
        removed=[RemovedRecord(text=item.text, fault=item.fault, detail=item.detail) for item in result.removed],
        citations=[citation_record(citation) for citation in (answer.citations if answer else ())],
        reason=abstention.reason if abstention else None,
        stage=abstention.stage if abstention else None,
        nearest=[
            NearRecord(**_hit(hit), sentence=SpanRecord.of(hit.sentence))
            for hit in (abstention.nearest if abstention else ())
        ],
        notice=result.notice or None,
        trace=_trace(result.trace),
    )
    return _dump(record)


def citation_record(citation: Citation) -> CitationRecord:
    """Return the record of a citation."""
    return CitationRecord(
        marker=citation.marker,
        source=citation.source,
        title=citation.title,
        publisher=citation.publisher,
        date=citation.date,
        start=citation.span.start,
        end=citation.span.end,
        quote=citation.quote,
        answer=SpanRecord.of(citation.answer),
        page=citation.page,
    )


def error_record(message: str, *, question_id: Any = None) -> Record:
    """Return the record that replaces a batch line that could not be answered."""
    readable = message.encode("utf-8", "replace").decode("utf-8")
    return _dump(ErrorRecord(id=question_id, error=readable))


def dumped(record: Mapping[str, Any]) -> str:
    """Return the record as one line of JSON that any file accepts; lone surrogates, as in a broken id, become '?'."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")


def _hit(hit: Hit) -> Record:
    span = hit.passage.span
    return {
        "rank": hit.rank,
        "score": hit.score,
        "source": hit.passage.source,
        "start": span.start,
        "end": span.end,
        "text": hit.passage.text,
    }


def _trace(trace: Trace) -> TraceRecord:
    return TraceRecord(
        settings_hash=trace.settings_hash,
        prompt_hash=trace.prompt_hash,
        models=dict(trace.models),
        index_version=trace.index_version,
        timings_ms=dict(trace.timings_ms),
    )


def _dump(record: AskRecord | SearchRecord | ErrorRecord) -> Record:
    """Return a record as JSON has it; its id stays as it was given, even if it holds characters that no JSON can."""
    return {"id": record.id, **record.model_dump(mode="json", exclude={"id"})}
