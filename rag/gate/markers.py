"""Parse the citation markers in model-written text, in any common form, and assign them to sentences.

``rag.gate.claims`` decides whether a marker refers to a passage and whether that passage supports the sentence. A line
is cut after each marker that ends a sentence, using only the text next to it, so that earlier sentences stay the same
while more text streams in.
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
# Words that introduce a marker used as a noun: "According to [1], …", "…, as noted in passage [1], …". They match only
# at the start or after punctuation: "removed from [1]" and "was reported by [1] to have quit" carry meaning themselves.
_LEAD = re.compile(
    r"(?P<mark>\A|[,;(]|(?<=[.!?…”\"])(?=\s))\s*(?:according\sto|per|in|from|see"
    r"|as\s(?:stated|noted|mentioned|described|reported|shown|quoted|written)\s(?:in|by))(?:\s(?:the\s)?passages?)?\Z",
    re.IGNORECASE,
)
_META = re.compile(  # not "the source" or "the document", which the passage itself may mention
    r"\A(?:the|this)\spassage(?:\s(?:also|further))?\s(?:states?|says|mentions|notes|reports|indicates|explains)\sthat\s"
    r"|\Aaccording\sto\s(?:the|this)\spassage,\s",
    re.IGNORECASE,
)
_COMMA_LEFT = re.compile(r"\s*[,;]+(?=[.!?]?\Z)")
_UNIT_BEFORE = re.compile(r"(?:^|[\W\d_])(?:[kcm]?m|ft|mi|\d)$")  # the "²" of m² is not a footnote
_RANGE = re.compile(r"(\d+)\s*(?:[-–—]|to)\s*(\d+)")
_MARKER_CHARS = 200  # no marker is longer
_MAX_RANGE = 20  # a wider range such as [1-999] is not expanded and so fails as a fabricated marker
_STOPPED = re.compile(r"[.!?…][”\"'’»)*_]*\s*$")
_STOP_BEHIND = re.compile(r"\s*[.!?…]+[”\"'’»)*_]*(?=\s|$)")
_BULLET = re.compile(r"\A\s*(?:[-*•‣–]\s+|\#{1,6}\s+|>\s*|\(?\d{1,2}[.)]\s+(?=\S))")
_MARKUP = (
    (re.compile(r"!?\[(?!\d+\])([^\[\]]*)\]\([^()\s]*(?:\s[^()]*)?\)"), r"\1"),  # keep only the text of a link or image
    (re.compile(r"``([^`]+?)''"), r"“\1”"),  # TeX quotation marks
    (re.compile(r"</?[a-z!][^<>]*>?", re.IGNORECASE), ""),
    (re.compile(r"\*{2,}|_{2,}|~~|`+"), ""),
    (re.compile(r"(?<!\w)([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?!\w)"), r"\2"),
)
_UNDECIDED = frozenset("[【［〔(.!?…" + _SUPERSCRIPTS)
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # control, zero width, direction, surrogate, unassigned


@dataclass(frozen=True, slots=True)
class Written:
    """A sentence as the model wrote it, without its markers. markers: in order, as written: "1", "99", "1.5"."""

    text: str
    markers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a line, up to the end of a sentence closed by a marker. end: offset in the line."""

    text: str
    end: int


def written_sentences(text: str) -> tuple[Written, ...]:
    """Return the sentences of a written text, each with its markers.

    A marker belongs to the sentence that it is in or follows ("… in May. [1]"), or, at the start of a line, to the one
    that it opens. If the only marker of a paragraph or list item is at its end, it applies to all of its sentences.
    Bullets, headings, emphasis, HTML and invisible characters are dropped; links keep only their text.
    """
    return tuple(sentence for line in visible(text).split("\n") for sentence in _of_line(line, is_whole=True))


def settled(text_so_far: str) -> tuple[Written, ...]:
    """Return the sentences that no continuation of a text can change: a prefix of ``written_sentences``.

    These are all sentences in finished lines, and those in the last line up to the last marked sentence with text after
    it: a letter after a marker shows that no further marker belongs to that sentence.
    """
    *lines, last = visible(text_so_far).split("\n")
    whole = [sentence for line in lines for sentence in _of_line(line, is_whole=True)]
    return (*whole, *_of_line(last, is_whole=False))


