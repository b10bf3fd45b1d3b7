"""File formats: one module each, with a function from bytes to ``Decoded``.

To add a format, add a module and an entry for its suffix in ``LOADERS``. The text that a loader returns becomes the
document, and all offsets refer to it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from rag.documents.formats.html import load_html
from rag.documents.formats.pdf import load_pdf
from rag.documents.formats.plain import Decoded, load_plain
from rag.documents.formats.word import load_docx
from rag.errors import UnsupportedFormat

Loader = Callable[[bytes, Path], Decoded]  # the path is only for messages; a loader does not read from disk
LOADERS: Mapping[str, Loader] = {
    ".txt": load_plain,
    ".md": load_plain,
    ".html": load_html,
    ".htm": load_html,
    ".pdf": load_pdf,
    ".docx": load_docx,
}
READING = 1  # bump when a loader extracts different text from the same file; plain text never changes


def loader_of(path: Path) -> Loader:
    """Return the loader for a file's suffix. Raises UnsupportedFormat."""
    loader = LOADERS.get(path.suffix.lower())
    if loader is None:
        raise UnsupportedFormat(path, f"no known format; known are {', '.join(sorted(LOADERS))}")
    return loader
