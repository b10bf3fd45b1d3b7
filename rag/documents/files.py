"""Find documents at and below the given paths."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rag.documents.formats import LOADERS, loader_of
from rag.documents.sources import read_sources
from rag.errors import DocumentError, EmptyFolder, MissingPath, UnreadableFile

INDEX_MARK = "catalog.sqlite3"  # marks a folder as an index, whose files are not documents


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A document that can be loaded. ``source`` is its path relative to ``root``, with forward slashes."""

    root: Path
    path: Path
    source: str


def find_documents(
    paths: Sequence[Path], *, ignored: Sequence[str] = ()
) -> tuple[list[FoundFile], list[DocumentError]]:
    """Find the documents at and below ``paths``; an error in one path does not affect the others.

    Folders are searched for files of known formats. Hidden files and folders are skipped, as are symlinked folders and
    links to files outside the folder tree. A file named directly has its own folder as root and is included
    regardless of patterns.
    ignored: patterns in addition to the ``ignore`` list of a folder's ``sources.toml``, matched against ``source`` from
    the right, so that "README.md" means that name at any depth.
    Returns (files, errors). Files are sorted by root and source, whatever the order of ``paths``. Each file appears
    once, under the outermost given folder that contains it.
    """
    files: dict[Path, FoundFile] = {}
    errors: list[DocumentError] = []
    # Outer folders before inner ones, folders before files: the longest source wins, whatever the argument order.
    for path in sorted(paths, key=lambda p: (_is_file(p), len(_real(p).parts), str(p))):
        try:
            for found in _below(path, ignored, errors) if path.is_dir() else [_named(path)]:
                files.setdefault(_real(found.path), found)
        except DocumentError as error:
            errors.append(error)
        except OSError as error:
            errors.append(UnreadableFile(path, f"cannot be looked at: {error.strerror or error}"))
    return sorted(files.values(), key=lambda found: (str(found.root), found.source)), errors


def _named(path: Path) -> FoundFile:
    if not path.exists():
        raise MissingPath(path, "nothing is there; check the spelling")
    loader_of(path)
    return _found(path.parent, path)


def _below(folder: Path, ignored: Sequence[str], errors: list[DocumentError]) -> Iterator[FoundFile]:
    """Yield the documents in a folder, adding what cannot be accessed to ``errors``."""
    patterns = (*read_sources(folder).ignore, *ignored)
    inside = _real(folder)
    known = [
        path
        for path in _walk(folder, errors)
        if path.suffix.lower() in LOADERS and _is_file(path) and _real(path).is_relative_to(inside)
    ]
    count = 0
    # Sort real files first, so that they are kept over links that point to them.
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
    """Resolve links as far as possible; ``Path.resolve`` raises on a link loop."""
    return Path(os.path.realpath(path))


def is_there(path: Path) -> bool:
    """Return whether a path exists and is visible; ``Path.exists`` raises below a folder without access."""
    try:
        return path.exists()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # no access to a parent folder
        return False


def _visible(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def _found(root: Path, path: Path) -> FoundFile:
    source = path.relative_to(root).as_posix()
    try:
        source.encode("utf-8")
    except UnicodeEncodeError as error:
        # Python keeps undecodable bytes of a name as surrogates, which neither JSON nor a web page can show.
        raise UnreadableFile(repr(str(path)), "its name is not UTF-8; rename the file") from error
    return FoundFile(root, path, source)
