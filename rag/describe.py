"""Find out what a document is: title, publisher, author, date; and read the files beside it that say more.

What is printed in a document is read off it, mostly off the header lines that cleaning marked. ``sources.toml`` beside
the documents overrides it. A value that is neither stated nor certain stays None: a wrong date under a quote is worse
than none. Knows nothing about passages.

``sources.toml``, all keys optional:

    ignore = ["README.md"]                          # patterns of files that are no documents

    ["reports/2025.txt"]                            # the document's path relative to this folder
    title = "…"
    publisher = "…"
    author = "…"
    language = "en"
    date = 2025-12-29
    inferred = { date = "why it is an inference" }
"""

import calendar
import datetime as dt
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rag.clean import Line, lines
from rag.errors import DocumentError
from rag.types import Exclusion

SOURCES_FILE = "sources.toml"
SYNONYMS_FILE = "synonyms.toml"
TEXT_FIELDS = ("title", "publisher", "author", "language")
FIELDS = (*TEXT_FIELDS, "date")

MAX_TITLE_CHARS = 150  # longer than headlines are, shorter than paragraphs mostly are
# A report appears within weeks of the last event that it dates; three months leave room for commentary, and are short
# enough that only one year fits.
MAX_LAG = dt.timedelta(days=92)

_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_MARKDOWN_TITLE = re.compile(r"#\s+(\S.*?)\s*#*")
_DASH = re.compile(r"\A[-–—•·|]\s*")
_BY = re.compile(r"(?:by|written by|author:)\s+", re.IGNORECASE)
_GOOGLE_NEWS = re.compile(r"read all articles by (.+?) on google news\b", re.IGNORECASE)

