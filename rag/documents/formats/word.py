"""Extract the text of a Word document: its paragraphs in order, and one line per table row.

Tracked changes count as accepted: insertions are included, deletions are not. Headers, footers, footnotes and comments
are left out. Word's own file properties, such as the name of the licence holder, are unreliable and not read.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag.documents.formats.plain import NO_TEXT, PARAGRAPH, Decoded
from rag.errors import UndecodableText

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # a duplicate for old programs
_LEFT_OUT = {f"{_W}{name}" for name in ("del", "moveFrom", "rPr", "pPr", "instrText", "delText")} | {_FALLBACK}
_CHARACTERS = {f"{_W}tab": " ", f"{_W}br": " ", f"{_W}cr": " ", f"{_W}noBreakHyphen": "-", f"{_W}softHyphen": ""}
_MAX_UNPACKED_BYTES = 200 * 1024 * 1024


def load_docx(raw: bytes, path: Path) -> Decoded:
    """Return the text of a Word document. Raises UndecodableText."""
    import docx  # noqa: PLC0415 - needed for Word files only

    _check_unpacked_size(raw, path)
    try:
        blocks = list(_blocks(docx.Document(io.BytesIO(raw)).element.body))
    except Exception as error:
        raise UndecodableText(path, "is no Word document that can be read; save it as .docx") from error
    return Decoded(NO_TEXT.sub("\ufffd", PARAGRAPH.join(blocks)), "docx")


def _check_unpacked_size(raw: bytes, path: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            n_bytes = sum(part.file_size for part in packed.infolist())
    except zipfile.BadZipFile as error:
        raise UndecodableText(path, "is no Word document that can be read; save it as .docx") from error
    if n_bytes > _MAX_UNPACKED_BYTES:
        raise UndecodableText(path, f"unpacks to {n_bytes / 2**20:.0f} MB, too much for a document; take parts out")


def _blocks(element: Any) -> Iterator[str]:
    """Yield the paragraphs and tables below an element, one line per row; a text box follows its paragraph."""
    for child in element:
        if child.tag == f"{_W}p":
            if text := _text(child):
                yield text
            for box in _boxes(child):
                yield from _blocks(box)
        elif child.tag == f"{_W}tbl":
            if rows := "\n".join(filter(None, map(_row, _below(child, f"{_W}tr")))):
                yield rows
        elif child.tag not in _LEFT_OUT:
            yield from _blocks(child)


def _row(row: Any) -> str:
    """Return the cells of a row on one line; a cell merged with the row above is empty."""
    cells = [
        "" if _is_continued(cell) else " ".join(" ".join(_blocks(cell)).split()) for cell in _below(row, f"{_W}tc")
    ]
    return " | ".join(cells) if any(cells) else ""


def _is_continued(cell: Any) -> bool:
    merged = cell.find(f"{_W}tcPr/{_W}vMerge")
    return merged is not None and merged.get(f"{_W}val", "continue") == "continue"


def _below(element: Any, tag: str) -> Iterator[Any]:
    """Yield the nearest descendants with a tag, including those inside content controls."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag not in _LEFT_OUT:
            yield from _below(child, tag)


def _boxes(paragraph: Any) -> Iterator[Any]:
    for box in paragraph.iter(f"{_W}txbxContent"):
        if not any(above.tag == _FALLBACK for above in box.iterancestors()):
            yield box


def _text(element: Any) -> str:
    return " ".join("".join(_pieces(element)).split())


def _pieces(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _CHARACTERS:
            yield _CHARACTERS[child.tag]
        elif child.tag == f"{_W}r" and child.find(f"{_W}rPr/{_W}vanish") is not None:
            continue  # hidden text
        elif child.tag not in _LEFT_OUT and child.tag != f"{_W}txbxContent":
            yield from _pieces(child)
