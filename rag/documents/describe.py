"""Determine a document's title, publisher, author, date and language.

They come from the document, mostly from the header lines that cleaning marked; ``sources.toml`` next to the documents
overrides them. A value that is neither stated nor certain stays None: a wrong date under a quote is worse than none.
"""

import calendar
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from rag.documents.clean import Line, Role, lines
from rag.documents.sources import Overrides
from rag.values import Exclusion

MAX_TITLE_CHARS = 150  # longer than any headline, shorter than most paragraphs
# A report appears within weeks of the last event it dates. Three months leave room for commentary and are short enough
# that only one year fits.
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
class Description:
    """What is known about a document; ``inferred`` maps a field to the reasoning behind its inferred value."""

    title: str
    publisher: str | None
    author: str | None
    date: dt.date | None
    language: str | None
    inferred: Mapping[str, str] = field(default_factory=dict)


def describe(
    text: str,
    source: str,
    exclusions: Sequence[Exclusion],
    overrides: Overrides,
    stated: Overrides,
    *,
    roles: Mapping[str, Role],
) -> Description:
    """Describe a document from its text and excluded header lines; ``overrides`` take precedence.

    exclusions: what cleaning left out of this text. stated: metadata from the file's own fields, which overrides what
    the text suggests but not ``overrides``. roles: what the lines of a cleaning rule say, by the rule's name.
    The language is never guessed. If the header date has no year, it is inferred from the dates in the text when they
    settle it; ``inferred["date"]`` then says how.
    """
    marked = _first_by_role(text, exclusions, roles)
    read_date, reason = _read_date(marked.get("date"), text, exclusions)
    inferred = dict(overrides.inferred) if overrides.date or stated.date else {**overrides.inferred, **reason}
    return Description(
        title=overrides.title or stated.title or _title(text, source, exclusions),
        publisher=overrides.publisher or stated.publisher or _publisher(marked),
        author=overrides.author or stated.author or _author(marked.get("author")),
        date=overrides.date or stated.date or read_date,
        language=overrides.language or stated.language,
        inferred=inferred,
    )


def _first_by_role(text: str, exclusions: Sequence[Exclusion], roles: Mapping[str, Role]) -> dict[Role, str]:
    """Map each role to the first line that was left out with it, without the dash of a header list."""
    first: dict[Role, str] = {}
    for exclusion in exclusions:
        if role := roles.get(exclusion.rule):
            first.setdefault(role, _DASH.sub("", exclusion.span.cut(text).strip()))
    return first


def _publisher(marked: Mapping[Role, str]) -> str | None:
    if "publisher" in marked:
        return marked["publisher"]
    # "Read all articles by NAME on Google News" names the publisher.
    named = _GOOGLE_NEWS.match(marked.get("follow", ""))
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
    """Return whether a short first line is a title: it does not end like a sentence, or a blank line follows."""
    stands_apart = following is not None and following.number > line.number + 1
    return stands_apart or not _SENTENCE_END.search(line.text)


def _read_date(header: str | None, text: str, exclusions: Sequence[Exclusion]) -> tuple[dt.date | None, dict[str, str]]:
    """Return the header's date and, if its year was inferred, the reason under the key "date"."""
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
    """Return the text without exclusions: a caption's date only says when a picture was taken."""
    parts, start = [], 0
    for exclusion in exclusions:
        parts.append(text[start : exclusion.span.start])
        start = exclusion.span.end
    return "".join([*parts, text[start:]])


def _full_dates(text: str) -> Iterator[dt.date]:
    """Yield the dates that have day, month and year, skipping impossible ones."""
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
