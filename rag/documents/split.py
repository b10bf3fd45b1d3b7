"""Cut a document into passages of whole sentences.

Lines become paragraphs, paragraphs become headings and sentences, and sentences are packed into passages. Every step
produces only spans of the document's text, so a passage cannot differ from its source. The file is a little over 300
lines because the steps share their spans and read best together, each in its own section.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.documents.clean import Line, lines
from rag.errors import InvalidValue
from rag.text.sentences import MAX_WINDOW_CHARS, sentences, trimmed
from rag.text.tokens import Limit
from rag.values import Document, Exclusion, Passage, Span

MAX_HEADING_CHARS = 130  # the longest heading in the seeds has 122; paragraphs without a full stop are longer
MAX_QUESTION_CHARS = 100  # a short question alone between blank lines is a heading for what follows
MAX_WRAPPED_CHARS = 120  # no text is hard-wrapped wider than this
MIN_WRAPPED_CHARS = 40  # nor narrower; lists and verses often are
# White space inside a passage. A longer run separates; tiktoken crashes on about a hundred thousand in a row.
MAX_GAP_CHARS = 200

_MARKDOWN_HEADING = re.compile(r"(#{1,6})\s+(\S.*?)\s*#*")
_LIST_ITEM = re.compile(r"(?:[-–—*+•·▪‣]|\(?(?:\d{1,3}|[A-Za-z]|[ivx]+)[.)])\s")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_HEADING_START = re.compile(r"[\"“«‘'„(\[]*[^\W_]")
_NO_HEADING_END = (":", ";", ",", "(", "-", "–", "—")
_CLAUSE_END = re.compile(r"[,;:)\]—–][\"'”’»]*(?=\s)|(?<=\s)[—–](?=\s)|[、，；：]")


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """One line, or several hard-wrapped ones. ``part`` counts the exclusions before it."""

    lines: tuple[Line, ...]
    part: int

    @property
    def span(self) -> Span:
        return Span(self.lines[0].start, self.lines[-1].end)

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A building block of passages: (a piece of) a sentence or heading."""

    span: Span
    is_sentence: bool


@dataclass(frozen=True, slots=True)
class _Section:
    """Units under one heading that may share a passage; headings come first."""

    heading: str
    units: tuple[_Unit, ...]


def split(
    document: Document, exclusions: Sequence[Exclusion], *, limits: Sequence[Limit], overlap_sentences: int
) -> tuple[Passage, ...]:
    """Cut a document into passages, in the order of its text.

    exclusions: sorted whole lines, as cleaning returns them. Raises InvalidValue if one ends inside a line.
    limits: every passage's text stays within all of them. A sentence above a limit is cut at the end of a clause, else
    at white space, else anywhere; each piece then counts as a sentence.
    overlap_sentences: how many sentences of the previous passage to repeat; fewer if the limit or section has no room.

    A passage holds as many whole sentences as fit and never crosses a heading or an excluded span. A heading opens the
    passage after it: it is in the passage's span, but not among its sentences. Every character that is neither white
    space nor excluded lies in at least one passage.
    """
    text = document.text
    return tuple(
        _passage(document, section.heading, group)
        for section in _sections(text, document.title, _paragraphs(text, exclusions))
        for group in _pack(text, _fitted(text, section.units, limits), limits, overlap_sentences)
    )


# ---- paragraphs ----------------------------------------------------------------------------------------------------


def _paragraphs(text: str, exclusions: Sequence[Exclusion]) -> list[_Paragraph]:
    kept = _kept_lines(text, exclusions)
    blocks: list[list[tuple[Line, int]]] = []
    for line, part in kept:
        above = blocks[-1][-1] if blocks else None
        if above and above[1] == part and above[0].number + 1 == line.number:
            blocks[-1].append((line, part))
        else:
            blocks.append([(line, part)])
    return [_Paragraph(joined, block[0][1]) for block in blocks for joined in _unwrapped([line for line, _ in block])]


def _kept_lines(text: str, exclusions: Sequence[Exclusion]) -> list[tuple[Line, int]]:
    """Return the lines that are not excluded, each with the number of exclusions before it."""
    kept: list[tuple[Line, int]] = []
    part = 0
    for line in lines(text):
        while part < len(exclusions) and exclusions[part].span.end <= line.start:
            part += 1
        span = exclusions[part].span if part < len(exclusions) else None
        if span is None or span.start >= line.end:
            kept.append((line, part))
        elif not (span.start <= line.start and line.end <= span.end):
            raise InvalidValue(f"exclusion [{span.start}, {span.end}) does not cover whole lines")
    return kept


