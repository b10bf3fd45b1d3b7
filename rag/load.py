"""From a path to text: find the documents below folders, read each, decode it.

``LOADERS`` is the one place that knows the formats: a new one is a function from bytes to ``Decoded`` and an entry for
its suffix. Knows nothing about what a text says; the ingest calls it first.
"""

import codecs
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import charset_normalizer

from rag.describe import read_sources
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
INDEX_MARK = "catalog.sqlite3"  # a folder with it is an index, and its files are no documents
BYTES_PER_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A document that can be loaded. ``source`` is its path relative to ``root``, with forward slashes."""

    root: Path
    path: Path
    source: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a loader makes of a file's bytes, and the encoding it read them with."""

    text: str
    encoding: str


@dataclass(frozen=True, slots=True)
class LoadedText:
    r"""A document's text: only ``\n`` ends a line, and no unpaired surrogate is in it.

    sha256: of the file's bytes, so that an unchanged file is recognised.
    """

    source: str
    text: str
    sha256: str
    encoding: str


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
    decoded = loader(raw, found.path)
    text = decoded.text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise EmptyDocument(found.path, "holds no text; remove it, or add it to 'ignore' in sources.toml")
    return LoadedText(found.source, text, hashlib.sha256(raw).hexdigest(), decoded.encoding)


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


Loader = Callable[[bytes, Path], Decoded]  # the path is for messages; a loader reads nothing from the disk
LOADERS: dict[str, Loader] = {".txt": load_plain, ".md": load_plain}


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
