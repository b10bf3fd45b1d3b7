"""Markers in a text that a model wrote: which sentence cites what, whatever form the markers have.

Whether a marker means a passage, and whether that passage says so, ``rag.gate.claims`` decides. A line is cut behind
each marker that ends a sentence, by what stands around it and nothing else, so that more text can come while the
sentences before stay as they are.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from rag.text.sentences import sentences
from rag.values import Span

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_NUMBERS = r"[-−]?\d[\d.,;&\s]*(?:(?:[-–—]|and|to)\s*\d[\d.,;&\s]*)*"
_MARKER = re.compile(
    rf"[\[【［〔]\s*(?:(?:source|passage|ref|doc)s?[.:]?\s*\#?|\^)?(?P<square>{_NUMBERS})(?:†[^\[\]【】()\n{_SUPERSCRIPTS}]*)?[\]】］〕]"
    rf"(?:\((?=https?:|www\.|\#)[^()\s{_SUPERSCRIPTS}]*\))?"  # [1](address)
    r"|(?<=[\w.!?…,;:”\"'’)\]】])\s?\((?P<round>\d{1,2}(?:\s*[,;]\s*\d{1,2})*)\)(?=\s*(?:[.!?,;:)\[(【]|$)|\s+(?-i:[^\W\d_a-z]))"
    rf"|(?<=[\w.!?…,;:”\"'’)\]】])(?P<raised>[{_SUPERSCRIPTS}]+)",
    re.IGNORECASE,
)
# What leads to a marker that stands in the sentence as a noun: "According to [1], …", "…, as noted in passage [1], …".
# Only at the start or behind a mark: "removed from [1]", "was reported by [1] to have quit" say something of their own.
_LEAD = re.compile(
    r"(?P<mark>\A|[,;(]|(?<=[.!?…”\"])(?=\s))\s*(?:according\sto|per|in|from|see"
    r"|as\s(?:stated|noted|mentioned|described|reported|shown|quoted|written)\s(?:in|by))(?:\s(?:the\s)?passages?)?\Z",
    re.IGNORECASE,
)
_META = re.compile(  # never "the source" or "the document", which the passage itself may speak of
    r"\A(?:the|this)\spassage(?:\s(?:also|further))?\s(?:states?|says|mentions|notes|reports|indicates|explains)\sthat\s"
    r"|\Aaccording\sto\s(?:the|this)\spassage,\s",
    re.IGNORECASE,
)
_COMMA_LEFT = re.compile(r"\s*[,;]+(?=[.!?]?\Z)")
_UNIT_BEFORE = re.compile(r"(?:^|[\W\d_])(?:[kcm]?m|ft|mi|\d)$")  # of m², not of a footnote
_RANGE = re.compile(r"(\d+)\s*(?:[-–—]|to)\s*(\d+)")
_MARKER_CHARS = 200  # no marker is longer
_MAX_RANGE = 20  # [1-999] names no passages; it is a marker that does not exist
_STOPPED = re.compile(r"[.!?…][”\"'’»)*_]*\s*$")
_STOP_BEHIND = re.compile(r"\s*[.!?…]+[”\"'’»)*_]*(?=\s|$)")
_BULLET = re.compile(r"\A\s*(?:[-*•‣–]\s+|\#{1,6}\s+|>\s*|\(?\d{1,2}[.)]\s+(?=\S))")
_MARKUP = (
    (re.compile(r"!?\[(?!\d+\])([^\[\]]*)\]\([^()\s]*(?:\s[^()]*)?\)"), r"\1"),  # a link or an image is its words
    (re.compile(r"``([^`]+?)''"), r"“\1”"),  # as TeX quotes
    (re.compile(r"</?[a-z!][^<>]*>?", re.IGNORECASE), ""),
    (re.compile(r"\*{2,}|_{2,}|~~|`+"), ""),
    (re.compile(r"(?<!\w)([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?!\w)"), r"\2"),
)
_UNDECIDED = frozenset("[【［〔(.!?…" + _SUPERSCRIPTS)
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # control, zero width, direction, surrogate, unassigned


@dataclass(frozen=True, slots=True)
class Written:
    """A sentence as a model wrote it, without its markers. markers: as written, "1" or "99" or "1.5", in order."""

    text: str
    markers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of a line up to the end of the sentence that a marker closes. end: in the line."""

    text: str
    end: int