def _unwrapped(block: Sequence[Line]) -> Iterator[tuple[Line, ...]]:
    """Yield the paragraphs in a run of non-blank lines; most are single lines.

    Lines are joined if they look wrapped to a width: the first word of the next line would not have fitted.
    """
    width = max(len(line.text) for line in block)
    joined = [block[0]]
    for above, line in pairwise(block):
        full = len(above.text) + 1 + len(line.text.split(maxsplit=1)[0]) > width
        if full and MIN_WRAPPED_CHARS <= width <= MAX_WRAPPED_CHARS and not _opens_a_line(line.text):
            joined.append(line)
        else:
            yield tuple(joined)
            joined = [line]
    yield tuple(joined)


def _opens_a_line(text: str) -> bool:
    return bool(_LIST_ITEM.match(text) or _MARKDOWN_HEADING.fullmatch(text))


# ---- headings and sections -----------------------------------------------------------------------------------------


def _sections(text: str, title: str, paragraphs: Sequence[_Paragraph]) -> Iterator[_Section]:
    headings = _headings(title, paragraphs)
    heading = ""
    units: list[_Unit] = []
    for index, paragraph in enumerate(paragraphs):
        opens = headings[index] and not (index and headings[index - 1])
        resumes = index > 0 and paragraphs[index - 1].part != paragraph.part
        if units and (opens or resumes):
            yield _Section(heading, tuple(units))
            units = []
        if headings[index]:
            heading = _heading_text(paragraph.text)
        for unit in _units(text, paragraph, is_heading=headings[index]):
            if units and unit.span.start - units[-1].span.end > MAX_GAP_CHARS:
                yield _Section(heading, tuple(units))
                units = []
            units.append(unit)
    if units:
        yield _Section(heading, tuple(units))


def _units(text: str, paragraph: _Paragraph, *, is_heading: bool) -> list[_Unit]:
    if is_heading:
        return [_Unit(_stripped(text, paragraph.span), is_sentence=False)]
    return [_Unit(span, is_sentence=True) for span in sentences(text, paragraph.span)]


def _headings(title: str, paragraphs: Sequence[_Paragraph]) -> list[bool]:
    """Return for each paragraph whether it is a heading, deciding from last to first.

    Markdown headings always count. A line that looks like a heading counts if prose follows, or one more heading and
    then prose. A longer run of short lines is a list, whose entries someone may want to quote.
    """
    # 0: prose; n: looks like a heading, n lines above prose. The sentinel 2 is the end of the text: nothing to head.
    depth = [0] * len(paragraphs) + [2]
    headings = [False] * len(paragraphs)
    for index in reversed(range(len(paragraphs))):
        line = paragraphs[index].text
        is_short = len(paragraphs[index].lines) == 1 and len(line) <= MAX_WINDOW_CHARS
        is_markdown = is_short and bool(_MARKDOWN_HEADING.fullmatch(line))
        is_title = is_short and index == 0 and _heading_text(line) == title
        if is_markdown:
            depth[index] = 1
        elif is_title or _looks_like_heading(index, paragraphs):
            # Of two such lines with no blank line between, the upper one is more likely a list entry.
            crowded = depth[index + 1] > 0 and not _apart(index, paragraphs)
            depth[index] = depth[index + 1] + (2 if crowded else 1)
        opens_text = is_title and index + 1 < len(paragraphs)
        headings[index] = is_markdown or opens_text or 1 <= depth[index] <= 2
    return headings


def _looks_like_heading(index: int, paragraphs: Sequence[_Paragraph]) -> bool:
    paragraph = paragraphs[index]
    line = paragraph.text
    if len(paragraph.lines) > 1 or len(line) > MAX_HEADING_CHARS or _LIST_ITEM.match(line):
        return False
    start = _HEADING_START.match(line)
    if start is None or start[0][-1].islower() or line.endswith(_NO_HEADING_END):
        return False
    if not _SENTENCE_END.search(line):
        return True
    is_question = line.endswith("?") and len(line) <= MAX_QUESTION_CHARS and line[0].isalnum()
    return is_question and _stands_alone(index, paragraphs) and not re.search(r"[.!?]\s", line)


def _stands_alone(index: int, paragraphs: Sequence[_Paragraph]) -> bool:
    return (index == 0 or _apart(index - 1, paragraphs)) and _apart(index, paragraphs)


def _apart(index: int, paragraphs: Sequence[_Paragraph]) -> bool:
    """Return whether a paragraph is followed by a blank line, an exclusion or the end of the text."""
    if index + 1 == len(paragraphs):
        return True
    return paragraphs[index + 1].lines[0].number - paragraphs[index].lines[-1].number > 1


