"""Load the text of a file."""

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path

from rag.documents.files import FoundFile
from rag.documents.formats import loader_of
from rag.documents.formats.plain import load_plain
from rag.documents.sources import Overrides
from rag.errors import (
    DocumentError,
    EmptyDocument,
    FileTooLarge,
    MissingPath,
    UndecodableText,
    UnreadableFile,
)

BYTES_PER_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LoadedText:
    r"""A document's text, with ``\n`` as the only line ending and no unpaired surrogates.

    sha256: hash of the file's bytes, to recognise an unchanged file. stated: metadata from the file's own fields.
    is_plain: whether the file is plain text, as opposed to a format that the text was extracted from.
    """

    source: str
    text: str
    sha256: str
    encoding: str
    stated: Overrides = field(default_factory=Overrides)
    is_plain: bool = True


def load(found: FoundFile, *, max_bytes: int) -> LoadedText:
    """Read and decode one document.

    Raises FileTooLarge before reading anything, UnreadableFile, UnsupportedFormat, UndecodableText, and EmptyDocument
    if the text is only white space.
    """
    loader = loader_of(found.path)
    raw = _read(found.path, max_bytes)
    try:
        decoded = loader(raw, found.path)
    except DocumentError:
        raise
    except Exception as error:  # parsers meet arbitrary bytes; one bad file must not abort the ingest
        raise UndecodableText(found.path, f"cannot be read ({type(error).__name__}); save it as plain text") from error
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise EmptyDocument(found.path, "holds no text; remove it, or add it to 'ignore' in sources.toml")
    digest = hashlib.sha256(raw).hexdigest()
    return LoadedText(found.source, text, digest, decoded.encoding, decoded.stated, is_plain=loader is load_plain)


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile(path, "is no regular file")
        if status.st_size > max_bytes:
            raise FileTooLarge(path, _too_large(status.st_size, max_bytes))
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)  # the file may have grown since
    except FileNotFoundError as error:
        raise MissingPath(path, "nothing is there any more") from error
    except OSError as error:
        raise UnreadableFile(path, f"cannot be read: {error.strerror or error}") from error
    if len(raw) > max_bytes:
        raise FileTooLarge(path, _too_large(len(raw), max_bytes))
    return raw


def _too_large(n_bytes: int, max_bytes: int) -> str:
    return (
        f"has {n_bytes / BYTES_PER_MB:.2f} MB, more than the limit of {max_bytes / BYTES_PER_MB:.2f} MB; "
        "RAG_MAX_FILE_MB raises it"
    )
