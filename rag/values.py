"""The values passed between pipeline stages: frozen, validated by their constructors, free of any framework.

This module alone guarantees that a citation quotes at least one character and exactly as many as its span covers, that
a claim has a citation, and that an answer has a claim. Text without evidence therefore cannot become an ``Answer``.
All offsets are half-open and count Unicode code points of ``Document.text``.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rag.errors import InvalidValue

Via = Literal["dense", "lexical", "fused", "evidence"]
Mode = Literal["quotes", "written"]
Unit = Literal["passages", "sentences"]  # what is embedded and indexed; sentences are searched, passages are read
UNITS: tuple[Unit, ...] = ("passages", "sentences")
PAGE_BREAK = "\f"  # marks the start of each further page in a text
EndedAt = Literal["question", "index", "retrieve", "evidence", "gate"]  # the stage at which a question was refused
History = list[tuple[str, str]]  # earlier turns, oldest first: (question, answer text)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidValue(message)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A non-empty range of characters of one document's text."""

    start: int
    end: int

    def __post_init__(self) -> None:
        _require(0 <= self.start < self.end, f"span must satisfy 0 <= start < end, got [{self.start}, {self.end})")

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"

    def cut(self, text: str) -> str:
        """Return ``text[start:end]``; raises InvalidValue if the text ends before the span does."""
        _require(
            self.end <= len(text), f"span [{self.start}, {self.end}) reaches past a text of {len(text)} characters"
        )
        return text[self.start : self.end]

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share a character."""
        return self.start < other.end and other.start < self.end

    def covers(self, other: "Span") -> bool:
        """Whether this span contains every character of the other."""
        return self.start <= other.start and other.end <= self.end


def unit_id(doc_id: str, span: Span) -> str:
    """Return the id of a passage or sentence: ``<doc_id>:<start>-<end>``."""
    return f"{doc_id}:{span}"


def doc_id_of(unit_id: str) -> str:
    """Return the document id from the id of a passage or sentence."""
    return unit_id.partition(":")[0]


def span_of(unit_id: str) -> Span:
    """Return the span from the id of a passage or sentence."""
    start, _, end = unit_id.partition(":")[2].partition("-")
    return Span(int(start), int(end))


def percent(probability: float) -> str:
    """Format a probability, rounded down so that it never appears to reach a threshold that it misses."""
    return f"{int(probability * 100)}%"


@dataclass(frozen=True, slots=True)
class Document:
    """A loaded text and what is known about it; ``text`` never changes after loading.

    source: path relative to the ingested folder, with forward slashes.
    inferred: field name -> how its value was inferred, for fields not read from the document itself.
    """

    id: str
    source: str
    title: str
    publisher: str | None
    author: str | None
    date: dt.date | None
    text: str
    sha256: str
    language: str | None = None
    inferred: Mapping[str, str] = field(default_factory=dict)

    def page_of(self, offset: int) -> int | None:
        """Return the page (from 1) of a character; None for a text without pages."""
        return self.text.count(PAGE_BREAK, 0, offset) + 1 if PAGE_BREAK in self.text else None

    @staticmethod
    def id_for(source: str, text: str) -> str:
        """Return an id of 16 hex digits for this text under this source; equal input gives an equal id everywhere."""
        return hashlib.sha256(f"{source}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Characters that cleaning keeps out of the passages, with the rule responsible and its reason."""

    span: Span
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of whole sentences that is retrieved and read together.

    sentences: the quotable sentences inside ``span``, in order; a heading is in the span but not among them.
    The last sentence of a passage may be repeated as the first of the next one (overlap).
    """

    id: str
    doc_id: str
    span: Span
    heading: str
    source: str = ""
    text: str = ""
    sentences: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        _require(
            not self.text or len(self.text) == len(self.span), f"passage {self.id}: text and span differ in length"
        )
        _require(all(self.span.covers(s) for s in self.sentences), f"passage {self.id}: a sentence lies outside of it")

    @staticmethod
    def id_for(doc_id: str, span: Span) -> str:
        """Return the id of this span, derived from content alone so that adding it twice changes nothing."""
        return unit_id(doc_id, span)

    def quote(self, span: Span) -> str:
        """Return the text of a span (in document offsets) that lies inside the passage."""
        _require(self.span.covers(span), f"passage {self.id} does not hold [{span.start}, {span.end})")
        return self.text[span.start - self.span.start : span.end - self.span.start]


@dataclass(frozen=True, slots=True)
class Source:
    """A passage given to the language model, and its document. The marker [n] refers to the n-th source."""

    passage: Passage
    document: Document


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a question. ``rank`` counts from 1; the meaning of ``score`` depends on ``via``.

    sentence: for a passage that was read, the sentence likeliest to answer; ``score`` is then its probability.
    """

    passage: Passage
    score: float
    rank: int
    via: Via
    sentence: Span | None = None

    def __post_init__(self) -> None:
        _require(self.sentence is None or self.passage.span.covers(self.sentence), f"hit {self.rank}: sentence outside")

    @property
    def span(self) -> Span:
        """The sentence, or the whole passage if it was not read."""
        return self.sentence or self.passage.span

    @property
    def text(self) -> str:
        """The characters of ``span``."""
        return self.passage.quote(self.span)


