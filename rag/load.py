"""From a path to text: find the documents below folders, read each, have it decoded.

``LOADERS`` is the one place that knows the formats: a new one is a module with a function from bytes to ``Decoded``,
and an entry for its suffix. What a loader makes of a file is from then on the document, to which all offsets refer.
Knows nothing about what a text says; the ingest calls it first.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rag.describe import Overrides, read_sources
from rag.errors import (
    DocumentError,
    EmptyDocument,
    EmptyFolder,
    FileTooLarge,
    MissingPath,
    UndecodableText,
    UnreadableFile,
    UnsupportedFormat,
)
from rag.load_html import load_html
from rag.load_pdf import load_pdf
from rag.load_text import Decoded, load_plain
from rag.load_word import load_docx

Loader = Callable[[bytes, Path], Decoded]  # the path is for messages; a loader reads nothing from the disk
LOADERS: Mapping[str, Loader] = {
    ".txt": load_plain,
    ".md": load_plain,
    ".html": load_html,
    ".htm": load_html,
    ".pdf": load_pdf,
    ".docx": load_docx,
}
READING = 1  # counted up where a loader takes another text out of the same file; plain text is never read otherwise
INDEX_MARK = "catalog.sqlite3"  # a folder with it is an index, and its files are no documents
BYTES_PER_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A document that can be loaded. ``source`` is its path relative to ``root``, with forward slashes."""

    root: Path
    path: Path
    source: str


@dataclass(frozen=True, slots=True)
class LoadedText:
    r"""A document's text: only ``\n`` ends a line, and no unpaired surrogate is in it.

    sha256: of the file's bytes, so that an unchanged file is recognised. stated: what the file says of itself in fields
    of its own. is_plain: whether the file is this text, rather than having it taken out of it.
    """

    source: str
    text: str
    sha256: str
    encoding: str
    stated: Overrides = field(default_factory=Overrides)
    is_plain: bool = True


def find_documents(
    paths: Sequence[Path], *, ignored: Sequence[str] = ()
) -> tuple[list[FoundFile], list[DocumentError]]:
    """Find the documents at and below ``paths``; what is wrong with one path never hides what is at the others.

    A folder is searched for files of a known format; hidden files and folders are passed over, folders behind symbolic
    links as well, and linked files unless they lie in the same folder tree. A file named directly has its own folder
    as root, and is taken whatever the patterns say.
    ignored: patterns in addition to the ``ignore`` list of a folder's ``sources.toml``, matched against ``source`` from
    the right, so that "README.md" means that name at any depth.
    Returns (files, errors). Files are sorted by root and source, whatever the order of ``paths``; each counts once, by
    the outermost of the folders given that holds it.
    """
    files: dict[Path, FoundFile] = {}
    errors: list[DocumentError] = []
    # Outer folders before inner ones, and folders before files: the longest source wins, in any order of arguments.
    for path in sorted(paths, key=lambda p: (_is_file(p), len(_real(p).parts), str(p))):
        try:
            for found in _below(path, ignored, errors) if path.is_dir() else [_named(path)]:
                files.setdefault(_real(found.path), found)
        except DocumentError as error:
            errors.append(error)
        except OSError as error:
            errors.append(UnreadableFile(path, f"cannot be looked at: {error.strerror or error}"))
    return sorted(files.values(), key=lambda found: (str(found.root), found.source)), errors


def load(found: FoundFile, *, max_bytes: int) -> LoadedText:
    """Read and decode one document.

    Raises FileTooLarge before reading anything, UnreadableFile, UnsupportedFormat, UndecodableText, and EmptyDocument
    for a text of nothing but white space.
    """
    loader = _loader(found.path)
    raw = _read(found.path, max_bytes)
    try:
        decoded = loader(raw, found.path)
    except DocumentError:
        raise
    except Exception as error:  # libraries over any bytes whatever: one file must not end the ingest of the others
        raise UndecodableText(found.path, f"cannot be read ({type(error).__name__}); save it as plain text") from error
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise EmptyDocument(found.path, "holds no text; remove it, or add it to 'ignore' in sources.toml")
    digest = hashlib.sha256(raw).hexdigest()
    return LoadedText(found.source, text, digest, decoded.encoding, decoded.stated, is_plain=loader is load_plain)


def _named(path: Path) -> FoundFile:
    if not path.exists():
        raise MissingPath(path, "nothing is there; check the spelling")
    _loader(path)
    return _found(path.parent, path)


def _below(folder: Path, ignored: Sequence[str], errors: list[DocumentError]) -> Iterator[FoundFile]:
    """Yield the documents in a folder; what cannot be looked into is added to ``errors``."""
    patterns = (*read_sources(folder).ignore, *ignored)
    inside = _real(folder)
    known = [
        path
        for path in _walk(folder, errors)
        if path.suffix.lower() in LOADERS and _is_file(path) and _real(path).is_relative_to(inside)
    ]
    count = 0
    # A link may point to a file that is found at its own place, too: real files come first, and are the ones kept.
    for path in sorted(known, key=lambda p: p.is_symlink()):
        try:
            found = _found(folder, path)
        except UnreadableFile as error:
            errors.append(error)
            continue
        if not any(PurePosixPath(found.source).match(pattern) for pattern in patterns):
            count += 1
            yield found
    if not count:
        raise EmptyFolder(folder, f"holds no document of a known format ({', '.join(sorted(LOADERS))})")


def _walk(folder: Path, errors: list[DocumentError]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        errors.append(UnreadableFile(error.filename or folder, f"cannot be looked into: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in _visible(folders) if not is_there(Path(parent, name, INDEX_MARK))]
        for name in _visible(names):
            yield Path(parent, name)


def _real(path: Path) -> Path:
    """Follow links as far as they lead; ``Path.resolve`` raises where one leads to itself."""
    return Path(os.path.realpath(path))


def is_there(path: Path) -> bool:
    """Whether something is there and can be seen; ``Path.exists`` raises below a folder that may not be entered."""
    try:
        return path.exists()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder on the way that may not be entered
        return False


def _visible(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def _found(root: Path, path: Path) -> FoundFile:
    source = path.relative_to(root).as_posix()
    try:
        source.encode("utf-8")
    except UnicodeEncodeError as error:
        # Python keeps undecodable bytes of a name as surrogates, which no JSON file or page could show.
        raise UnreadableFile(repr(str(path)), "its name is not UTF-8; rename the file") from error
    return FoundFile(root, path, source)


def _loader(path: Path) -> Loader:
    loader = LOADERS.get(path.suffix.lower())
    if loader is None:
        raise UnsupportedFormat(path, f"no known format; known are {', '.join(sorted(LOADERS))}")
    return loader


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