_MONTHS = {name.lower(): n for names in (calendar.month_name, calendar.month_abbr) for n, name in enumerate(names) if n}
_MONTHS["sept"] = 9
_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
_FULL_DATE = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_MONTH}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})\b",
        rf"\b(?P<day>\d{{1,2}})\.?\s+{_MONTH},?\s+(?P<year>\d{{4}})\b",
        r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b",
    )
)
_MONTH_AND_DAY = re.compile(rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is said about one document beside its text, by ``sources.toml`` or by its file; None where nothing is."""

    title: str | None = None
    publisher: str | None = None
    author: str | None = None
    language: str | None = None
    date: dt.date | None = None
    inferred: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """A folder's ``sources.toml``: patterns to ignore, and overrides by source."""

    ignore: tuple[str, ...] = ()
    documents: Mapping[str, Overrides] = field(default_factory=dict)

    def of(self, source: str) -> Overrides:
        """Return what is said about this document, which may be nothing."""
        return self.documents.get(source, Overrides())


@dataclass(frozen=True, slots=True)
class Description:
    """What is known about a document; ``inferred`` maps a field to the reason why its value is an inference."""

    title: str
    publisher: str | None
    author: str | None
    date: dt.date | None
    language: str | None
    inferred: Mapping[str, str] = field(default_factory=dict)


def describe(
    text: str, source: str, exclusions: Sequence[Exclusion], overrides: Overrides, stated: Overrides
) -> Description:
    """Describe a document by its text, by its cleaned-out header lines, and above all by ``overrides``.

    exclusions: what ``rag.clean`` left out of this text. stated: what its file says in fields of its own, which counts
    more than what is read off the text, and less than what is said on purpose.
    A language is never guessed. A year that the header leaves out is taken from the dates in the text, if they settle
    it; ``inferred["date"]`` then says how.
    """
    marked = _first_by_rule(text, exclusions)
    read_date, reason = _read_date(marked.get("header-date"), text, exclusions)
    inferred = dict(overrides.inferred) if overrides.date or stated.date else {**overrides.inferred, **reason}
    return Description(
        title=overrides.title or stated.title or _title(text, source, exclusions),
        publisher=overrides.publisher or stated.publisher or _publisher(marked),
        author=overrides.author or stated.author or _author(marked.get("byline")),
        date=overrides.date or stated.date or read_date,
        language=overrides.language or stated.language,
        inferred=inferred,
    )


def read_sources(folder: Path) -> Sources:
    """Read ``sources.toml`` of a folder; without one, nothing is ignored and nothing overridden.

    Raises DocumentError, which names the file and the key, for anything that does not mean something.
    """
    path = folder / SOURCES_FILE
    table = _read_toml(path)
    ignore = table.pop("ignore", [])
    if not _are_texts(ignore):
        raise DocumentError(path, "'ignore' is a list of file patterns")
    for pattern in ignore:
        _check_pattern(pattern, path)
    return Sources(tuple(ignore), {name: _overrides(name, entry, path) for name, entry in table.items()})


def read_synonyms(folder: Path) -> tuple[tuple[str, ...], ...]:
    """Read ``synonyms.toml`` of a folder: groups of names that mean the same in its documents.

    Raises DocumentError, which names the file and the group, unless every group has two or more names.
    """
    path = folder / SYNONYMS_FILE
    table = _read_toml(path)
    unknown = sorted(table.keys() - {"groups"})
    if unknown:
        raise DocumentError(path, f"unknown key {unknown[0]!r}; the only key is 'groups'")
    groups = table.get("groups", [])
    if not isinstance(groups, list):
        raise DocumentError(path, "'groups' is a list of lists of names")
    for group in groups:
        if not _are_texts(group) or len(group) < 2:
            raise DocumentError(path, f"'groups' has {group!r}; a group is a list of two or more names")
    return tuple(tuple(group) for group in groups)


def _first_by_rule(text: str, exclusions: Sequence[Exclusion]) -> dict[str, str]:
    """Return rule name -> the first line it left out, without the dash of a header list."""
    first: dict[str, str] = {}
    for exclusion in exclusions:
        first.setdefault(exclusion.rule, _DASH.sub("", exclusion.span.cut(text).strip()))
    return first


def _publisher(marked: Mapping[str, str]) -> str | None:
    if "header-publisher" in marked:
        return marked["header-publisher"]
    # "Read all articles by NAME on Google News": the line names who publishes them.
    named = _GOOGLE_NEWS.match(marked.get("follow-publisher", ""))
    return named.group(1) if named else None


def _author(byline: str | None) -> str | None:
    return _BY.sub("", byline, count=1) if byline else None


def _title(text: str, source: str, exclusions: Sequence[Exclusion]) -> str:
    left_out = {exclusion.span.start for exclusion in exclusions}
    kept = [line for line in lines(text) if line.start not in left_out]
    first, following = (*kept[:2], None, None)[:2]
    if first is None:
        return PurePosixPath(source).stem
    if len(first.text) > MAX_TITLE_CHARS:
        return PurePosixPath(source).stem
    if heading := _MARKDOWN_TITLE.fullmatch(first.text):
        return heading.group(1)
    return first.text if _looks_like_title(first, following) else PurePosixPath(source).stem


def _looks_like_title(line: Line, following: Line | None) -> bool:
    """Whether a short first line is a title: it does not end as a sentence, or a blank line sets it apart."""
    stands_apart = following is not None and following.number > line.number + 1
    return stands_apart or not _SENTENCE_END.search(line.text)


def _read_date(header: str | None, text: str, exclusions: Sequence[Exclusion]) -> tuple[dt.date | None, dict[str, str]]:
    """Return the header's date, and for one whose year had to be inferred the reason under the key "date"."""
    if not header:
        return None, {}
    if stated := next(_full_dates(header), None):
        return stated, {}
    partial = _MONTH_AND_DAY.search(header)
    latest = max(_full_dates(_body(text, exclusions)), default=None)
    if partial is None or latest is None:
        return None, {}
    inferred = _first_on_or_after(latest, month=_MONTHS[partial["month"].lower()], day=int(partial["day"]))
    if inferred is None or inferred - latest > MAX_LAG:
        return None, {}
    return inferred, {
        "date": f'the header says "{partial[0]}" without a year; the latest date in the text is {latest.isoformat()}, '
        f"and {inferred.isoformat()} is the first such day from then on"
    }


def _body(text: str, exclusions: Sequence[Exclusion]) -> str:
    """Return the text without what was left out: a caption's date says when a picture was taken, not more."""
    parts, start = [], 0
    for exclusion in exclusions:
        parts.append(text[start : exclusion.span.start])
        start = exclusion.span.end
    return "".join([*parts, text[start:]])


def _full_dates(text: str) -> Iterator[dt.date]:
    """Yield the dates with day, month and year; days that no calendar has are passed over."""
    for pattern in _FULL_DATE:
        for match in pattern.finditer(text):
            month = match["month"]
            number = int(month) if month.isdecimal() else _MONTHS[month.lower()]
            if date := _date(int(match["year"]), number, int(match["day"])):
                yield date


def _first_on_or_after(earliest: dt.date, *, month: int, day: int) -> dt.date | None:
    candidates = (_date(year, month, day) for year in (earliest.year, earliest.year + 1))
    return next((date for date in candidates if date and date >= earliest), None)


def _date(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def _read_toml(path: Path) -> dict[str, Any]:
    """Return the table in a file; an empty one if there is no such file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DocumentError(path, f"not readable as TOML: {' '.join(str(error).split())}") from error


def _overrides(name: str, entry: Any, path: Path) -> Overrides:
    if not isinstance(entry, dict):
        raise DocumentError(path, f'unknown key {name!r}; a document is a table ["its/path.txt"]')
    unknown = sorted(entry.keys() - {*FIELDS, "inferred"})
    if unknown:
        raise DocumentError(
            path, f"[{name}] has the unknown key {unknown[0]!r}; known are {', '.join(FIELDS)}, inferred"
        )
    for key in TEXT_FIELDS:
        if key in entry and not (isinstance(entry[key], str) and entry[key].strip()):
            raise DocumentError(path, f"[{name}] {key} is {entry[key]!r}; it is a text, or left out")
    # type(), since a TOML date with a time is a datetime, and a datetime is a date to isinstance.
    if "date" in entry and type(entry["date"]) is not dt.date:
        raise DocumentError(path, f"[{name}] date is {entry['date']!r}; it is written as 2025-12-29, without quotes")
    inferred = entry.get("inferred", {})
    if not isinstance(inferred, dict) or not _are_texts(list(inferred.values())):
        raise DocumentError(path, f'[{name}] inferred is written as {{ date = "reason" }}')
    stray = sorted(inferred.keys() - entry.keys())
    if stray:
        raise DocumentError(path, f"[{name}] inferred gives a reason for {stray[0]!r}, which is not among its values")
    return Overrides(**entry)


def _check_pattern(pattern: str, path: Path) -> None:
    try:
        PurePosixPath("x").match(pattern)
    except ValueError as error:
        raise DocumentError(path, f"'ignore' has {pattern!r}, which is no file pattern") from error


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) and text.strip() for text in value)
