"""What kinds of files are read: one module each, with a function from bytes to ``Decoded``.

``LOADERS`` is the one place that knows them all: a new format is a module and an entry for its suffix. What a loader
makes of a file is from then on the document, to which all offsets refer.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from rag.documents.formats.html import load_html
from rag.documents.formats.pdf import load_pdf
from rag.documents.formats.plain import Decoded, load_plain
from rag.documents.formats.word import load_docx
from rag.errors import UnsupportedFormat

Loader = Callable[[bytes, Path], Decoded]  # the path is for messages; a loader reads nothing from the disk
LOADERS: Mapping[str, Loader] = {
    ".txt": load_plain,
    ".md": load_plain,
    ".html": load_html,
    ".htm": load_html,
    ".pdf": load_pdf,
    ".docx": load_docx,
}
READING = 2  # counted up where a loader takes another text out of the same file; plain text is never read otherwise


def loader_of(path: Path) -> Loader:
    """Return what reads a file, by its suffix; raises UnsupportedFormat."""
    loader = LOADERS.get(path.suffix.lower())
    if loader is None:
        raise UnsupportedFormat(path, f"no known format; known are {', '.join(sorted(LOADERS))}")
    return loader
