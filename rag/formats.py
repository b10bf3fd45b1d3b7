"""From a file's bytes to its text: plain text, HTML, PDF, Word.

``LOADERS`` is the one place that knows the formats: a new one is a function from bytes to ``Decoded`` and an entry for
its suffix. What a loader makes of a file is from then on the document, to which all offsets refer. Knows nothing about
what a text says. The libraries are imported when the first file of their kind is met.
"""

import codecs
import datetime as dt
import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import charset_normalizer

from rag.describe import Overrides
from rag.errors import EmptyDocument, UndecodableText
from rag.types import PAGE_BREAK

# UTF-32 first: its little-endian mark begins with that of UTF-16.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The encodings that may be guessed, preferred ones first: they often decode the same bytes to equally likely texts, and
# a wrong guess would be quoted. Those of East Asia are absent because nothing tells them apart with any certainty.
GUESSED_ENCODINGS = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r")
MAX_CHAOS_PERCENT = 10.0  # right guesses stay below it on sentences of ten words and more, wrong ones mostly do not
MIN_COHERENCE_PERCENT = 30.0  # letter frequencies of a known language; right guesses have 36 to 67, noise has 0

PARAGRAPH = "\n\n"
_HTML_HEAD_BYTES = 2048  # in which a page has to name its encoding
_HTML_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_TABLE_RULE = re.compile(r"[|\s:-]*")  # stands between the head of a table and its rows
_MAX_UNPACKED_BYTES = 200 * 1024 * 1024  # of a Word document, which is a packed folder
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")  # what broken fonts and files leave behind
_LIST_ITEM = re.compile(r"(?:[-–—*•▪‣]|\(?(?:\d{1,3}|[A-Za-z])[.)])\s")
_SENTENCE_END = re.compile(r"[.!?…:][\"'”’»)\]]*$")
_BROKEN_WORD = re.compile(r"[^\W\d_]{2,}[-\u00ad]$")
_FULL_LINE = 0.75  # of the usual width; a shorter line may end a paragraph
_USUAL_WIDTH = 0.9  # the quantile of the lines' lengths that is taken for it
_RUNNING_LINES = 2  # at the head and at the foot of a page
_RUNNING_PAGES = 3  # on so many pages, and on half of all, a line is a running head


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a loader makes of a file's bytes.

    encoding: what the text was read with. stated: what the file says about its document in fields of its own.
    """

    text: str
    encoding: str
    stated: Overrides = field(default_factory=Overrides)


Loader = Callable[[bytes, Path], Decoded]  # the path is for messages; a loader reads nothing from the disk


# ---- plain text ----------------------------------------------------------------------------------------------------


def load_plain(raw: bytes, path: Path) -> Decoded:
    """Decode plain text: by its byte order mark, as UTF-8, or by a guess that has to be a sure one.

    Raises UndecodableText for binary content, and where no encoding is likely enough.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            return Decoded(_decode(raw, encoding, path), encoding)
    if b"\0" in raw:
        raise UndecodableText(path, "holds NUL bytes, so it is no plain text; save it as UTF-8 text")
    try:
        return Decoded(raw.decode("utf-8"), "utf-8")
    except UnicodeDecodeError as error:
        if _mostly_utf8(raw):
            raise UndecodableText(path, f"is damaged UTF-8 (byte {error.start}); save it again as UTF-8") from error
        return _guess(raw, path)


def _decode(raw: bytes, encoding: str, path: Path) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise UndecodableText(
            path, f"begins as {encoding} but is not at byte {error.start}; save it as UTF-8"
        ) from error


def _mostly_utf8(raw: bytes) -> bool:
    """Tell UTF-8 with a few broken bytes from another encoding, whose letters are rarely valid UTF-8 by chance."""
    n_bytes = sum(byte >= 0x80 for byte in raw)
    n_valid = sum(byte >= 0x80 for byte in raw.decode("utf-8", errors="ignore").encode("utf-8"))
    return 2 * n_valid >= n_bytes


