"""The numbers, amounts and dates of a text, comparable however they are written.

"Three decades" and "3 decades" are one amount, "Dec 27" and "27 December 2025" can be one day. Nothing is computed:
thirty years are no three decades. Only closed classes of English words stand here.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from text_to_num import alpha2digit

_MONTHS = "january february march april may june july august september october november december".split()
_MONTH = "(?P<month>" + "|".join(rf"{name[:3]}(?:t?\b\.?|{name[3:] or '(?!)'})" for name in _MONTHS) + ")"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>1\d{3}|20\d{2})"
_NUMBER_OF_MONTH = r"(?P<number>0?[1-9]|1[0-2])"
_DATES = tuple(
    re.compile(rf"(?<![\w.,/-])(?:{pattern})(?![\w/]|[.,-]\d)", re.IGNORECASE)
    for pattern in (
        rf"{_YEAR}-{_NUMBER_OF_MONTH}-{_DAY}",
        rf"{_DAY}\.\s?{_NUMBER_OF_MONTH}\.\s?{_YEAR}",
        rf"{_NUMBER_OF_MONTH}/{_YEAR}",
        rf"{_DAY}\s(?:of\s)?{_MONTH}(?:,?\s(?:of\s)?{_YEAR})?",
        rf"{_MONTH}\s(?:the\s)?{_DAY}(?:,?\s{_YEAR})?",
        rf"{_MONTH},?\s(?:of\s)?{_YEAR}",
    )
)
_MONTH_ALONE = re.compile(rf"(?<!\w)(?:{'|'.join(name.capitalize() for name in _MONTHS)})\b")
_YEAR_ALONE = re.compile(rf"(?<![\w.,$€£-]){_YEAR}(?![\w%]|[.,]\d)")
_BARE_YEAR = re.compile(_YEAR)
_WEEKDAY = re.compile(r"\b(mon|tues|wednes|thurs|fri|satur|sun)days?\b", re.IGNORECASE)

_UNITS = {
    name: name
    for name in (
        "second minute hour day week month year decade meter kilometer mile foot hectare acre ton kilogram gram barrel "
        "degree watt kilowatt megawatt gigawatt dollar euro pound yen yuan ruble rupee tenge hryvnia franc point"
    ).split()
} | {
    "percent": "%", "pct": "%", "percentage": "%", "century": "century", "centurie": "century", "rouble": "ruble",
    "metre": "meter", "kilometre": "kilometer", "km": "kilometer", "tonne": "ton", "kg": "kilogram", "feet": "foot",
}  # fmt: skip
_SCALES = {"k": 10**3, "mn": 10**6, "mln": 10**6, "m": 10**6, "bn": 10**9, "b": 10**9, "trn": 10**12}
_SHORT_FOR = {"thousand": "k", "million": "mn", "billion": "bn", "trillion": "trn"} | {
    s: s for s in ("mn", "mln", "bn")
}
_SCALE_BEHIND = re.compile(rf"(?<=\d)[\s-]({'|'.join(_SHORT_FOR)})\b", re.IGNORECASE)  # "11 billion": 11bn
_VAGUE = re.compile(
    r"\b(?:(?:dozens|scores|tens|hundreds|thousands|millions|billions|trillions)(?:\sof\s)?)+(?<!\s)", re.IGNORECASE
)
_SOME = re.compile(
    rf"\b(?:several|some|many|(?:a\s)?few|a\scouple\sof)\s(?P<unit>{'|'.join(_UNITS)})s\b", re.IGNORECASE
)
# Words that look like numbers and seldom are: "the two" are persons, "one of them" is no amount.
_NO_NUMBER = re.compile(
    r"(?<!ty[\s-])\b(?:one|ones|first|zero|(?:the|these|those|both|as)\stwo(?!\s(?:to|or)\s))\b", re.IGNORECASE
)
_IN_WORDS = (
    (
        re.compile(
            rf"\b((?:less|more)\sthan|over|under|within|nearly|almost)\s(?:an?|one)\s(?=(?:{'|'.join(_UNITS)})\b)",
            re.IGNORECASE,
        ),
        r"\1 1 ",
    ),
    (re.compile(r"\bhalf\sa\s(?=\w+illion|dozen)", re.IGNORECASE), "0.5 "),
    (re.compile(r"\b(?:a\s)?dozen\b", re.IGNORECASE), "12"),
    (re.compile(r"\bsecond(?=\s\w)", re.IGNORECASE), "2nd"),
    (re.compile(r"\btwice\b", re.IGNORECASE), "2 times"),
    (re.compile(r"\b(?:once|one\stime)(?=\s*(?:[.;!?]|$|in\s\d))", re.IGNORECASE), "1 time"),  # not "once called"
    (re.compile(r"\bpercentage\spoints?\b", re.IGNORECASE), "points"),
)
_FIRST = re.compile(r"\bfirst(?:\sand\sonly)?\s(?P<noun>[^\W\d_]+)", re.IGNORECASE)
_LATER = r"second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d+(?:nd|rd|th)"
_SHARE = re.compile(
    r"\b((?:(?:an?|one|two|three|four)[\s-])?(?:hal(?:f|ves)|(?:third|quarter|fifth|tenth)s?))\sof\b", re.IGNORECASE
)
# A bound changes what a number says: "under 81 %" is false where it was "over". Of one class any word does.
_BOUNDS = {
    name: re.compile(rf"\b(?:{words})\s(?:[A-Z]{{0,2}}[$€£¥₸₽₹]\s?)?(?=\d)", re.IGNORECASE)
    for name, words in {
        "under": r"under|below|(?:less|fewer|no\smore)\sthan|at\smost|up\sto",
        "nearly": r"nearly|almost|just\sunder|close\sto|barely",
        "over": r"over|above|(?<!no\s)more\sthan|at\sleast|exceed(?:s|ed|ing)?",
        "exactly": r"exactly|precisely",
    }.items()
}
_IRREGULAR_PLURALS = frozenset("people men women children".split())
_NUMBER = re.compile(
    r"(?P<money>US\$|[$€£¥₸₽₹])?\s?(?P<minus>(?<![\w)\]])[-−])?(?<![\w.,])"
    r"(?P<digits>\d{1,3}(?:[,\u202f\u00a0]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<ordinal>(?:st|nd|rd|th)\b)?(?P<decade>['’]?s\b)?"
    rf"(?:(?P<scale>{'|'.join(_SCALES)})\b)?",
    re.IGNORECASE,
)
_MONEY = {
    "$": "dollar", "us$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₸": "tenge", "₽": "ruble", "₹": "rupee",
}  # fmt: skip
_UNIT_BEHIND = re.compile(r"[\s-]?(?:(?P<percent>%|per\scent\b)|(?:US\s)?(?P<word>[^\W\d_]+))", re.IGNORECASE)
_TO_NEXT = re.compile(r"\s*(?:[-–—]|to|and|or|,)\s*", re.IGNORECASE)  # "5 to 7 percent": both are percentages


@dataclass(frozen=True, slots=True, order=True)
class Amount:
    """A number and what it counts: "%", "dollar", "year", "ordinal", …, or "" where the word behind it is no unit.

    of: the plural behind a number without unit ("81 votes"), for telling it from a number with one ("81 %").
    """

    value: str
    unit: str = ""
    of: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, [self.value, self.unit or self.of]))


@dataclass(frozen=True, slots=True)
class Date:
    """A day, a month, or either without its year."""

    year: int | None
    month: int
    day: int | None = None

    def __str__(self) -> str:
        month = _MONTHS[self.month - 1].capitalize()
        return " ".join(str(part) for part in (self.day, month, self.year) if part)


Quantity = Amount | Date


@lru_cache(maxsize=2048)
def quantities(text: str) -> frozenset[Quantity]:
    """Return the amounts and dates of a text. "One" and "first" are seldom numbers and are left out."""
    dates, text = _dates(text)
    found: set[Quantity] = set(dates.values())
    found |= {Amount(re.sub(r"[\s-]", " ", match[1].casefold()), "of it") for match in _SHARE.finditer(text)}
    found |= {Amount(match[1].casefold() + "day", "weekday") for match in _WEEKDAY.finditer(text)}
    found |= {Amount("some", _UNITS[match["unit"].casefold()]) for match in _SOME.finditer(text)}
    found |= {Amount(match.group().casefold(), "vague") for match in _VAGUE.finditer(text)}
    return frozenset(found | set(_amounts(_in_digits(_VAGUE.sub("·", text)))))


def quantities_with_years(text: str, *, before: str, year: int | None) -> frozenset[Quantity]:
    """Return the amounts and dates of a text, and each date with its year.

    Where it has none, its year is the nearest that stands before it, there or in what goes before; else ``year``, in
    which the text was written.
    """
    found = set(quantities(text))
    for at, date in _dates(text)[0].items():
        if date.year is None:
            earlier = _YEAR_ALONE.findall(before + text[:at])
            found.discard(date)
            found.add(Date(int(earlier[-1]) if earlier else year, date.month, date.day))
    return frozenset(found)


def misplaced_first(text: str, source: str) -> str | None:
    """Return what is the first in a text and only a later one in its source: "first meeting", of "second meeting"."""
    for noun in (match["noun"] for match in _FIRST.finditer(text)):
        later = re.search(rf"\b(?:{_LATER})\s(?:\w+\s)?{re.escape(noun)}", source, re.IGNORECASE)
        if later and not re.search(rf"\bfirst\s(?:\w+\s){{0,3}}{re.escape(noun)}", source, re.IGNORECASE):
            return f"first {noun}"
    return None


def bounds(text: str) -> frozenset[str]:
    """Return how the numbers of a text are bounded: "under", "nearly", "over", "exactly"."""
    text = _in_digits(text)
    return frozenset(name for name, pattern in _BOUNDS.items() if pattern.search(text))


def _dates(text: str) -> tuple[dict[int, Date], str]:
    """Return the dates of a text by their place, and the text with them blotted out."""
    found: dict[int, Date] = {}
    for pattern in _DATES:
        found |= {match.start(): _date(match.groupdict()) for match in pattern.finditer(text)}
        text = pattern.sub(lambda match: "·".center(len(match.group())), text)
    found |= {match.start(): Date(None, _month(match.group())) for match in _MONTH_ALONE.finditer(text)}
    return found, text


def wording(text: str) -> str:
    """Return what a text says beside its quantities."""
    for pattern in _DATES:
        text = pattern.sub(" ", text)
    return re.sub(
        rf"{_NUMBER.pattern}(?:[\s-]?(?:%|(?:{'|'.join(_UNITS)})s?\b))?", " ", _in_digits(text), flags=re.IGNORECASE
    )


def missing(said: Collection[Quantity], known: Collection[Quantity]) -> list[str]:
    """Return what is said and not known, in words."""
    completing = {date.year for date in known if isinstance(date, Date)}
    amounts = {amount for amount in known if isinstance(amount, Amount)}
    completing |= {int(amount.value) for amount in amounts if amount.value.isdecimal() and len(amount.value) == 4}
    amounts |= {Amount(str(date.year)) for date in known if isinstance(date, Date)}
    dates = [date for date in known if isinstance(date, Date)]
    return sorted(
        str(one)
        for one in said
        if not (_is_dated(one, dates, completing) if isinstance(one, Date) else _is_counted(one, amounts))
    )


def _is_dated(said: Date, known: Collection[Date], years: Collection[int | None]) -> bool:
    """Whether a known date has all that is said; a year that it lacks may be known by itself."""
    return any(
        date.month == said.month
        and said.day in {None, date.day}
        and (said.year in {None, date.year} or (date.year is None and said.year in years))
        for date in known
    )


def _is_counted(said: Amount, known: Collection[Amount]) -> bool:
    """Whether an amount is known. A number may lose its unit, but not gain one, nor change it for something counted."""
    alike = [amount for amount in known if said.value in {amount.value, "some"}]
    if said.unit:
        return any(amount.unit == said.unit for amount in alike)
    if said.of == "times" and any(amount.unit == "ordinal" for amount in alike):
        return True  # who met for the second time met twice
    return any(not said.of or not amount.unit or said.of == amount.of for amount in alike)


def _date(parts: dict[str, str | None]) -> Date:
    year, day, number, name = (parts.get(key) for key in ("year", "day", "number", "month"))
    return Date(int(year) if year else None, int(number) if number else _month(name or ""), int(day) if day else None)


def _month(name: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, start=1) if month.startswith(name.casefold()[:3]))


def _in_digits(text: str) -> str:
    for pattern, digits in _IN_WORDS:
        text = pattern.sub(digits, text)
    text = _SCALE_BEHIND.sub(lambda match: _SHORT_FOR[match[1].casefold()], text)
    text = _NO_NUMBER.sub("·", text)
    return str(alpha2digit(text, "en", threshold=0))


def _amounts(text: str) -> Iterator[Amount]:
    pending: list[Amount] = []  # numbers without unit, which one behind the next number may belong to
    end = 0
    for match in _NUMBER.finditer(text):
        amount = _amount(match, text)
        if pending and not _TO_NEXT.fullmatch(text[end : match.start()]):
            yield from pending
            pending = []
        if amount.unit:
            is_year = _BARE_YEAR.fullmatch(match["digits"])  # "1500 to 2000 dollars" are no years
            yield from (
                earlier if _BARE_YEAR.fullmatch(earlier.value) and not is_year else Amount(earlier.value, amount.unit)
                for earlier in pending
            )
            yield amount
            pending = []
        else:
            pending.append(amount)
        end = match.end()
    yield from pending


def _amount(match: re.Match[str], text: str) -> Amount:
    value = Decimal(re.sub(r"[,\u202f\u00a0]", "", match["digits"])) * (-1 if match["minus"] else 1)
    value *= _SCALES.get((match["scale"] or "").casefold(), 1)
    shown = format(value.normalize(), "f")
    behind = _UNIT_BEHIND.match(text, match.end())
    word = ((behind and behind["word"]) or "").casefold()
    if match["ordinal"] or match["decade"]:
        return Amount(shown, "ordinal" if match["ordinal"] else "decade")
    if match["money"]:
        return Amount(shown, _MONEY[match["money"].casefold()])
    if behind and behind["percent"]:
        return Amount(shown, "%")
    unit = _UNITS.get(word) or _UNITS.get(word.removesuffix("s"), "")
    is_plural = word in _IRREGULAR_PLURALS or bool(re.search(r"[^s]s$", word))
    return Amount(shown, unit, word if is_plural and not unit else "")