def written_sentences(text: str) -> tuple[Written, ...]:
    """Return the sentences of a written text with the markers that belong to each.

    A marker belongs to the sentence that it stands in or behind ("… in May. [1]"); at the start of a line, to the one
    that it opens. One that ends a paragraph or list item without any other marker stands for all of its sentences.
    Bullets, headings, emphasis, HTML and what is not visible are dropped, and of links all but their words.
    """
    return tuple(sentence for line in shown(text).split("\n") for sentence in _of_line(line, is_whole=True))


def settled(text_so_far: str) -> tuple[Written, ...]:
    """Return the sentences that no continuation of a text can change: the first ones of ``written_sentences``.

    Those are all of whole lines, and in the last line those before the last marked sentence that something follows: the
    letter behind a marker shows that no other marker belongs to it.
    """
    *lines, last = shown(text_so_far).split("\n")
    whole = [sentence for line in lines for sentence in _of_line(line, is_whole=True)]
    return (*whole, *_of_line(last, is_whole=False))


def shown(text: str) -> str:
    """Return the text without characters that hide or turn others: control, zero-width and direction marks."""
    text = _LINE_ENDS.sub("\n", text)
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _HIDDEN)


def unmarked(text: str) -> str:
    """Return a text in which nothing is a marker, for those to read who are to write markers of their own.

    A footnote's number goes. What may be more than that stays as "(2019)" of "[2019]" and "( 72)" of "(72)".
    """
    start = 0
    while match := _next_marker(text, start):
        inside = match["square"] or ""
        is_footnote = match["raised"] or (inside and not re.search(r"\d{4}", inside))
        kept = "" if is_footnote else f" ({inside.strip()})" if inside else match.group().replace("(", "( ")
        before = text[: match.start()]
        before = before.rstrip(" ") if is_footnote or inside else before
        start = max(0, len(before) - _MARKER_CHARS)  # what is left may be one: "[[1]1]"
        text = before + kept + text[match.end() :]
    return text


def _of_line(line: str, *, is_whole: bool) -> list[Written]:
    line = _BULLET.sub("", line)
    pieces = list(_pieces(line))
    if not is_whole:
        pieces = pieces[: _n_settled(pieces, line)]
    elif len(pieces) == 1:
        return _all_by_the_last(pieces[0].text)
    return [sentence for piece in pieces for sentence in _of_piece(piece.text)]


def _n_settled(pieces: list[_Piece], line: str) -> int:
    """Return how many pieces something follows that is neither another marker nor a stop, nor may become one."""
    followed = [line[piece.end :].lstrip()[:1] for piece in pieces]
    return max((n for n, first in enumerate(followed, start=1) if first and first not in _UNDECIDED), default=0)


def _pieces(line: str) -> Iterator[_Piece]:
    """Cut a line behind each group of markers that ends a sentence; the rest is a piece of its own."""
    start = at = 0
    while match := _next_marker(line, at):
        end = match.end()
        while (more := _next_marker(line, end)) and not line[end : more.start()].strip():
            end = more.end()
        before, behind = line[start : match.start()], _STOP_BEHIND.match(line, end)
        opens_lower = line[end:].lstrip()[:1].islower()
        at = behind.end() if behind and before.strip() else end
        if before.strip() and (behind or (_STOPPED.search(before) and not opens_lower)):
            yield _Piece(line[start:at], at)
            start = at
    if line[start:].strip():
        yield _Piece(line[start:], len(line))


def _next_marker(line: str, start: int) -> re.Match[str] | None:
    found = _MARKER.finditer(line, start)
    return next(
        (m for m in found if not (m["raised"] and _UNIT_BEFORE.search(line[max(0, m.start() - 4) : m.start()]))), None
    )


