"""Gold questions: what a right answer must say, and the characters of the sources that say it.

The file format is described in evals/gold/README.md. Evidence is a list of parts, all of which are needed; a part is a
list of places, any one of which suffices. Places are offsets into the sources, so they survive any other chunking.
``load`` reads such a file, ``problems`` holds it against the sources, ``imbalances`` counts its kinds and splits.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from rag.errors import UsageError

from .lines import Malformed, numbered_lines, parsed, shown

SEEDS_GOLD = Path(__file__).parent / "gold" / "seeds.jsonl"


@dataclass(frozen=True, slots=True)
class Place:
    """Characters ``[start, end)`` of one source."""

    source: str
    start: int
    end: int

    def holds(self, other: "Place") -> bool:
        """Whether the two share at least half of the shorter: a sentence in its passage, a clause in its sentence."""
        if self.source != other.source:
            return False
        n_shared = min(self.end, other.end) - max(self.start, other.start)
        return 2 * n_shared >= min(self.end - self.start, other.end - other.start)


Part = tuple[Place, ...]  # alternatives: any one suffices


@dataclass(frozen=True, slots=True)
class Question:
    """One gold question. ``facts``: patterns that must all be found in the text of a right answer."""

    id: str
    split: str
    kind: str
    question: str
    history: tuple[tuple[str, str], ...]
    answerable: bool
    facts: tuple[re.Pattern[str], ...]
    evidence: tuple[Part, ...]
    quotes: tuple[tuple[str, ...], ...]  # the text of each place of ``evidence``
    note: str = ""


Turns = Iterable[tuple[str, str]]  # (question, answer), oldest first
Findings = Iterator[str]  # one line each
TextOf = Callable[[str], str | None]  # the text that a source's offsets count, None if there is no such source


def _named(value: object) -> object:
    if isinstance(value, str) and not (value.strip() and value.isprintable()):
        raise ValueError(f"is {value!r}; give a visible name of one line")
    return value


def _said(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("is blank; write it, or leave the key out where the format allows")
    return value


def _decided(value: object) -> object:
    if value is None:
        raise ValueError("is null, still to be decided; write true if the documents answer the question, else false")
    return value


def _pattern(value: object) -> re.Pattern[str]:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"is {shown(value)}; write a regular expression as a text")
    try:
        return re.compile(value, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{shown(value)} is no regular expression ({error}); correct it") from error


Name = Annotated[str, BeforeValidator(_named)]
Said = Annotated[str, BeforeValidator(_said)]


class _Written(BaseModel):
    """A JSON object as it stands in a gold file: the types exactly as written, no key that is not known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _WrittenPlace(_Written):
    source: Name
    start: int = Field(ge=0)
    end: int
    quote: Said | None = None

    @model_validator(mode="after")
    def _is_a_span(self) -> "_WrittenPlace":
        if self.end <= self.start:
            raise ValueError(f"ends at {self.end} and starts at {self.start}; the end is the offset after its last one")
        return self


class _WrittenQuestion(_Written):
    """A line of the file; ``id`` is named after the line where it is missing."""

    id: Name = ""
    split: Literal["dev", "test"] = "dev"
    kind: Name = "unsorted"
    question: Said
    history: tuple[tuple[str, str], ...] = ()
    answerable: Annotated[bool, BeforeValidator(_decided)]
    facts: tuple[Annotated[re.Pattern[str], PlainValidator(_pattern)], ...] = ()
    evidence: tuple[Annotated[tuple[_WrittenPlace, ...], Field(min_length=1)], ...] = ()
    note: str = ""


KNOWN_KEYS = tuple(dict.fromkeys((*_WrittenQuestion.model_fields, *_WrittenPlace.model_fields)))


def load(path: Path) -> list[Question]:
    """Read a gold file: JSONL in UTF-8, with or without byte order mark; blank lines are passed over.

    Only ``question`` and ``answerable`` have to be there: without ``id`` a question is named ``line-N``, without
    ``split`` it is in "dev", without ``kind`` it is "unsorted". A place may lack its ``quote``, which is then "" in
    ``Question.quotes``. Whether it fits the sources is for ``problems`` to say.
    Raises UsageError, ``file:line: what; what to do``, at the first line that is malformed, has a key that is not known
    or is a draft not yet decided (``"answerable": null``); also if there is no question in the file, or no file.
    """
    questions = []
    for number, raw in numbered_lines(path):
        try:
            written = parsed(_WrittenQuestion, raw, known_keys=KNOWN_KEYS)
        except Malformed as error:
            raise UsageError(f"{path}:{number}: {error}; evals/gold/README.md has the format") from error
        questions.append(_question(written, number))
    if not questions:
        raise UsageError(f"{path}: is empty; write a question a line, as evals/gold/README.md describes")
    return questions


