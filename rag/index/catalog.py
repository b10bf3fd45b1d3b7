"""The catalogue of an index: documents, passages and which files hold their vectors, in one SQLite database.

Its COMMIT commits the whole index. Vectors and lexical files are written first, under names that no reader knows, and
become visible through the transaction that names them. A reader works inside one read transaction and so sees a single
generation, regardless of concurrent writers (SQLite's write-ahead log).
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rag.errors import IndexDamaged, IndexLocked, StorageFull
from rag.values import Document, Exclusion, Passage, Span

FORMAT = 1  # raised when older indexes can no longer be read

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    doc_id TEXT PRIMARY KEY, root TEXT NOT NULL, source TEXT NOT NULL UNIQUE, title TEXT NOT NULL, publisher TEXT,
    author TEXT, date TEXT, language TEXT, inferred TEXT NOT NULL, sha256 TEXT NOT NULL, recipe TEXT NOT NULL,
    segment INTEGER NOT NULL, added_at TEXT NOT NULL, n_passages INTEGER NOT NULL,
    n_sentences INTEGER NOT NULL, excluded TEXT NOT NULL,
    text TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE passages (
    passage_id TEXT PRIMARY KEY, doc_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
    first INTEGER NOT NULL, last INTEGER NOT NULL, heading TEXT NOT NULL, sentences TEXT NOT NULL, text TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX passages_by_place ON passages (doc_id, first);
CREATE TABLE segments (segment INTEGER PRIMARY KEY);
CREATE TABLE retired (kind TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (kind, number));
CREATE TABLE synonyms (root TEXT NOT NULL, names TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document as stored in the catalogue.

    root: folder it was ingested from. recipe: hash of everything that determines how its text is split into passages; a
    document with a different hash is split again. segment: number of the vector files with its passages. added_at: when
    this text was ingested, UTC.
    """

    document: Document
    root: str
    recipe: str
    segment: int
    added_at: dt.datetime
    n_passages: int
    n_sentences: int
    excluded: tuple[Exclusion, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """The summary of a document in a list; thousands of documents can be listed without reading their texts.

    root: folder it was ingested from. added_at: when this text was ingested, UTC. n_excluded: lines left out.
    """

    doc_id: str
    root: str
    source: str
    title: str
    publisher: str | None
    date: dt.date | None
    added_at: dt.datetime
    n_passages: int
    n_excluded: int


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Translate SQLite's errors into index errors."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorname", "")
        if code in {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC"}:
            raise StorageFull(f"{folder}: no space left on the disk; free some and run rag ingest again") from error
        if code.startswith("SQLITE_BUSY"):
            raise IndexLocked(f"{folder}: another process holds the catalogue; try again") from error
        raise IndexDamaged(
            f"{folder}: the catalogue is damaged ({error}); delete the folder and run rag ingest"
        ) from error


def connect(path: Path, *, writing: bool) -> sqlite3.Connection:
    """Open the database file, creating it if needed; the caller manages transactions."""
    connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    if writing:
        connection.execute("PRAGMA journal_mode = WAL")  # readers can read during a write
        connection.execute("PRAGMA synchronous = FULL")  # a reported commit survives a power cut
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # deleted documents leave no text in the file
    return connection


class Catalog:
    """Queries on one connection, inside a transaction held by the caller."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    # -- whole index -------------------------------------------------------------------------------------------------

    def create(self, shaping: dict[str, str | int]) -> None:
        """Create the tables in an empty database, as generation 0."""
        for statement in _SCHEMA.split(";"):
            self._db.execute(statement)
        self._set("format", str(FORMAT))
        self._set("shaping", json.dumps(shaping))
        self._set("generation", "0")
        self._set("lexical", "0")

    def exists(self) -> bool:
        """Whether the tables have been created."""
        return bool(self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone())

    @property
    def format(self) -> int:
        """Version of the layout of the index."""
        return int(self._get("format"))

    @property
    def shaping(self) -> dict[str, str | int]:
        """The settings that the index was built with."""
        shaping: dict[str, str | int] = json.loads(self._get("shaping"))
        return shaping

    @property
    def generation(self) -> int:
        """Number of commits so far."""
        return int(self._get("generation"))

    @property
    def lexical(self) -> int:
        """Number of the word index in use; 0 for none."""
        return int(self._get("lexical"))

    def commit(self, *, generation: int, lexical: int, segments: Iterable[int], now: float) -> None:
        """Name the files of the new generation and make the whole transaction visible. now: seconds since 1970."""
        before = self.files()
        self._set("generation", str(generation))
        self._set("lexical", str(lexical))
        self._db.execute("DELETE FROM segments")
        self._db.executemany("INSERT INTO segments VALUES (?)", ((segment,) for segment in sorted(segments)))
        retired = sorted(before - self.files())
        self._db.executemany("INSERT INTO retired VALUES (?, ?, ?)", ((kind, number, now) for kind, number in retired))
        self._db.execute("COMMIT")

    def files(self) -> set[tuple[str, int]]:
        """Return the files of this generation, as (kind, number)."""
        return {("vectors", segment) for segment in self.segments()} | {("lexical", self.lexical)} - {("lexical", 0)}

    def retired(self, *, since: float) -> set[tuple[str, int]]:
        """Return the files retired by commits after ``since``, which a running question may still be reading."""
        rows = self._db.execute("SELECT kind, number FROM retired WHERE at > ?", (since,))
        return {(kind, number) for kind, number in rows}

    def forget_retired(self, *, until: float) -> None:
        """Forget files retired up to ``until``."""
        self._db.execute("DELETE FROM retired WHERE at <= ?", (until,))

    def segments(self) -> tuple[int, ...]:
        """Numbers of the vector files in use, oldest first."""
        return tuple(row[0] for row in self._db.execute("SELECT segment FROM segments ORDER BY segment"))

    def synonyms(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups of synonymous names from all ingested folders."""
        return tuple(tuple(json.loads(row[0])) for row in self._db.execute("SELECT names FROM synonyms ORDER BY rowid"))

    def set_synonyms(self, root: str, groups: Iterable[Sequence[str]]) -> bool:
        """Replace the groups of one folder; return whether they changed."""
        rows = [json.dumps(list(names), ensure_ascii=False) for names in groups]
        known = self._db.execute("SELECT names FROM synonyms WHERE root = ? ORDER BY rowid", (root,))
        if [row[0] for row in known] == rows:
            return False
        self._db.execute("DELETE FROM synonyms WHERE root = ?", (root,))
        self._db.executemany("INSERT INTO synonyms VALUES (?, ?)", ((root, row) for row in rows))
        return True

    # -- documents ---------------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Yield all documents, ordered by source, with one text in memory at a time."""
        yield from map(_entry, self._db.execute(f"SELECT {_ENTRY} FROM documents ORDER BY source"))

    def listed(self) -> Iterator[Listed]:
        """Yield all documents, ordered by source, without their texts."""
        yield from map(_listed, self._db.execute(f"SELECT {_LISTED} FROM documents ORDER BY source"))

    def entry_by_source(self, source: str) -> Entry | None:
        """Return the document with this source."""
        row = self._db.execute(f"SELECT {_ENTRY} FROM documents WHERE source = ?", (source,)).fetchone()
        return _entry(row) if row else None

    def document_by_source(self, source: str) -> Document | None:
        """Return the document with this source and its text."""
        entry = self.entry_by_source(source)
        return entry.document if entry else None

    def sources(self) -> dict[str, tuple[str, str]]:
        """Return source -> (doc_id, root), ordered by source."""
        rows = self._db.execute("SELECT source, doc_id, root FROM documents ORDER BY source")
        return {source: (doc_id, root) for source, doc_id, root in rows}

    def entry(self, doc_id: str) -> Entry:
        """Return one document and its metadata; raises KeyError for an unknown id."""
        row = self._db.execute(f"SELECT {_ENTRY} FROM documents WHERE doc_id = ?", (doc_id,)).fetchone()
        if row is None:
            raise KeyError(doc_id)
        return _entry(row)

    def document(self, doc_id: str) -> Document:
        """Return one document with its text; raises KeyError for an unknown id."""
        return self.entry(doc_id).document

    def segment_of(self) -> dict[str, int]:
        """Return doc_id -> segment: a vector counts only if its document is alive and lives in that segment."""
        return dict(self._db.execute("SELECT doc_id, segment FROM documents"))

    def count_units(self, segment: int) -> int:
        """Return how many passages and sentences of living documents a segment holds."""
        query = "SELECT coalesce(sum(n_passages + n_sentences), 0) FROM documents WHERE segment = ?"
        return int(self._db.execute(query, (segment,)).fetchone()[0])

    def doc_ids(self, *, source: str | None, since: dt.date | None, until: dt.date | None) -> frozenset[str]:
        """Return the documents of a source (a full name or a folder) dated within the closed range.

        A document without a date is outside every range.
        """
        where, values = ["1"], []
        if source is not None:
            where.append("(source = ? OR substr(source, 1, ?) = ?)")
            values += [source, len(source.rstrip("/")) + 1, source.rstrip("/") + "/"]
        if since is not None:
            where.append("date >= ?")
            values.append(since.isoformat())
        if until is not None:
            where.append("date <= ?")
            values.append(until.isoformat())
        rows = self._db.execute(f"SELECT doc_id FROM documents WHERE {' AND '.join(where)}", values)
        return frozenset(row[0] for row in rows)

    def put(self, entry: Entry, passages: Sequence[Passage]) -> None:
        """Add a document with its passages, replacing one with the same source."""
        d = entry.document
        self._db.execute("DELETE FROM documents WHERE source = ?", (d.source,))
        self._db.execute(
            f"INSERT INTO documents ({_ENTRY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                d.id,
                entry.root,
                d.source,
                d.title,
                d.publisher,
                d.author,
                d.date.isoformat() if d.date else None,
                d.language,
                json.dumps(dict(d.inferred), ensure_ascii=False, sort_keys=True),
                d.sha256,
                entry.recipe,
                entry.segment,
                entry.added_at.isoformat(timespec="seconds"),
                entry.n_passages,
                entry.n_sentences,
                json.dumps([[x.span.start, x.span.end, x.rule, x.reason] for x in entry.excluded], ensure_ascii=False),
                d.text,
            ),
        )
        self._db.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    p.id,
                    p.doc_id,
                    p.span.start,
                    p.span.end,
                    p.heading,
                    json.dumps([[s.start, s.end] for s in p.sentences]),
                    p.text,
                )
                for p in passages
            ),
        )

    def move(self, doc_ids: Iterable[str], segment: int) -> None:
        """Record that the vectors of these documents are now in another segment."""
        self._db.executemany("UPDATE documents SET segment = ? WHERE doc_id = ?", ((segment, d) for d in doc_ids))

    def remove(self, doc_id: str) -> None:
        """Delete a document and its passages."""
        self._db.execute("DELETE FROM documents WHERE doc_id = ?", (doc_id,))

    # -- passages ----------------------------------------------------------------------------------------------------

    def passages(self, passage_ids: Iterable[str]) -> dict[str, Passage]:
        """Return the passages with these ids, skipping unknown ones."""
        query = f"{_PASSAGE} WHERE passage_id = ?"
        rows = (self._db.execute(query, (passage_id,)).fetchone() for passage_id in passage_ids)
        return {row[0]: _passage(row) for row in rows if row}

    def passages_of(self, doc_id: str) -> list[Passage]:
        """Return a document's passages in order."""
        return [_passage(row) for row in self._db.execute(f"{_PASSAGE} WHERE p.doc_id = ? ORDER BY first", (doc_id,))]

    def passage_at(self, doc_id: str, span: Span) -> Passage | None:
        """Return the first passage that contains the whole span: if a sentence is in two, the one that it ends."""
        # Passages overlap by few sentences, so those around a position are the last few that begin before it.
        rows = self._db.execute(
            f"{_PASSAGE} WHERE p.doc_id = ? AND first <= ? ORDER BY first DESC LIMIT 8", (doc_id, span.start)
        )
        around = [row for row in rows if row[3] >= span.end]
        return _passage(around[-1]) if around else None

    def _get(self, key: str) -> str:
        return str(self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])

    def _set(self, key: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
        )


