"""What a sentence says that can be compared letter by letter: numbers and dates, quotations, names, negations, speakers.

``rag.verify`` compares what a model wrote with what it cites. Only closed classes of English words stand here (numbers,
months, units, words of denial), no person and no place. Knows nothing about passages or answers.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rag.names import CALENDAR, FUNCTION_WORDS, TITLES, TOKEN
from rag.words import STOPWORDS, fold, stemmer, words

# -- numbers and dates -------------------------------------------------------------------------------------------------

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_CARDINALS = {w: n for n, w in enumerate(_ONES)} | {w: 10 * n for n, w in enumerate(_TENS, start=2)} | {"dozen": 12}
_ORDINALS = {
    w: n
    for n, w in enumerate(
        "second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
        "sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        start=2,
    )
}
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SHORT_SCALES = {"k": 10**3, "mn": 10**6, "mln": 10**6, "m": 10**6, "bn": 10**9, "b": 10**9, "trn": 10**12}
_WORD_NUMBER = re.compile(
    rf"\b(?:(?:a|{'|'.join(_CARDINALS)})[\s-])?(?:(?:{'|'.join([*_CARDINALS, *_SCALES])})(?:[\s-](?:and\s)?)?)+(?<![\s-])\b",
    re.IGNORECASE,
)
_MONTHS = tuple("january february march april may june july august september october november december".split())
_MONTH = rf"(?P<month>{'|'.join(f'{m[:3]}(?:t?\.|{m[3:]})?' if m != 'may' else 'May' for m in _MONTHS)})"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>1\d{3}|20\d{2})"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_YEAR}-(?P<number>[01]\d)-{_DAY}\b",
        rf"\b{_DAY}\s(?:of\s)?{_MONTH}\b(?:,?\s(?:of\s)?{_YEAR}\b)?",
        rf"\b{_MONTH}\s(?:the\s)?{_DAY}\b(?!\d)(?:,?\s{_YEAR}\b)?",
        rf"\b{_MONTH},?\s(?:of\s)?{_YEAR}\b",
    )
)
_BARE_MONTH = re.compile(rf"(?<![\w.])(?:{'|'.join(m.capitalize() for m in _MONTHS)})\b")
_WEEKDAY = re.compile(r"\b(mon|tues|wednes|thurs|fri|satur|sun)days?\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?P<money>[$€£¥₸₽]|US\$)?\s?(?<![\w.,])(?P<digits>\d{1,3}(?:[,\u202f\u00a0]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<ordinal>(?:st|nd|rd|th)\b)?(?P<decade>['’]?s\b)?"
    rf"(?:[\s-]?(?P<scale>{'|'.join(_SCALES)})\b|(?P<short>{'|'.join(_SHORT_SCALES)})\b)?",
    re.IGNORECASE,
)
_UNITS = {
    "%": "% percent pct percentage",
    "money": "dollar euro pound yen yuan ruble rouble tenge hryvnia franc",
    **{
        unit: unit
        for unit in (
            "second minute hour day week month year decade century meter metre kilometer kilometre km mile hectare acre "
            "ton tonne kilogram kg barrel degree watt megawatt gigawatt"
        ).split()
    },
}
_UNIT_OF = {word: unit for unit, of in _UNITS.items() for word in of.split()} | {"centuries": "century"}
_UNIT = re.compile(r"[\s-]?(?:per\scent\b|(%)|(?:US\s)?([^\W\d_]+))", re.IGNORECASE)
_TO_NEXT = re.compile(r"\s*(?:[-–—]|to|and|or|,)\s*\Z", re.IGNORECASE)
_MONEY = {"$": "dollar", "us$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₸": "tenge", "₽": "ruble"}


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """A number with its unit, or a part of a date. unit: "" for a bare number, else "%", "year", "date", "month", …"""

    unit: str
    value: str


def quantities(text: str) -> frozenset[Quantity]:
    """Return the numbers, amounts and dates of a text, however they are written.

    A date counts as its parts: ("date", "12-27"), ("month", "12"), ("dated", "2025-12") where month and year stand
    together, and ("", "2025"). "One" and "first" are seldom numbers and are left out.
    """
    found: set[Quantity] = set()
    for pattern in _DATES:
        text = pattern.sub(lambda match: _keep_date(match, found), text)
    for match in _BARE_MONTH.finditer(text):
        found.add(Quantity("month", str(_month(match.group()))))
    found |= {Quantity("weekday", match[1].casefold()) for match in _WEEKDAY.finditer(text)}
    text = _WORD_NUMBER.sub(_digits, text)
    for word, n in _ORDINALS.items():
        text = re.sub(rf"\b{word}\b(?!s)", f"{n}th", text, flags=re.IGNORECASE)
    return frozenset(found | set(_numbers(text)))


def unmatched(said: Iterable[Quantity], known: frozenset[Quantity]) -> list[Quantity]:
    """Return what is said and not known. A bare number may stand for one with a unit, never the other way round.

    A month with its year has to be known together where the known text dates that month at all.
    """
    values = {quantity.value for quantity in known if quantity.unit not in {"date", "month", "dated", "weekday"}}
    dated = {quantity.value[5:] for quantity in known if quantity.unit == "dated"}
    missing = []
    for quantity in sorted(said):
        if quantity.unit == "dated":
            fine = quantity in known or quantity.value[5:] not in dated
        else:
            fine = quantity in known or (not quantity.unit and quantity.value in values)
        if not fine:
            missing.append(quantity)
    return missing


def _keep_date(match: re.Match[str], found: set[Quantity]) -> str:
    parts = match.groupdict()
    month = int(parts["number"]) if parts.get("number") else _month(parts["month"])
    found.add(Quantity("month", str(month)))
    if parts.get("day"):
        found.add(Quantity("date", f"{month}-{int(parts['day'])}"))
    if parts.get("year"):
        found.add(Quantity("", parts["year"]))
        found.add(Quantity("dated", f"{parts['year']}-{month:02d}"))
    return " "


def _month(name: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, start=1) if month.startswith(name.casefold()[:3]))


def _digits(match: re.Match[str]) -> str:
    """Return a number written in words as digits, or as it is where it is no number: "one", "a hundred times" stay."""
    total = current = 0
    for word in re.findall(r"[a-z]+", match.group().casefold()):
        if word in _SCALES and word != "hundred":
            total, current = total + (current or 1) * _SCALES[word], 0
        elif word in {"hundred", "dozen"}:
            current = (current or 1) * (100 if word == "hundred" else 12)
        else:
            current += _CARDINALS.get(word, 0)
    number = total + current
    alone = match.group().casefold()
    if number in {0, 1} or (alone in _SCALES):  # "million" behind digits belongs to them
        return match.group()
    return str(number)


def _numbers(text: str) -> Iterator[Quantity]:
    pending: list[tuple[int, str]] = []  # bare numbers that a unit behind the next one may belong to: "5 to 7 percent"
    for match in _NUMBER.finditer(text):
        value = Decimal(re.sub(r"[,\u202f\u00a0]", "", match["digits"]))
        value *= _SCALES.get((match["scale"] or "").casefold(), 1) * _SHORT_SCALES.get(
            (match["short"] or "").casefold(), 1
        )
        shown = format(value.normalize(), "f")
        unit = _unit_behind(text, match)
        if pending and not _TO_NEXT.match(text[pending[-1][0] : match.start()]):
            yield from (Quantity("", earlier) for _, earlier in pending)
            pending = []
        if unit:
            yield Quantity(unit, shown)
            yield from (Quantity(unit, earlier) for _, earlier in pending)
            pending = []
        else:
            pending.append((match.end(), shown))
    yield from (Quantity("", earlier) for _, earlier in pending)


def _unit_behind(text: str, match: re.Match[str]) -> str:
    if match["ordinal"]:
        return "ordinal"
    if match["decade"]:
        return "decade"
    if match["money"]:
        return _MONEY[match["money"].casefold()]
    behind = _UNIT.match(text, match.end())
    if behind is None:
        return ""
    if not behind[2]:
        return "%"
    word = behind[2].casefold()
    unit = _UNIT_OF.get(word) or _UNIT_OF.get(word.removesuffix("s"), "")
    return word.removesuffix("s").replace("rouble", "ruble") if unit == "money" else unit


# -- quotations --------------------------------------------------------------------------------------------------------

_QUOTED = re.compile(
    r"“([^“”]+)”|\"([^\"]+)\"|«([^«»]+)»|„([^„“”]+)[“”]|(?<!\w)[‘']([^‘’']+(?:[’'](?=\w)[^‘’']+)*)[’'](?!\w)"
)
_OMITTED = re.compile(r"\s*(?:\[\s*(?:\.\.\.|…)\s*\]|\(\s*(?:\.\.\.|…)\s*\)|\.\.\.\.?|…)\s*")
_ALIKE = {c: "'" for c in "‘’‚‛`´"} | {c: '"' for c in "“”„‟«»″"} | {c: "-" for c in "‐‑‒–—−"} | {"\u00a0": " "}


def quotations(text: str) -> list[list[str]]:
    """Return the quotations of a text, each as the pieces between its omissions ("…")."""
    found = []
    for match in _QUOTED.finditer(text):
        inside = next(group for group in match.groups() if group is not None)
        pieces = [piece.strip(" ,.;:!?-–—") for piece in _OMITTED.split(inside)]
        if kept := [piece for piece in pieces if any(c.isalnum() for c in piece)]:
            found.append(kept)
    return found


def find_quotation(pieces: Sequence[str], text: str) -> list[tuple[int, int]] | None:
    """Return where the pieces of a quotation stand in a text, verbatim and in order; None if they do not.

    White space, the form of quotation marks and dashes, and the case of a piece's first letter may differ. Offsets
    are of ``text`` as it is.
    """
    plain, offsets = _comparable(text)
    places, start = [], 0
    for piece in pieces:
        sought, _ = _comparable(re.sub(r"\[(\w+)\]", r"\1", piece))  # "[T]he" is an editor's capital
        at = _find_word(plain, sought.strip(), start)
        if at is None:
            return None
        places.append((offsets[at], offsets[at + len(sought.strip()) - 1] + 1))
        start = at + len(sought.strip())
    return places


def _find_word(text: str, sought: str, start: int) -> int | None:
    first = sought[:1]
    pattern = rf"(?<!\w)[{re.escape(first.lower())}{re.escape(first.upper())}]{re.escape(sought[1:])}(?!\w)"
    if not first.isalnum():
        pattern = rf"{re.escape(sought)}(?!\w)"
    match = re.compile(pattern).search(text, start)
    return match.start() if match else None


def _comparable(text: str) -> tuple[str, list[int]]:
    """Return the text with marks of one kind made one and white space single, and the offset of each character."""
    kept: list[str] = []
    offsets: list[int] = []
    for at, character in enumerate(text):
        alike = " " if character.isspace() else _ALIKE.get(character, character)
        if alike in {"\u00ad", "\u200b"} or (alike == " " and kept and kept[-1] == " "):
            continue
        kept.append(alike)
        offsets.append(at)
    return "".join(kept), offsets


# -- names -------------------------------------------------------------------------------------------------------------


def names(text: str, *, is_common: frozenset[str] = frozenset()) -> list[str]:
    """Return the capitalised words of a text that may be names, in order, possessives cut off.

    At the start of a sentence a capital says nothing: that word counts unless it is in ``is_common``, words that are
    mostly written without a capital.
    """
    tokens = TOKEN.findall(text)
    found = []
    for at, token in enumerate(tokens):
        if not token[0].isupper() or token in {"I"}:
            continue
        folded = token.casefold()
        if folded in FUNCTION_WORDS | CALENDAR | TITLES:
            continue
        opens = at == 0 or not (
            tokens[at - 1][0].isalnum() or tokens[at - 1] in {",", ")", "(", "–", "'s", "’s", "&", "-"}
        )
        if opens and (folded in is_common or stemmer().stemWord(folded) in is_common):
            continue
        found.append(token)
    return found


# -- negation ----------------------------------------------------------------------------------------------------------

_NEGATION = frozenset("not never no none neither nor without cannot hardly unable".split())
_CLAUSE_END = frozenset(",;:.!?()–—") | {"but", "while", "although", "because", "that", "which", "who", "and", "or"}
_HEDGED = frozenset("only just merely simply necessarily".split())  # "not only" denies nothing
_MAX_SCOPE = 4  # words from a negation to what it negates


def negated(text: str) -> frozenset[str]:
    """Return the stems of the words that the text denies: the first verb, noun or adjective behind each negation."""
    tokens = [token.casefold() for token in TOKEN.findall(re.sub(r"n['’]t\b", " not", text))]
    found: set[str] = set()
    for at, token in enumerate(tokens):
        if token not in _NEGATION or (at + 1 < len(tokens) and tokens[at + 1] in _HEDGED):
            continue
        for word in tokens[at + 1 : at + 1 + _MAX_SCOPE]:
            if word in _CLAUSE_END:
                break
            if word in STOPWORDS or word in FUNCTION_WORDS or word.endswith("ly") or not word.isalpha():
                continue
            found.add(stemmer().stemWord(fold(word)))
            break
    return frozenset(found)


def affirmed(text: str) -> frozenset[str]:
    """Return the stems of the content words that the text says somewhere without denying them."""
    denied = negated(text)
    counted = [word.stem for word in words(text) if word.folded not in STOPWORDS]
    if not denied:
        return frozenset(counted)
    pieces = re.split(r"(?<=[.!?;])\s+", text)
    if len(pieces) == 1:
        return frozenset(counted) - denied
    return frozenset().union(*(affirmed(piece) for piece in pieces))


# -- speakers ----------------------------------------------------------------------------------------------------------

_SAID = (
    r"(?:said|says|asked|added|adds|told|replied|answered|stated|states|noted|notes|explained|concluded|stressed|"
    r"emphasi[sz]ed|argued|argues|wrote|writes|warned|warns|admitted|insisted|recalled|declared|remarked|claimed|claims|"
    r"believes|thinks|announced|acknowledged|observed|suggested|suggests|described|describes|called|calls)"
)
_NAME = r"(?:[A-ZÀ-ÞŞŠŽČ][\w’'-]+)"
_SPEAKERS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?P<who>{_NAME}(?:\s{_NAME}){{0,3}})(?:,[^,.;]{{1,80}},)?\s(?:also\s|has\s|had\s|have\s|later\s)?{_SAID}\b",
        rf"\b[Aa]ccording\sto\s(?:[a-z]+\s){{0,5}}(?P<who>{_NAME}(?:\s{_NAME}){{0,3}})",
        rf"[,”\"]\s?{_SAID}\s(?:[a-z]+\s){{0,4}}(?P<who>{_NAME}(?:\s{_NAME}){{0,3}})",
        rf"\b(?P<who>{_NAME})['’]s\s(?:view|opinion|words|assessment|account)\b",
    )
)
_PRONOUN_SAYS = re.compile(
    rf"\b(?:[Hh]e|[Ss]he)\s(?:also\s|has\s|had\s|later\s)?{_SAID}\b|[,”\"]\s?(?:he|she)\s{_SAID}\b"
)


def speakers(text: str) -> list[str]:
    """Return the names of those who are said to say something, as the text has them."""
    found: list[str] = []
    for pattern in _SPEAKERS:
        for match in pattern.finditer(text):
            kept = [w for w in match["who"].split() if w.casefold() not in FUNCTION_WORDS | CALENDAR | TITLES]
            if kept:
                found.append(" ".join(kept))
    return found


def speaks_by_pronoun(text: str) -> bool:
    """Whether "he said" or "she added" stands in the text: the speaker is named before it."""
    return bool(_PRONOUN_SAYS.search(text))
