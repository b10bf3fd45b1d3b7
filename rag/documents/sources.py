"""Read the files that accompany documents: ``sources.toml`` and ``synonyms.toml``.

``sources.toml``, all keys optional:

    ignore = ["README.md"]                          # patterns of files to skip

    ["reports/2025.txt"]                            # the document's path relative to this folder
    title = "…"
    publisher = "…"
    author = "…"
    language = "en"
    date = 2025-12-29
    inferred = { date = "why it is an inference" }
"""

import datetime as dt
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rag.errors import DocumentError

SOURCES_FILE = "sources.toml"
SYNONYMS_FILE = "synonyms.toml"
TEXT_FIELDS = ("title", "publisher", "author", "language")
FIELDS = (*TEXT_FIELDS, "date")


@dataclass(frozen=True, slots=True)
class Overrides:
    """Metadata stated for one document in ``sources.toml`` or in its file's own fields; None where unstated."""

    title: str | None = None
    publisher: str | None = None
    author: str | None = None
    language: str | None = None
    date: dt.date | None = None
    inferred: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """A folder's ``sources.toml``: patterns to ignore, and overrides by source."""

    ignore: tuple[str, ...] = ()
    documents: Mapping[str, Overrides] = field(default_factory=dict)

    def of(self, source: str) -> Overrides:
        """Return the overrides for this document, which may be empty."""
        return self.documents.get(source, Overrides())


def read_sources(folder: Path) -> Sources:
    """Read a folder's ``sources.toml``; without one, nothing is ignored or overridden.

    Raises DocumentError, naming the file and the key, for anything that has no meaning.
    """
    path = folder / SOURCES_FILE
    table = _read_toml(path)
    ignore = table.pop("ignore", [])
    if not _are_texts(ignore):
        raise DocumentError(path, "'ignore' is a list of file patterns")
    for pattern in ignore:
        _check_pattern(pattern, path)
    return Sources(tuple(ignore), {name: _overrides(name, entry, path) for name, entry in table.items()})


def read_synonyms(folder: Path) -> tuple[tuple[str, ...], ...]:
    """Read a folder's ``synonyms.toml``: groups of names that mean the same in its documents.

    Raises DocumentError, naming the file and the group, unless every group has two or more names.
    """
    path = folder / SYNONYMS_FILE
    table = _read_toml(path)
    unknown = sorted(table.keys() - {"groups"})
    if unknown:
        raise DocumentError(path, f"unknown key {unknown[0]!r}; the only key is 'groups'")
    groups = table.get("groups", [])
    if not isinstance(groups, list):
        raise DocumentError(path, "'groups' is a list of lists of names")
    for group in groups:
        if not _are_texts(group) or len(group) < 2:
            raise DocumentError(path, f"'groups' has {group!r}; a group is a list of two or more names")
    return tuple(tuple(group) for group in groups)


def _read_toml(path: Path) -> dict[str, Any]:
    """Return the table in a file, empty if the file does not exist."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DocumentError(path, f"not readable as TOML: {' '.join(str(error).split())}") from error


def _overrides(name: str, entry: Any, path: Path) -> Overrides:
    if not isinstance(entry, dict):
        raise DocumentError(path, f'unknown key {name!r}; a document is a table ["its/path.txt"]')
    unknown = sorted(entry.keys() - {*FIELDS, "inferred"})
    if unknown:
        raise DocumentError(
            path, f"[{name}] has the unknown key {unknown[0]!r}; known are {', '.join(FIELDS)}, inferred"
        )
    for key in TEXT_FIELDS:
        if key in entry and not (isinstance(entry[key], str) and entry[key].strip()):
            raise DocumentError(path, f"[{name}] {key} is {entry[key]!r}; it is a text, or left out")
    # type() rather than isinstance(): a TOML date with a time is a datetime, which is a subclass of date.
    if "date" in entry and type(entry["date"]) is not dt.date:
        raise DocumentError(path, f"[{name}] date is {entry['date']!r}; it is written as 2025-12-29, without quotes")
    inferred = entry.get("inferred", {})
    if not isinstance(inferred, dict) or not _are_texts(list(inferred.values())):
        raise DocumentError(path, f'[{name}] inferred is written as {{ date = "reason" }}')
    stray = sorted(inferred.keys() - entry.keys())
    if stray:
        raise DocumentError(path, f"[{name}] inferred gives a reason for {stray[0]!r}, which is not among its values")
    return Overrides(**entry)


def _check_pattern(pattern: str, path: Path) -> None:
    try:
        PurePosixPath("x").match(pattern)
    except ValueError as error:
        raise DocumentError(path, f"'ignore' has {pattern!r}, which is no file pattern") from error


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) and text.strip() for text in value)