_ENTRY = (
    "doc_id, root, source, title, publisher, author, date, language, inferred, sha256, recipe, segment, added_at,"
    " n_passages, n_sentences, excluded, text"
)
_LISTED = "doc_id, root, source, title, publisher, date, added_at, n_passages, json_array_length(excluded)"
_PASSAGE = (
    "SELECT passage_id, p.doc_id, first, last, heading, sentences, p.text, source"
    " FROM passages p JOIN documents d ON d.doc_id = p.doc_id"
)


def _entry(row: tuple) -> Entry:  # type: ignore[type-arg]  # sqlite3 rows are untyped
    document = Document(
        id=row[0],
        source=row[2],
        title=row[3],
        publisher=row[4],
        author=row[5],
        date=dt.date.fromisoformat(row[6]) if row[6] else None,
        text=row[16],
        sha256=row[9],
        language=row[7],
        inferred=json.loads(row[8]),
    )
    return Entry(
        document=document,
        root=row[1],
        recipe=row[10],
        segment=row[11],
        added_at=dt.datetime.fromisoformat(row[12]),
        n_passages=row[13],
        n_sentences=row[14],
        excluded=tuple(Exclusion(Span(start, end), rule, reason) for start, end, rule, reason in json.loads(row[15])),
    )


def _listed(row: tuple) -> Listed:  # type: ignore[type-arg]
    doc_id, root, source, title, publisher, date, added_at, n_passages, n_excluded = row
    return Listed(
        doc_id=doc_id,
        root=root,
        source=source,
        title=title,
        publisher=publisher,
        date=dt.date.fromisoformat(date) if date else None,
        added_at=dt.datetime.fromisoformat(added_at),
        n_passages=n_passages,
        n_excluded=n_excluded,
    )


def _passage(row: tuple) -> Passage:  # type: ignore[type-arg]
    return Passage(
        id=row[0],
        doc_id=row[1],
        span=Span(row[2], row[3]),
        heading=row[4],
        source=row[7],
        text=row[6],
        sentences=tuple(Span(start, end) for start, end in json.loads(row[5])),
    )