def _question(written: _WrittenQuestion, number: int) -> Question:
    return Question(
        id=written.id or f"line-{number}",
        split=written.split,
        kind=written.kind,
        question=written.question,
        history=written.history,
        answerable=written.answerable,
        facts=written.facts,
        evidence=tuple(tuple(Place(p.source, p.start, p.end) for p in part) for part in written.evidence),
        quotes=tuple(tuple(p.quote or "" for p in part) for part in written.evidence),
        note=written.note,
    )


def problems(questions: Sequence[Question], text_of: TextOf) -> list[str]:
    """Hold questions against each other and against their sources; return findings, a line each, none if all is well.

    text_of: the text of a source as the product loads it, since places are offsets into that; None if unknown.
    Found are: an id or a question (with the same history, in any case and spacing) that comes twice; a place whose
    source is unknown, that reaches outside of the text, or whose quote is another text; a place that two parts share;
    an answerable question without evidence or facts, an unanswerable one with; a fact found at no place of the
    evidence. A place without a quote is read from its source.
    """
    text_of = cache(text_of)
    found = [*_repeated(questions)]
    for question in questions:
        found += [f"{question.id}: {line}" for check in _CHECKS for line in check(question, text_of)]
    return found


def _repeated(questions: Sequence[Question]) -> Findings:
    for id_, count in Counter(q.id for q in questions).items():
        if count > 1:
            yield f"{id_}: stands for {count} questions; give each an id of its own"
    first: dict[object, str] = {}
    for question in questions:
        known = first.setdefault(asked(question.question, question.history), question.id)
        if known != question.id:
            yield f"{question.id}: asks the same as {known}; remove one"


def asked(question: str, history: Turns) -> tuple[object, ...]:
    """Return what makes two questions the same one: their words and history, whatever the case and the spacing."""
    return _folded(question), *((_folded(q), _folded(a)) for q, a in history)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _wrongly_decided(question: Question, _: TextOf) -> Findings:
    for name, there in (("evidence", question.evidence), ("facts", question.facts)):
        if question.answerable and not there:
            yield f"is answerable, but has no {name}; add them, or write false"
        if there and not question.answerable:
            yield f"is not answerable, but has {name}; remove them, or write true"


def _misplaced(question: Question, text_of: TextOf) -> Findings:
    for where, place, quote in _places(question):
        text = text_of(place.source)
        if text is None:
            yield f"{where}: no source {place.source!r}; give its path inside of the folder of documents"
        elif not 0 <= place.start < place.end <= len(text):
            span = f"[{place.start}, {place.end})"
            yield f"{where}: {span} is no span of {place.source}, which has {len(text)} characters; correct it"
        elif quote and quote != text[place.start : place.end]:
            there = text[place.start : place.end]
            yield f"{where}: the quote is {shown(quote)}, but {place.source} has {shown(there)} there; correct one"


def _places(question: Question) -> Iterator[tuple[str, Place, str]]:
    """Yield each place with its path in the JSON object and its quote."""
    for i, (part, quotes) in enumerate(zip(question.evidence, question.quotes, strict=True)):
        for j, (place, quote) in enumerate(zip(part, quotes, strict=True)):
            yield f"evidence[{i}][{j}]", place, quote


def _shared(question: Question, _: TextOf) -> Findings:
    for i, part in enumerate(question.evidence):
        for j, other in enumerate(question.evidence[:i]):
            if common := set(part) & set(other):
                place = min(common, key=lambda p: (p.source, p.start, p.end))
                span = f"{place.source} [{place.start}, {place.end})"
                yield f"evidence[{j}] and evidence[{i}] share {span}; parts are all needed, so make one of the two"


def _unfounded(question: Question, text_of: TextOf) -> Findings:
    """Facts in no quote; silent where a place cannot be read, which is a finding of its own."""
    texts = [quote or (text_of(p.source) or "")[p.start : p.end] for _, p, quote in _places(question)]
    if not question.answerable or not texts or not all(texts):
        return
    for fact in question.facts:
        if not any(fact.search(text) for text in texts):
            yield f"the fact {shown(fact.pattern)} is at no place of the evidence; correct it, or add the place"


_CHECKS: tuple[Callable[[Question, TextOf], Findings], ...] = (_wrongly_decided, _misplaced, _shared, _unfounded)


def imbalances(
    questions: Sequence[Question], *, at_least: int = 10, test_share: tuple[float, float] = (0.25, 0.4)
) -> list[str]:
    """Return a line for each kind of fewer questions than ``at_least`` or with another share of them in "test".

    test_share: the least and the greatest share, both allowed. Kinds in the order of their first question.
    """
    low, high = test_share
    in_test = Counter(question.kind for question in questions if question.split == "test")
    found = []
    for kind, count in Counter(question.kind for question in questions).items():
        if count < at_least:
            found.append(f"kind {kind}: {count} of at least {at_least} questions; write more")
        if not low <= in_test[kind] / count <= high:
            asked_for = f"{100 * low:.0f} to {100 * high:.0f} %"
            found.append(f"kind {kind}: {in_test[kind]} of {count} questions are in test, not {asked_for}; move some")
    return found