def _heading_text(line: str) -> str:
    markdown = _MARKDOWN_HEADING.fullmatch(line)
    return markdown.group(2) if markdown else line


def _stripped(text: str, span: Span) -> Span:
    """Return the trimmed span of a paragraph, which is never blank."""
    return trimmed(text, span.start, span.end) or span


# ---- passages ------------------------------------------------------------------------------------------------------


def _fits(text: str, start: int, end: int, limits: Sequence[Limit]) -> bool:
    piece = text[start:end]
    return all(limit.count(piece) <= limit.maximum for limit in limits)


def _fitted(text: str, units: Sequence[_Unit], limits: Sequence[Limit]) -> list[_Unit]:
    """Return the units, splitting those above a limit into pieces."""
    return [_Unit(piece, unit.is_sentence) for unit in units for piece in _pieces(text, unit.span, limits)]


def _pieces(text: str, span: Span, limits: Sequence[Limit]) -> Iterator[Span]:
    rest: Span | None = span
    while rest is not None and not _fits(text, rest.start, rest.end, limits):
        piece = _first_piece(text, rest, limits)
        yield piece
        rest = trimmed(text, piece.end, rest.end)
    if rest is not None:
        yield rest


def _first_piece(text: str, span: Span, limits: Sequence[Limit]) -> Span:
    """Return the first piece of a span that exceeds a limit, cut where it reads best."""
    # The longest prefix that fits. Counts grow with length give or take a token or two, so each cut is checked below.
    lengths = range(1, len(span))
    longest = max(1, bisect_left(lengths, True, key=lambda n: not _fits(text, span.start, span.start + n, limits)))
    window = text[span.start : span.start + longest + 1]  # one more character, to see whether white space follows
    clauses = [match.end() for match in _CLAUSE_END.finditer(window)]
    spaces = [match.start() for match in re.finditer(r"\s+", window)]
    # Never cut in the first half: that would waste more of the passage than a clean clause is worth.
    for ends in (clauses, spaces):
        for end in reversed([end for end in ends if longest / 2 <= end <= longest]):
            if _fits(text, span.start, span.start + end, limits):
                return _stripped(text, Span(span.start, span.start + end))
    return Span(span.start, span.start + longest)


def _pack(
    text: str, units: Sequence[_Unit], limits: Sequence[Limit], overlap_sentences: int
) -> Iterator[Sequence[_Unit]]:
    """Yield runs of units, each as long as fits, opening with up to ``overlap_sentences`` of the previous run.

    Token counts do not add up exactly. The sum over the units, each with its preceding white space, estimates how far
    to go; the run is then counted once and shortened if needed. This keeps the time linear in the length of the text.
    """
    costs = _costs(text, units, limits)
    first_sentence = next((index for index, unit in enumerate(units) if unit.is_sentence), len(units))
    new = 0
    while new < len(units):
        begin = max(min(first_sentence, new), new - overlap_sentences)
        while begin < new and not _fits(text, units[begin].span.start, units[new].span.end, limits):
            begin += 1
        last = _reach(costs, begin, new, limits)
        while last > new and not _fits(text, units[begin].span.start, units[last].span.end, limits):
            last -= 1
        yield units[begin : last + 1]
        new = last + 1


def _costs(text: str, units: Sequence[_Unit], limits: Sequence[Limit]) -> list[tuple[int, ...]]:
    """Return the cost of each unit with its preceding white space, per limit."""
    starts = [units[0].span.start, *(unit.span.end for unit in units[:-1])]
    pieces = [text[start : unit.span.end] for start, unit in zip(starts, units, strict=True)]
    return [tuple(limit.count(piece) for limit in limits) for piece in pieces]


def _reach(costs: Sequence[tuple[int, ...]], begin: int, new: int, limits: Sequence[Limit]) -> int:
    """Return the last unit, at least ``new``, for which the costs from ``begin`` stay within the limits."""
    totals = [sum(column) for column in zip(*costs[begin : new + 1], strict=True)]
    for last in range(new, len(costs) - 1):
        totals = [total + cost for total, cost in zip(totals, costs[last + 1], strict=True)]
        if any(total > limit.maximum for total, limit in zip(totals, limits, strict=True)):
            return last
    return len(costs) - 1


def _passage(document: Document, heading: str, units: Sequence[_Unit]) -> Passage:
    span = Span(units[0].span.start, units[-1].span.end)
    return Passage(
        id=Passage.id_for(document.id, span),
        doc_id=document.id,
        span=span,
        heading=heading,
        source=document.source,
        text=span.cut(document.text),
        sentences=tuple(unit.span for unit in units if unit.is_sentence),
    )
