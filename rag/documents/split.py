"""Cut a document into passages of whole sentences.

The order is: lines to paragraphs, paragraphs to headings and sentences, sentences packed into passages. Every step
makes spans of the document's text and nothing else, so a passage cannot differ from what it was cut from. A little over
300 lines: the steps share their spans and are read together, each in its own part of the file.
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

MAX_HEADING_CHARS = 130  # the longest heading met in the seeds has 122; paragraphs without a full stop are longer
MAX_QUESTION_CHARS = 100  # a question that stands alone between blank lines and is short asks what follows to answer it
MAX_WRAPPED_CHARS = 120  # no text is wrapped by hand at more
MIN_WRAPPED_CHARS = 40  # nor at less; lists and verses are often narrower
# Of white space inside a passage. More than that separates, and tiktoken dies of some hundred thousand in a row.
MAX_GAP_CHARS = 200

_MARKDOWN_HEADING = re.compile(r"(#{1,6})\s+(\S.*?)\s*#*")
_LIST_ITEM = re.compile(r"(?:[-–—*+•·▪‣]|\(?(?:\d{1,3}|[A-Za-z]|[ivx]+)[.)])\s")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_HEADING_START = re.compile(r"[\"“«‘'„(\[]*[^\W_]")
_NO_HEADING_END = (":", ";", ",", "(", "-", "–", "—")
_CLAUSE_END = re.compile(r"[,;:)\]—–][\"'”’»]*(?=\s)|(?<=\s)[—–](?=\s)|[、，；：]")


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """One line, or several that were wrapped by hand. ``part`` counts the exclusions before it."""

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
    """What passages are packed from: a sentence or a piece of one, or (a piece of) a heading."""

    span: Span
    is_sentence: bool


@dataclass(frozen=True, slots=True)
class _Section:
    """Units that may share a passage, under one heading; headings lead."""

    heading: str
    units: tuple[_Unit, ...]


def split(
    document: Document, exclusions: Sequence[Exclusion], *, limits: Sequence[Limit], overlap_sentences: int
) -> tuple[Passage, ...]:
    """Cut a document into passages, in the order of its text.

    exclusions: sorted, whole lines, as cleaning returns them; InvalidValue if one ends inside a line.
    limits: every passage's text keeps all of them. A sentence above a limit is cut at the end of a clause, else at
    white space, else anywhere; each piece then counts as a sentence.
    overlap_sentences: a passage repeats so many of the one before; fewer where the limit or the section leaves no room.

    A passage has as many whole sentences as fit, and crosses neither a heading nor an excluded span. A heading opens
    the passage after it and is in its span, but not among its sentences. Every character that is not white space and
    not excluded lies in at least one passage.
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
    """Yield the paragraphs of a run of lines without a blank one between: mostly single lines.

    Lines belong together where they were wrapped to a width: the next line's first word would not have fitted.
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
    """Return for each paragraph whether it is a heading; decided from the last to the first.

    Markdown headings are. A line that looks like one is a heading where prose follows, or one more heading and then
    prose: a longer run of short lines is a list, whose entries someone may want to quote.
    """
    # 0: prose; n: a line that looks like a heading, n lines above prose. The end of the text opens nothing.
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
            # Of two such lines without a blank one between, the upper one is rather an entry of a list.
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
    """Whether a blank line, something left out, or the end of the text comes after a paragraph."""
    if index + 1 == len(paragraphs):
        return True
    return paragraphs[index + 1].lines[0].number - paragraphs[index].lines[-1].number > 1


def _heading_text(line: str) -> str:
    markdown = _MARKDOWN_HEADING.fullmatch(line)
    return markdown.group(2) if markdown else line


def _stripped(text: str, span: Span) -> Span:
    """Return the span of a paragraph, which is never blank, without white space at its ends."""
    return trimmed(text, span.start, span.end) or span


# ---- passages ------------------------------------------------------------------------------------------------------


def _fits(text: str, start: int, end: int, limits: Sequence[Limit]) -> bool:
    piece = text[start:end]
    return all(limit.count(piece) <= limit.maximum for limit in limits)


def _fitted(text: str, units: Sequence[_Unit], limits: Sequence[Limit]) -> list[_Unit]:
    """Return the units, those above a limit replaced by their pieces."""
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
    """Return the beginning of a span that is above a limit, cut where it reads best."""
    # The longest prefix that fits; counts grow with the length but for a token or two, and what is returned is checked.
    lengths = range(1, len(span))
    longest = max(1, bisect_left(lengths, True, key=lambda n: not _fits(text, span.start, span.start + n, limits)))
    window = text[span.start : span.start + longest + 1]  # one more, to see whether white space follows
    clauses = [match.end() for match in _CLAUSE_END.finditer(window)]
    spaces = [match.start() for match in re.finditer(r"\s+", window)]
    # A cut in the first half would waste more of the passage than a clause is worth.
    for ends in (clauses, spaces):
        for end in reversed([end for end in ends if longest / 2 <= end <= longest]):
            if _fits(text, span.start, span.start + end, limits):
                return _stripped(text, Span(span.start, span.start + end))
    return Span(span.start, span.start + longest)


def _pack(
    text: str, units: Sequence[_Unit], limits: Sequence[Limit], overlap_sentences: int
) -> Iterator[Sequence[_Unit]]:
    """Yield runs of units, each as long as fits, with up to ``overlap_sentences`` of the run before in front.

    Token counts do not add up exactly. The sum over the units, each with the white space before it, says how far to go;
    the whole is then counted once and shortened if need be. So the time is linear in the length of the text.
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
    """Return for each unit what it and the white space before it count, by limit."""
    starts = [units[0].span.start, *(unit.span.end for unit in units[:-1])]
    pieces = [text[start : unit.span.end] for start, unit in zip(starts, units, strict=True)]
    return [tuple(limit.count(piece) for limit in limits) for piece in pieces]


def _reach(costs: Sequence[tuple[int, ...]], begin: int, new: int, limits: Sequence[Limit]) -> int:
    """Return the last unit, at least ``new``, up to which the costs from ``begin`` on keep the limits."""
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
