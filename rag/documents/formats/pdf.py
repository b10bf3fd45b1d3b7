"""Extract the text of a PDF: join lines into paragraphs, mark pages, drop running heads and page numbers.

A PDF records where letters stand but not paragraphs, so the result is an interpretation: two paragraphs merge if the
last line of the first is full, and footnotes stay where the page has them.
"""

import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rag.documents.formats.plain import NO_TEXT, PARAGRAPH, Decoded
from rag.errors import EmptyDocument, UndecodableText
from rag.text.english import is_english_word
from rag.values import PAGE_BREAK

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
_LIST_ITEM = re.compile(r"(?:[-–—*•▪‣]|\(?(?:\d{1,3}|[A-Za-z])[.)])\s")
_SENTENCE_END = re.compile(r"[.!?…:;][\"'”’»)\]]*$")
_BROKEN_WORD = re.compile(r"[^\W\d_]{2}[-\u00ad]$")
_NUMBER = re.compile(r"\d+")
_PAGE_WORDS = re.compile(r"(?:page|pages|p|pp|of|von|seite)", re.IGNORECASE)
_FULL_LINE = 0.75  # share of the usual width; a shorter line may end a paragraph
_USUAL_WIDTH = 0.9  # quantile of the line lengths that counts as the usual width
_EDGES = (0, 1, -1, -2)  # the lines of a page that may be running heads and feet
_RUNNING_PAGES = 3  # a running line repeats at one edge of at least this many pages and half of all pages
_TITLE_WORDS = 3  # words needed beside a page number for the line to be a running title


def load_pdf(raw: bytes, path: Path) -> Decoded:
    """Return the text of a PDF; every page ends with ``PAGE_BREAK``.

    Raises UndecodableText if the file is damaged or locked, and EmptyDocument if no page has text.
    """
    import pypdf  # noqa: PLC0415 - needed for PDF files only
    from pypdf.errors import FileNotDecryptedError  # noqa: PLC0415 - comes with it

    try:
        pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(raw)).pages]
    except FileNotDecryptedError as error:
        raise UndecodableText(path, "is locked with a password; save it without one") from error
    except Exception as error:
        raise UndecodableText(path, "is no PDF that can be read; save it again") from error
    if not any(page.strip() for page in pages):
        raise EmptyDocument(path, "has pages but no text: perhaps it was scanned; run text recognition over it first")
    return Decoded(joined([_lines(NO_TEXT.sub("\ufffd", page)) for page in pages]), "pdf")


def _lines(page: str) -> list[str]:
    """Return the lines of a page with ligatures expanded; keep blank lines, which separate paragraphs."""
    return [" ".join(line.translate(_LIGATURES).split()) for line in page.split("\n")]


def joined(pages: Sequence[Sequence[str]]) -> str:
    """Join lines into paragraphs. pages: the lines of each page, with white space collapsed."""
    bodies = without_running_lines(pages)
    lengths = sorted(len(line) for page in bodies for line in page if line)
    width = lengths[int(_USUAL_WIDTH * (len(lengths) - 1))] if lengths else 0
    words = Counter(word for page in bodies for line in page for word in re.findall(r"\w+(?:-\w+)*", line.lower()))
    parts: list[str] = []
    last = ""
    for page in bodies:
        at_top = bool(parts)
        for line in page:
            if not line:
                last = ""
                continue
            if not last or _ends_paragraph(last, line, width):
                parts += [PARAGRAPH * bool(parts), line]
            else:
                _go_on(parts, last, line, words, at_top=at_top)
            last, at_top = line, False
        parts.append(PAGE_BREAK)
    return "".join(parts)


def _go_on(parts: list[str], last: str, line: str, words: Counter[str], *, at_top: bool) -> None:
    """Append a line to the current paragraph, rejoining a word that was hyphenated across the break."""
    if not _BROKEN_WORD.search(last) or not line[0].islower():
        parts.append(f" {line}")
        return
    hyphen = "-" if _is_compound(last, line, words) else ""
    at = next(i for i in reversed(range(len(parts))) if parts[i] != PAGE_BREAK)
    rest, _, line = line.partition(" ") if at_top else ("", "", line)  # a word belongs to the page where it begins
    parts[at] = parts[at][:-1] + hyphen + rest
    parts.append(f" {line}" if at_top and line else line)


def _is_compound(last: str, line: str, words: Counter[str]) -> bool:
    """Return whether a line-end hyphen is part of the word, judging by the document, else by common words."""
    token = last.rsplit(maxsplit=1)[-1].lower().strip("-\u00ad")
    first, second = re.split(r"\W", token)[-1], re.split(r"\W", line.lower())[0]
    if last.endswith("\u00ad") or words[first + second]:
        return False
    if words[f"{first}-{second}"] or "-" in token:
        return True
    return not is_english_word(first + second) and is_english_word(first) and is_english_word(second)


def _ends_paragraph(line: str, following: str, width: int) -> bool:
    is_short, is_ended = len(line) < _FULL_LINE * width, bool(_SENTENCE_END.search(line))
    if _LIST_ITEM.match(following):
        return is_short or is_ended
    return is_short and (is_ended or not following[0].islower())


# ---- running heads and feet ------------------------------------------------------------------------------------------


def without_running_lines(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the pages without running lines and page numbers, which recur at the same edge of half of them."""
    running = set(_running(pages))
    bodies = []
    for number, page in enumerate(pages):
        kept = [line for i, line in enumerate(page) if (number, i) not in running]
        bodies.append(_trimmed(kept))
    return bodies


def _running(pages: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Yield (page, line) of every running line."""
    filled = [[i for i, line in enumerate(page) if line] for page in pages]
    enough = max(_RUNNING_PAGES, len(pages) / 2)
    for edge in _EDGES:
        alike: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, lines in enumerate(filled):
            if len(lines) > max(edge, -edge - 1):
                alike[_NUMBER.sub("0", pages[number][lines[edge]])].append((number, lines[edge]))
        for mask, places in alike.items():
            same = Counter(pages[number][line] for number, line in places)
            offsets = Counter(offset for n, i in places for offset in _offsets(pages[n][i], n))
            for n, i in places:
                text = pages[n][i]
                is_same = same[text] >= enough and any(c.isalpha() for c in text)
                counts = _may_count_pages(mask) and any(offsets[offset] >= enough for offset in _offsets(text, n))
                if is_same or counts:
                    yield n, i


def _may_count_pages(mask: str) -> bool:
    """Return whether a line may be a page number, alone or next to a running title."""
    title = [word for word in re.findall(r"[^\W\d_]+", mask) if not _PAGE_WORDS.fullmatch(word)]
    return not title or len(title) >= _TITLE_WORDS


def _offsets(line: str, page: int) -> set[tuple[str, int, tuple[int, ...]]]:
    """Return the first and last number in a line, each minus the page index and with the line's other numbers.

    These stay the same from page to page if the number is a page number.
    """
    found = [int(digits) for digits in _NUMBER.findall(line) if len(digits) < 7]
    return {("first", found[0] - page, (*found[1:],)), ("last", found[-1] - page, (*found[:-1],))} if found else set()


def _trimmed(page: Sequence[str]) -> list[str]:
    lines = list(page)
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines
