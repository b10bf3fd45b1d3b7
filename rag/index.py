"""One index on disk: a catalogue, vector segments and a word index that become visible together.

    <index>/catalog.sqlite3      what exists; its COMMIT is the commit of everything
            vectors/<number>/    a segment: one Chroma folder, never changed once committed
            lexical/<number>/    a word index, likewise
            writer.lock          held by the one writer

A writer makes new files under new numbers, then commits the catalogue that names them. Killed before the commit, it
leaves files that nobody names; the next writer deletes them. A reader takes the newest committed generation at each
question. Segments are merged as in a log-structured index (O'Neil et al., 1996): a commit takes in those of about its
own size, so that there are a logarithmic number of them and a large one is not rewritten for a small addition.
"""

import errno
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from rag.catalog import FORMAT, Catalog, Entry, connect, translated
from rag.encode import Vectors
from rag.errors import IndexDamaged, IndexLocked, IndexMismatch, IndexMissing, IndexUnusable, StorageFull
from rag.lexical import LexicalIndex
from rag.store import Segment, Segments
from rag.types import UNITS, Passage, Unit, doc_id_of, unit_id

_MAX_NAMED_DOCUMENTS = 1_000  # in a filter; Chroma puts each name into one SQL statement, which takes some 32,000
_GRACE_S = 60.0  # what a commit replaces stays so long for questions under way, which take seconds at most
_MERGE_UP_TO = 2  # segments up to twice the size of what is added are merged with it


@dataclass(frozen=True, slots=True)
class Reading:
    """A view of one generation, whole and unchanging while it is held."""

    generation: int
    catalog: Catalog
    segments: Mapping[int, Segment]
    lexical: LexicalIndex
    segment_of: Mapping[str, int]  # doc_id -> segment that holds its vectors

    def nearest(
        self, unit: Unit, vectors: Vectors, top_k: int, *, doc_ids: frozenset[str] | None = None
    ) -> list[tuple[str, float]]:
        """Return at most top_k ids with their cosine similarity to the nearest of the vectors; best first, ties by id.

        vectors: shape (n, dimension), several phrasings of one question. doc_ids: only units of these documents.
        """
        best: dict[str, float] = {}
        for number, segment in self.segments.items():
            wanted = None if doc_ids is None else sorted(d for d in doc_ids if self.segment_of.get(d) == number)
            if wanted == []:
                continue
            is_live = self._lives_in(number, doc_ids)
            if wanted and len(wanted) > _MAX_NAMED_DOCUMENTS:
                wanted = None  # so many are found without being named
            for vector in vectors:
                found = segment.nearest(unit, vector, top_k, is_live=is_live, doc_ids=wanted)
                for found_id, similarity in found:
                    best[found_id] = max(similarity, best.get(found_id, -1.0))
        return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))[:top_k]

    def vectors(self, unit: Unit, ids: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors of these ids, each of shape (dimension,); raises IndexDamaged if one is missing."""
        found: dict[str, Vectors] = {}
        for number, segment in self.segments.items():
            here = [i for i in ids if self.segment_of.get(doc_id_of(i)) == number]
            if here:
                found.update(segment.vectors(unit, here))
        if len(found) < len(set(ids)):
            raise IndexDamaged("the index lacks vectors that its catalogue names; delete it and run rag ingest again")
        return found

    def _lives_in(self, number: int, doc_ids: frozenset[str] | None) -> Callable[[str], bool]:
        def is_live(found_id: str) -> bool:
            doc_id = doc_id_of(found_id)
            return self.segment_of.get(doc_id) == number and (doc_ids is None or doc_id in doc_ids)

        return is_live


@dataclass(slots=True)
class Draft:
    """A generation in the making: what is put in or removed here is seen by nobody until ``commit``."""

    catalog: Catalog
    segment_number: int
    _index: "Index"
    _segment: Segment | None = None
    _texts: dict[Unit, list[tuple[str, str]]] = field(default_factory=lambda: {unit: [] for unit in UNITS})
    _removed: dict[Unit, list[tuple[str, str]]] = field(default_factory=lambda: {unit: [] for unit in UNITS})
    _described: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self._described or any(self._texts.values()) or any(self._removed.values()))

    def put(self, entry: Entry, passages: Sequence[Passage]) -> None:
        """Add a document, or replace the one of the same source; its vectors follow by ``add_vectors``."""
        old = self.catalog.entry_by_source(entry.document.source)
        if old:
            self.remove(old.document.id)
        self.catalog.put(entry, passages)
        for unit, texts in units_of(passages).items():
            self._texts[unit] += texts

    def remove(self, doc_id: str) -> None:
        """Take a document out."""
        for unit, texts in units_of(self.catalog.passages_of(doc_id)).items():
            self._removed[unit] += texts
        self.catalog.remove(doc_id)

    def describe(self) -> None:
        """Say that the catalogue was changed in ways that touch no text."""
        self._described = True

    def add_vectors(self, unit: Unit, ids: Sequence[str], vectors: Vectors) -> None:
        """Add vectors of units of documents that were put in."""
        if self._segment is None:
            self._segment = Segment.create(self._index.segments.path(self.segment_number))
        self._segment.add(unit, ids, vectors)

    def commit(self) -> int:
        """Make everything visible at once and return the new generation."""
        segments = self._merged_segments()
        if self._segment:
            self._segment.finish()
            _sync(self._segment.folder)
        generation, lexical = self.catalog.generation + 1, self.catalog.lexical
        if not lexical or any(self._texts.values()) or any(self._removed.values()):
            old = self._index.lexical_at(lexical) if lexical else LexicalIndex.empty()
            new = old.changed(removed=self._removed, added=self._texts)
            lexical = self._index.next_number()
            new.save(self._index.lexical_path(lexical))
            _sync(self._index.lexical_path(lexical))
        self.catalog.commit(generation=generation, lexical=lexical, segments=segments, now=time.time())
        return generation

    def close(self) -> None:
        """Give the files of the new segment back, whether it was committed or not."""
        if self._segment:
            self._segment.close()

    def _merged_segments(self) -> list[int]:
        """Return the segments of the new generation, after small and half-dead ones were taken into the new one."""
        segment_of = self.catalog.segment_of()
        live = {number: [d for d, s in segment_of.items() if s == number] for number in self.catalog.segments()}
        size = self._segment.count() if self._segment else 0
        kept = []
        for number in sorted(live, reverse=True):  # newest first: sizes grow towards the oldest
            doc_ids = live[number]
            if not doc_ids:
                continue
            with self._index.segments.hold([number]) as held:
                n_all = held[number].count()
                n_live = self.catalog.count_units(number)
                if n_live > _MERGE_UP_TO * size and 2 * n_live >= n_all:
                    kept.append(number)
                else:
                    self._take_in(held[number], doc_ids)
                    size += n_live
        return sorted([*kept, *([self.segment_number] if self._segment else [])])

    def _take_in(self, segment: Segment, doc_ids: Sequence[str]) -> None:
        """Copy the living vectors of a segment into the new one."""
        for unit in UNITS:
            texts = [pair for d in doc_ids for pair in units_of(self.catalog.passages_of(d))[unit]]
            found = segment.vectors(unit, [i for i, _ in texts])
            if found:
                self.add_vectors(unit, list(found), np.stack(list(found.values())))
        self.catalog.move(doc_ids, self.segment_number)


class Index:
    """An index folder; opens nothing until it is read or written. Safe to share between threads."""

    def __init__(self, folder: Path, *, shaping: dict[str, str | int]) -> None:
        self.folder = folder
        self.shaping = shaping
        self.segments = Segments(folder / "vectors")
        self._lexical: tuple[int, LexicalIndex] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """Hold the newest committed generation; raises IndexMissing, IndexMismatch or IndexDamaged."""
        if not self._catalog_path.is_file():
            raise IndexMissing(f"{self.folder}: no index there; run rag ingest PATH")
        with self._connection(writing=False) as connection:
            catalog = Catalog(connection)
            connection.execute("BEGIN")
            self._check(catalog)
            segment_of = catalog.segment_of()
            if not segment_of:
                raise IndexMissing(f"{self.folder}: the index holds no document; run rag ingest PATH")
            with self.segments.hold(catalog.segments()) as segments:
                yield Reading(
                    generation=catalog.generation,
                    catalog=catalog,
                    segments=segments,
                    lexical=self.lexical_at(catalog.lexical),
                    segment_of=segment_of,
                )

    @contextmanager
    def write(self) -> Iterator[Draft]:
        """Hold the one writer's place; what the draft did not commit is undone. Raises IndexLocked at once if taken."""
        with _writable(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with (
                FileLock(self.folder / "writer.lock", timeout=0, is_singleton=False),
                self._connection(writing=True) as connection,
            ):
                catalog = Catalog(connection)
                connection.execute("BEGIN IMMEDIATE")
                if catalog.exists():
                    self._check(catalog)
                else:
                    catalog.create(self.shaping)
                draft = Draft(catalog, self.next_number(), self)
                self._discard_leftovers(catalog)
                try:
                    yield draft
                finally:
                    draft.close()

    def lexical_at(self, number: int) -> LexicalIndex:
        """Return a word index; the last one asked for stays in memory."""
        with self._lock:
            if self._lexical is None or self._lexical[0] != number:
                self._lexical = (number, LexicalIndex.load(self.lexical_path(number)))
            return self._lexical[1]

    def lexical_path(self, number: int) -> Path:
        """Return the folder of a word index."""
        return self.folder / "lexical" / str(number)

    def close(self) -> None:
        """Give all files back."""
        self.segments.close()
        self._lexical = None

    @property
    def _catalog_path(self) -> Path:
        return self.folder / "catalog.sqlite3"

    @contextmanager
    def _connection(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        with translated(self.folder):
            connection = connect(self._catalog_path, writing=writing)
            try:
                yield connection
            finally:
                connection.close()  # which undoes what was not committed

    def _check(self, catalog: Catalog) -> None:
        if not catalog.exists():
            raise IndexMissing(f"{self.folder}: the index is empty; run rag ingest PATH")
        if catalog.format != FORMAT:
            raise IndexMismatch(
                f"{self.folder}: index format {catalog.format}, this version writes {FORMAT}; "
                "delete the folder and run rag ingest again"
            )
        different = [name for name, value in self.shaping.items() if catalog.shaping.get(name) != value]
        if different:
            name = different[0]
            raise IndexMismatch(
                f"{self.folder}: built with {name} = {catalog.shaping.get(name)}, asked for {self.shaping[name]}; "
                f"set RAG_{name.upper()}={catalog.shaping.get(name)}, or ingest into another folder with --index"
            )

    def next_number(self) -> int:
        """Return a number that no files of any index at this path have had: readers keep files open by number."""
        used = (int(path.name) for kind in ("vectors", "lexical") for path in (self.folder / kind).glob("[0-9]*"))
        return max([time.time_ns() // 1_000_000, *(number + 1 for number in used)])

    def _discard_leftovers(self, catalog: Catalog) -> None:
        """Delete files that no generation names: a killed writer's, and what earlier commits replaced."""
        long_ago = time.time() - _GRACE_S
        needed = catalog.files() | catalog.retired(since=long_ago)
        for kind in ("vectors", "lexical"):
            for path in (self.folder / kind).glob("[0-9]*"):
                if (kind, int(path.name)) not in needed:
                    shutil.rmtree(path, ignore_errors=True)  # a reader on Windows may hold it: the next writer tries
        catalog.forget_retired(until=long_ago)


def units_of(passages: Sequence[Passage]) -> dict[Unit, list[tuple[str, str]]]:
    """Return (id, text) of all that can be found: sentences, once each, and the passages that have any.

    A passage of nothing but a title answers nothing, and would be found before those that do.
    """
    sentences = {unit_id(p.doc_id, span): p.quote(span) for p in passages for span in p.sentences}
    return {"passages": [(p.id, p.text) for p in passages if p.sentences], "sentences": list(sentences.items())}


def _sync(folder: Path) -> None:
    """Have the files on the disk before the commit that names them, so that it survives a power cut with them."""
    for path in [*folder.rglob("*"), folder, folder.parent]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except Timeout as error:
        raise IndexLocked(f"{folder}: another process is writing to this index; wait until it is done") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StorageFull(f"{folder}: no space left on the disk; free some and run rag ingest again") from error
        raise IndexUnusable(
            f"{folder}: cannot be written ({error.strerror or error}); choose another folder with --index"
        ) from error