@lru_cache(maxsize=512)
def _of_piece(piece: str) -> tuple[Written, ...]:
    plain, places = _without_markers(_without_markup(piece))
    spans = _made_whole(sentences(plain, Span(0, len(plain))) if plain.strip() else (), plain)
    owned: list[list[str]] = [[] for _ in spans]
    for at, numbers in places:
        # the last sentence that has begun before the marker; the first one if the line opens with it
        owner = max((i for i, span in enumerate(spans) if span.start < at), default=0)
        if owned:
            owned[owner] += [number for number in numbers if number not in owned[owner]]
    said = [_tidied(" ".join(span.cut(plain).split())) for span in spans]
    written = [Written(text, tuple(own)) for text, own in zip(said, owned, strict=True)]
    return tuple(sentence for sentence in written if any(map(str.isalnum, sentence.text)))


def _tidied(text: str) -> str:
    """Return a sentence without "The passage states that", and without the commas that stood beside "according to"."""
    text = _COMMA_LEFT.sub("", text)
    rest = _META.sub("", text.lstrip(",; "))
    return text if rest == text else rest[:1].upper() + rest[1:]


def _all_by_the_last(paragraph: str) -> list[Written]:
    """Return the sentences of a paragraph, all with the markers behind its last full stop if none has others."""
    written = list(_of_piece(paragraph))
    plain, places = _without_markers(_without_markup(paragraph))
    closes = bool(places) and places[-1][0] >= len(plain.rstrip()) and bool(_STOPPED.search(plain))
    if not closes or any(sentence.markers for sentence in written[:-1]):
        return written
    return [replace(sentence, markers=written[-1].markers) for sentence in written]


def _without_markers(text: str) -> tuple[str, list[tuple[int, list[str]]]]:
    """Return the text without markers, and where each stood in what is left, with the numbers in it."""
    kept, places, length, start = [], [], 0, 0
    while match := _next_marker(text, start):
        before, end = _without_lead(text[start : match.start()].rstrip(), text, match.end())
        kept.append(before)
        length += len(before)
        raised = "".join(str(_SUPERSCRIPTS.index(c)) for c in match["raised"] or "")
        places.append((length, _numbers(match["square"] or match["round"] or raised)))
        start = end
    kept.append(text[start:])
    return "".join(kept), places


def _without_lead(before: str, text: str, end: int) -> tuple[str, int]:
    """Return what stands before a marker without what leads to it, and where the text goes on behind it."""
    lead = _LEAD.search(before)
    if lead is None:
        return before, end
    mark, behind = lead["mark"], text[end:].lstrip()[:1]
    if mark == "(" and behind != ")":
        return before, end
    if behind == ("," if mark != "(" else ")"):
        end = text.index(behind, end) + 1
    is_needed = mark == ";" or (mark == "," and behind.isalnum())
    return before[: lead.start()].rstrip() + (mark if is_needed else ""), end


def _made_whole(spans: tuple[Span, ...], text: str) -> list[Span]:
    """Join what the segmenter cut inside of an address or of quotation marks: one may say several sentences."""
    joined: list[Span] = []
    for span in spans:
        if joined and (joined[-1].end == span.start or _is_open(joined[-1].cut(text))):
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


def _is_open(text: str) -> bool:
    """Whether a quotation mark has no partner: the quotation begins before the text, or ends behind it."""
    return text.count('"') % 2 == 1 or text.count("“") != text.count("”")


def _without_markup(text: str) -> str:
    for pattern, kept in _MARKUP:
        text = pattern.sub(kept, text)
    return text


def _numbers(inside: str) -> list[str]:
    """Return each number that a marker names, ranges spelt out; one that cannot be a passage's stays as written."""
    found: list[str] = []
    for part in re.split(r"\s*(?:[,;&]|\band\b)\s*", inside.strip()):
        bounds = _RANGE.fullmatch(part)
        if bounds and 0 < int(bounds[2]) - int(bounds[1]) < _MAX_RANGE:
            found += [str(n) for n in range(int(bounds[1]), int(bounds[2]) + 1)]
        elif part:
            found.append(part)
    return found