def _guess(raw: bytes, path: Path) -> Decoded:
    likely: Mapping[str, tuple[float, str]] = {
        encoding: (match.percent_coherence, str(match))
        for match in charset_normalizer.from_bytes(raw, cp_isolation=list(GUESSED_ENCODINGS))
        for encoding in match.could_be_from_charset
        if match.percent_chaos <= MAX_CHAOS_PERCENT and match.percent_coherence >= MIN_COHERENCE_PERCENT
    }
    known = [encoding for encoding in GUESSED_ENCODINGS if encoding in likely]
    if not known:
        raise UndecodableText(path, "its encoding cannot be told with any certainty; save it as UTF-8")
    best = max(known, key=lambda encoding: likely[encoding][0])  # of equals, max keeps the preferred one
    return Decoded(likely[best][1], best)


# ---- HTML ----------------------------------------------------------------------------------------------------------


def load_html(raw: bytes, path: Path) -> Decoded:
    """Return what a page is about, without navigation, comments and the like, a paragraph a line.

    Title, publisher, author and date are those of its head. Raises UndecodableText, and EmptyDocument for a page
    without an article.
    """
    import trafilatura  # noqa: PLC0415 - needed for pages only

    source = _decoded_html(raw, path)
    page: Any = trafilatura.bare_extraction(
        source.text,
        include_comments=False,
        with_metadata=True,
        # The date that is stated and no other: what a search of the text would find is a guess.
        date_extraction_params={"extensive_search": False, "original_date": True},
    )
    if page is None or not (page.text or "").strip():
        raise EmptyDocument(path, "holds no article, only links or nothing; save the page that has the text")
    stated = Overrides(
        title=_one_line(page.title),
        publisher=_one_line(page.sitename),
        author=_one_line(page.author),
        date=_date(page.date),
    )
    lines = [line for line in page.text.split("\n") if not _TABLE_RULE.fullmatch(line)]
    return Decoded(PARAGRAPH.join(lines), source.encoding, stated)


def _decoded_html(raw: bytes, path: Path) -> Decoded:
    """Decode by the byte order mark, else by what the page says of itself, else as plain text."""
    declared = _HTML_CHARSET.search(raw[:_HTML_HEAD_BYTES])
    if declared and not any(raw.startswith(mark) for mark, _ in BYTE_ORDER_MARKS):
        encoding = declared.group(1).decode("ascii")
        try:
            return Decoded(raw.decode(encoding), encoding.lower())
        except (LookupError, UnicodeDecodeError):
            pass  # pages say wrong things about themselves
    return load_plain(raw, path)


def _one_line(text: str | None) -> str | None:
    return " ".join(text.split()) or None if text else None


def _date(text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        return None


# ---- Word ----------------------------------------------------------------------------------------------------------


def load_docx(raw: bytes, path: Path) -> Decoded:
    """Return the paragraphs of a Word document in their order, and a line for each row of a table.

    Headers, footers, footnotes and comments are left out. What Word notes about a file, such as the name of whoever
    bought the program, says nothing reliable about the document. Raises UndecodableText.
    """
    import docx  # noqa: PLC0415 - needed for such files only
    from docx.table import Table  # noqa: PLC0415 - comes with it

    try:
        _check_unpacked_size(raw, path)
        document = docx.Document(io.BytesIO(raw))
        blocks = [
            "\n".join(" | ".join(dict.fromkeys(cell.text.strip() for cell in row.cells)) for row in block.rows)
            if isinstance(block, Table)
            else block.text.strip()
            for block in document.iter_inner_content()
        ]
    except UndecodableText:
        raise
    except Exception as error:
        raise UndecodableText(path, "is no Word document that can be read (.docx); save it again") from error
    return Decoded(_NO_TEXT.sub("\ufffd", PARAGRAPH.join(block for block in blocks if block)), "docx")


def _check_unpacked_size(raw: bytes, path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(raw)) as packed:
        n_bytes = sum(part.file_size for part in packed.infolist())
    if n_bytes > _MAX_UNPACKED_BYTES:
        raise UndecodableText(path, f"unpacks to {n_bytes / 2**20:.0f} MB, too much for a document; take parts out")


# ---- PDF -----------------------------------------------------------------------------------------------------------


def load_pdf(raw: bytes, path: Path) -> Decoded:
    """Return the text of a PDF, its lines joined to paragraphs, its pages divided by ``PAGE_BREAK``.

    Left out are running heads and feet: lines that stand at the edge of half of the pages, whatever numbers are in
    them. Raises UndecodableText for what is damaged or locked, EmptyDocument where no page has text.
    """
    import pypdf  # noqa: PLC0415 - needed for such files only
    from pypdf.errors import FileNotDecryptedError  # noqa: PLC0415 - comes with it

    try:
        pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(raw)).pages]
    except FileNotDecryptedError as error:
        raise UndecodableText(path, "is locked with a password; save it without one") from error
    except Exception as error:
        raise UndecodableText(path, "is no PDF that can be read; save it again") from error
    if not any(page.strip() for page in pages):
        raise EmptyDocument(path, "has pages but no text: perhaps it was scanned; run text recognition over it first")
    return Decoded(_joined_pages([_lines(_NO_TEXT.sub("\ufffd", page)) for page in pages]), "pdf")