def visible(text: str) -> str:
    """Return the text without control, zero-width and bidi characters, which can hide or reorder text."""
    text = _LINE_ENDS.sub("\n", text)
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _HIDDEN)


def unmarked(text: str) -> str:
    """Return a source text with nothing that looks like a marker, so that a model can cite it with its own.

    Footnote numbers are removed. Anything that may mean more is kept in another form: "[2019]" becomes "(2019)" and
    "(72)" becomes "( 72)".
    """
    start = 0
    while match := _next_marker(text, start):
        inside = match["square"] or ""
        is_footnote = match["raised"] or (inside and not re.search(r"\d{4}", inside))
        kept = "" if is_footnote else f" ({inside.strip()})" if inside else match.group().replace("(", "( ")
        before = text[: match.start()]
        before = before.rstrip(" ") if is_footnote or inside else before
        start = max(0, len(before) - _MARKER_CHARS)  # the remaining text may form a marker: "[[1]1]"
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
    """Return how many pieces are followed by text that cannot become another marker or a stop."""
    followed = [line[piece.end :].lstrip()[:1] for piece in pieces]
    return max((n for n, first in enumerate(followed, start=1) if first and first not in _UNDECIDED), default=0)


def _pieces(line: str) -> Iterator[_Piece]:
    """Cut a line after each group of markers that ends a sentence; the rest is the last piece."""
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
        # The marker belongs to the last sentence that begins before it, or to the first if the line opens with it.
        owner = max((i for i, span in enumerate(spans) if span.start < at), default=0)
        if owned:
            owned[owner] += [number for number in numbers if number not in owned[owner]]
    said = [_tidied(" ".join(span.cut(plain).split())) for span in spans]
    written = [Written(text, tuple(own)) for text, own in zip(said, owned, strict=True)]
    return tuple(sentence for sentence in written if any(map(str.isalnum, sentence.text)))


def _tidied(text: str) -> str:
    """Strip "The passage states that" and the commas left over from a removed "according to"."""
    text = _COMMA_LEFT.sub("", text)
    rest = _META.sub("", text.lstrip(",; "))
    return text if rest == text else rest[:1].upper() + rest[1:]


def _all_by_the_last(paragraph: str) -> list[Written]:
    """Return a paragraph's sentences, all with the markers after its last full stop if there are no others."""
    written = list(_of_piece(paragraph))
    plain, places = _without_markers(_without_markup(paragraph))
    closes = bool(places) and places[-1][0] >= len(plain.rstrip()) and bool(_STOPPED.search(plain))
    if not closes or any(sentence.markers for sentence in written[:-1]):
        return written
    return [replace(sentence, markers=written[-1].markers) for sentence in written]


def _without_markers(text: str) -> tuple[str, list[tuple[int, list[str]]]]:
    """Return the text without markers, and each marker's position in that text with its numbers."""
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
    """Strip the words that introduce a marker from the text before it; also return where the text resumes."""
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
    """Rejoin spans that the segmenter cut inside an address or a quotation, which may hold several sentences."""
    joined: list[Span] = []
    for span in spans:
        if joined and (joined[-1].end == span.start or _is_open(joined[-1].cut(text))):
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


def _is_open(text: str) -> bool:
    """Return whether a quotation mark is unpaired: its quotation begins before the text or ends after it."""
    return text.count('"') % 2 == 1 or text.count("“") != text.count("”")


def _without_markup(text: str) -> str:
    for pattern, kept in _MARKUP:
        text = pattern.sub(kept, text)
    return text


def _numbers(inside: str) -> list[str]:
    """Return each number in a marker, expanding ranges; keep anything that cannot be a passage as written."""
    found: list[str] = []
    for part in re.split(r"\s*(?:[,;&]|\band\b)\s*", inside.strip()):
        bounds = _RANGE.fullmatch(part)
        if bounds and 0 < int(bounds[2]) - int(bounds[1]) < _MAX_RANGE:
            found += [str(n) for n in range(int(bounds[1]), int(bounds[2]) + 1)]
        elif part:
            found.append(part)
    return found
