"""Markers in a text that a model wrote: which sentence cites what, whatever form the markers have.

Knows nothing about passages: whether a marker means one, and whether it says so, is for ``rag.verify``.
"""

import re
import unicodedata
from dataclasses import dataclass, replace

from rag.sentences import sentences
from rag.types import Span

_NUMBERS = r"[-−]?\d[\d.,;&\s]*(?:(?:[-–—]|and|to|bis)\s*\d[\d.,;&\s]*)*"
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_MARKER = re.compile(
    rf"[\[【](?:(?i:source|passage|ref|doc)s?\.?\s*|\^)?({_NUMBERS})(?:†[^\]】]*)?[\]】]"  # [1] [1, 2] [1-3] 【1】 [^1]
    r"|(?<=[\w.!?,;:”\"'’)\]])\s?\((\d{1,2}(?:\s*[,;]\s*\d{1,2})*)\)(?=\s*(?:[.!?,;:)]|[\[(【]|$|\s[A-Z]))"  # (1)
    rf"|(?<=[\w.!?,;:”\"'’)])([{_SUPERSCRIPTS}]+)",  # ¹
    re.MULTILINE,
)
_UNIT_BEFORE = re.compile(r"(?:^|[\W\d_])(?:[kcm]?m|ft|mi|\d)$")  # of m², not of a footnote
_RANGE = re.compile(r"(\d+)\s*[-–—]\s*(\d+)")
_MAX_RANGE = 20  # [1-999] names no passages; it is a marker that does not exist
_BULLET = re.compile(r"\A\s*(?:[-*•‣–]\s+|#{1,6}\s+|>\s*|\(?\d{1,2}[.)]\s+(?=\S))")
_EMPHASIS = re.compile(r"(\*\*|__|~~|`+)(?=\S)(.+?)(?<=\S)\1|(?<!\w)([*_])(?=\S)([^*_\n]+?)(?<=\S)\3(?!\w)")
_AFTER_STOP = re.compile(r"[.!?…][”\"'’)\]]*\s*$")


@dataclass(frozen=True, slots=True)
class Written:
    """A sentence as a model wrote it, without its markers. markers: as written, "1" or "99" or "1.5", in order."""

    text: str
    markers: tuple[str, ...]


def written_sentences(text: str) -> tuple[Written, ...]:
    """Return the sentences of a written text with the markers that belong to each.

    A marker belongs to the sentence it stands in or behind ("… in May. [1]"); at the start of a line, to the sentence
    that it opens. One behind the last full stop of a paragraph or list item without any other marker stands for all of
    its sentences. Bullets, headings and emphasis are dropped; characters that are not shown are, too.
    """
    found: list[Written] = []
    for line in shown(text).splitlines():
        found += _of_line(_EMPHASIS.sub(lambda m: m.group(2) or m.group(4), _BULLET.sub("", line)))
    return tuple(found)


def shown(text: str) -> str:
    """Return the text without characters that hide or turn others: control, zero-width and direction marks."""
    text = re.sub(r"\r\n?|[\v\f\x85\u2028\u2029]", "\n", text)
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"})


def _of_line(line: str) -> list[Written]:
    plain, places = _without_markers(line)
    if not plain.strip():
        return []
    spans = sentences(plain, Span(0, len(plain)))
    owned: list[list[str]] = [[] for _ in spans]
    for at, numbers in places:
        # the last sentence that has begun before the marker; the first one if the line opens with it
        owner = max((i for i, span in enumerate(spans) if span.start < at), default=0)
        owned[owner] += [number for number in numbers if number not in owned[owner]]
    written = [Written(span.cut(plain), tuple(markers)) for span, markers in zip(spans, owned, strict=True)]
    closing = bool(places) and places[-1][0] >= spans[-1].end and bool(_AFTER_STOP.search(plain))
    if closing and not any(sentence.markers for sentence in written[:-1]):
        written = [replace(sentence, markers=written[-1].markers) for sentence in written]
    return [sentence for sentence in written if any(c.isalnum() for c in sentence.text) or sentence.markers]


def _without_markers(line: str) -> tuple[str, list[tuple[int, list[str]]]]:
    """Return the line without markers, and where each stood in what is left, with the numbers in it."""
    kept, places, length, start = [], [], 0, 0
    for match in _MARKER.finditer(line):
        if match.group(3) and _UNIT_BEFORE.search(line[: match.start()]):
            continue
        before = line[start : match.start()].rstrip()
        kept.append(before)
        length += len(before)
        numbers = match.group(1) or match.group(2) or "".join(str(_SUPERSCRIPTS.index(c)) for c in match.group(3))
        places.append((length, _numbers(numbers)))
        start = match.end()
    kept.append(line[start:])
    return "".join(kept), places


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