def _lines(page: str) -> list[str]:
    """Return the lines of a page, ligatures as letters; blank ones stay, since they divide paragraphs."""
    return [" ".join(line.translate(_LIGATURES).split()) for line in page.strip().split("\n")]


def _joined_pages(pages: Sequence[Sequence[str]]) -> str:
    bodies = _without_running_lines(pages)
    words = Counter(word for page in bodies for line in page for word in re.findall(r"[\w-]+", line.lower()))
    lengths = sorted(len(line) for page in bodies for line in page if line)
    width = lengths[int(_USUAL_WIDTH * (len(lengths) - 1))] if lengths else 0
    text = last = ""
    for number, page in enumerate(bodies):
        text += PAGE_BREAK * bool(number)
        for line in page:
            goes_on = bool(last and line) and not _ends_paragraph(last, line, width)
            if line and text.endswith(PAGE_BREAK):
                # with a space, since tokenizers drop the break itself
                text = f"{text} {line}" if goes_on else f"{text[:-1]}\n{PAGE_BREAK}\n{line}"
            elif line and goes_on:
                text = _appended(text, last, line, words)
            elif line:
                text += PARAGRAPH * bool(text) + line
            last = line
    return text


def _without_running_lines(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    counts: Counter[str] = Counter()
    for page in pages:
        counts.update({_without_numbers(page[i]) for i in _edges(page)})
    running = {line for line, n in counts.items() if n >= max(_RUNNING_PAGES, len(pages) / 2)}
    bodies = []
    for page in pages:
        edges = _edges(page)
        kept = [line for i, line in enumerate(page) if i not in edges or _without_numbers(line) not in running]
        bodies.append("\n".join(kept).strip("\n").split("\n"))
    return bodies


def _edges(page: Sequence[str]) -> set[int]:
    """Return the numbers of the first and last lines of a page."""
    filled = [i for i, line in enumerate(page) if line]
    return {*filled[:_RUNNING_LINES], *filled[-_RUNNING_LINES:]}


def _without_numbers(line: str) -> str:
    return re.sub(r"\d+", "0", line)


def _ends_paragraph(line: str, following: str, width: int) -> bool:
    if _LIST_ITEM.match(following):
        return True
    return len(line) < _FULL_LINE * width and (bool(_SENTENCE_END.search(line)) or not following[0].islower())


def _appended(text: str, last: str, line: str, words: Counter[str]) -> str:
    """Return the text with the next line of its paragraph, a word that was broken between them made whole."""
    if not _BROKEN_WORD.search(last) or not line[0].islower():
        return f"{text} {line}"
    first, second = re.split(r"\W", last[:-1])[-1].lower(), re.split(r"\W", line)[0].lower()
    # As the document writes it elsewhere; and what is two words elsewhere (the second is counted here, too) was joined
    # by the hyphen, not broken by it.
    is_compound = words[f"{first}-{second}"] > 0 or (words[first] > 0 and words[second] > 1)
    return text + line if is_compound and not words[first + second] else text[:-1] + line


LOADERS: Mapping[str, Loader] = {
    ".txt": load_plain,
    ".md": load_plain,
    ".html": load_html,
    ".htm": load_html,
    ".pdf": load_pdf,
    ".docx": load_docx,
}