@dataclass(frozen=True, slots=True)
class Citation:
    """Exact characters of one source.

    marker: the footnote number, from 1. answer: the short answer inside the quote. page: the page (from 1) on which the
    quote begins; None for a source without pages.
    """

    marker: int
    doc_id: str
    source: str
    title: str
    publisher: str | None
    date: dt.date | None
    span: Span
    quote: str
    answer: Span | None = None
    page: int | None = None

    def __post_init__(self) -> None:
        _require(self.answer is None or self.span.covers(self.answer), f"citation [{self.marker}]: answer lies outside")
        _require(self.marker >= 1, f"footnote markers count from 1, got {self.marker}")
        _require(bool(self.quote.strip()), f"citation [{self.marker}] quotes nothing")
        _require(len(self.quote) == len(self.span), f"citation [{self.marker}]: quote and span differ in length")

    @classmethod
    def of(cls, document: Document, span: Span, *, marker: int, answer: Span | None = None) -> "Citation":
        """Return the citation of these characters; the quote is cut from the document, never passed in."""
        return cls(
            marker=marker,
            doc_id=document.id,
            source=document.source,
            title=document.title,
            publisher=document.publisher,
            date=document.date,
            span=span,
            quote=span.cut(document.text),
            answer=answer,
            page=document.page_of(span.start),
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of an answer and its evidence: always at least one citation."""

    text: str
    citations: tuple[Citation, ...]

    def __post_init__(self) -> None:
        _require(bool(self.text.strip()), "a claim needs a text")
        _require(len(self.citations) > 0, f"a claim needs at least one citation: {self.text[:60]!r}")

    @property
    def marked(self) -> str:
        """The text followed by its markers: ``… [1][2]``."""
        return f"{self.text} {''.join(f'[{citation.marker}]' for citation in self.citations)}"


Fault = Literal[
    "uncited",  # no marker
    "fabricated",  # a marker that refers to no passage
    "misquoted",  # text in quotation marks that the passage does not have
    "wrong number",  # a number, date, amount or unit that the passage does not have
    "wrong name",  # a name found in neither the passage nor the question
    "wrong speaker",  # one person's statement attributed to another
    "negated",  # denies what the passage affirms, or the reverse
    "unsupported",  # not supported by the passage according to the evidence model
    "off the question",  # true to its passage but does not answer the question
]


@dataclass(frozen=True, slots=True)
class Removed:
    """A written sentence that a check rejected. fault: the kind of fault; detail: a description for the reader."""

    text: str
    fault: Fault
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """What produced a result, so that it can be reproduced.

    index_version: the generation of the index that was read; 0 if no index was read.
    timings_ms: stage -> milliseconds, in the order the stages ran.
    """

    settings_hash: str
    prompt_hash: str | None
    models: Mapping[str, str]
    index_version: int
    timings_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """Claims with their evidence: at least one claim, and every marker refers to exactly one citation.

    mode: how the claims were made; it differs from the requested mode if the language model failed, and ``notice`` then
    tells the reader so. removed: sentences of a written answer that the gate rejected, in the order they were written.
    """

    question: str
    claims: tuple[Claim, ...]
    hits: tuple[Hit, ...]
    trace: Trace
    standalone_question: str = ""
    mode: Mode = "quotes"
    removed: tuple[Removed, ...] = ()
    notice: str = ""

    def __post_init__(self) -> None:
        _require(len(self.claims) > 0, "an answer needs at least one claim; without one it is an Abstention")
        meaning: dict[int, Citation] = {}
        for citation in (c for claim in self.claims for c in claim.citations):
            known = meaning.setdefault(citation.marker, citation)
            _require(known == citation, f"marker [{citation.marker}] stands for two different citations")

    @property
    def citations(self) -> tuple[Citation, ...]:
        """All citations, each once, ordered by marker."""
        return tuple(sorted({c for claim in self.claims for c in claim.citations}, key=lambda c: c.marker))

    @property
    def text(self) -> str:
        """The claims in order, one per line, each followed by its markers: ``… [1][2]``."""
        return "\n".join(claim.marked for claim in self.claims)


@dataclass(frozen=True, slots=True)
class Abstention:
    """The documents do not answer the question, or it is not one that documents can answer.

    stage: where the question ended: question | index | retrieve | evidence | gate.
    nearest: the sentences that came closest, likeliest first, each with its passage; empty if nothing was read.
    removed, notice: as in ``Answer``.
    """

    question: str
    reason: str
    nearest: tuple[Hit, ...]
    trace: Trace
    stage: EndedAt = "evidence"
    standalone_question: str = ""
    mode: Mode = "quotes"
    removed: tuple[Removed, ...] = ()
    notice: str = ""

    def __post_init__(self) -> None:
        _require(bool(self.reason.strip()), "an abstention needs a reason")


Result = Answer | Abstention
