"""Vectors in Chroma: one folder per segment, written once and then only read.

In Chroma's embedded mode, two processes must never write to one folder, and even a reader writes if it finds a log not
yet folded into the vector index. Each segment is therefore a separate Chroma folder: the writer fills a new one that no
reader knows and folds its log, and a finished segment is never written again. Deleted or replaced vectors stay in their
segment until it is merged away; the caller decides which vectors count (``is_live``).

Ids are ``<doc_id>:<start>-<end>``. A segment has two collections, passages and sentences.
"""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.errors import IndexDamaged, IndexUnusable, StorageFull
from rag.models import Vectors
from rag.values import UNITS, Unit, doc_id_of

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

# With a threshold of 1, no call leaves a log that readers would fold.
HNSW: Any = {"space": "cosine", "sync_threshold": 1, "batch_size": 1}
# Chroma keeps one engine per path and process and counts its users without a lock, so opening one while another thread
# closes it fails.
_ENGINES = threading.Lock()
_SIZES = "sizes.json"
MAX_RECORDS_A_CALL = 5_000  # Chroma 1.5 refuses more than 5,461
MIN_FREE_BYTES = 16 * 1024 * 1024  # with less free space, a failed write is blamed on a full disk
NO_SPACE = ("no space left", "disk is full", "disk full", "file too large", "quota exceeded", "storagefull")


@dataclass(slots=True)
class Segment:
    """One open Chroma folder."""

    folder: Path
    client: "ClientAPI"
    collections: dict[Unit, "Collection"] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path) -> "Segment":
        """Create an empty segment; the folder must not exist."""
        folder.mkdir(parents=True)
        with _writing(folder), _ENGINES:
            segment = cls(folder, _client(folder))
            for unit in UNITS:
                segment.collections[unit] = segment.client.create_collection(
                    unit, embedding_function=None, configuration={"hnsw": HNSW}
                )
        return segment

    @classmethod
    def open(cls, folder: Path) -> "Segment":
        """Open a finished segment for reading; raises IndexDamaged if it is missing or incomplete."""
        if not (folder / "chroma.sqlite3").is_file():  # opening would create an empty one
            raise IndexDamaged(f"{folder}: vectors are missing; delete the index folder and run rag ingest again")
        try:
            is_whole = json.loads((folder / _SIZES).read_text(encoding="utf-8")) == _sizes(folder)
        except (OSError, ValueError):
            is_whole = False
        if not is_whole:  # a truncated file would crash Chroma and this process
            raise IndexDamaged(f"{folder}: vectors are not whole; delete the index folder and run rag ingest again")
        with _reading(folder), _ENGINES:
            segment = cls(folder, _client(folder))
            for unit in UNITS:
                segment.collections[unit] = segment.client.get_collection(unit, embedding_function=None)
        return segment

    def add(self, unit: Unit, ids: Sequence[str], vectors: Vectors) -> None:
        """Add vectors with their ids."""
        with _writing(self.folder):
            for at in range(0, len(ids), MAX_RECORDS_A_CALL):
                part = list(ids[at : at + MAX_RECORDS_A_CALL])
                self.collections[unit].add(
                    ids=part,
                    embeddings=vectors[at : at + len(part)],
                    metadatas=[{"doc_id": doc_id_of(unit_id)} for unit_id in part],
                )

    def nearest(
        self, unit: Unit, vector: Vectors, top_k: int, *, is_live: Callable[[str], bool], doc_ids: Sequence[str] | None
    ) -> list[tuple[str, float]]:
        """Return up to top_k live ids with their cosine similarity, best first.

        Chroma's results include dead ids, so it is queried for more until there are enough live ones or none are left.
        """
        where: Any = {"doc_id": {"$in": list(doc_ids)}} if doc_ids is not None else None
        wanted = top_k
        while True:
            with _reading(self.folder):
                answer = self.collections[unit].query(
                    query_embeddings=vector[np.newaxis], n_results=wanted, where=where, include=["distances"]
                )
            ids, distances = answer["ids"][0], (answer["distances"] or [[]])[0]
            live = [(i, 1.0 - float(d)) for i, d in zip(ids, distances, strict=True) if is_live(i)]
            if len(live) >= top_k or len(ids) < wanted:
                return live[:top_k]
            wanted *= 4

    def vectors(self, unit: Unit, ids: Sequence[str]) -> dict[str, Vectors]:
        """Return the stored vectors of these ids, skipping unknown ones."""
        found: dict[str, Vectors] = {}
        with _reading(self.folder):
            for at in range(0, len(ids), MAX_RECORDS_A_CALL):
                part = self.collections[unit].get(ids=list(ids[at : at + MAX_RECORDS_A_CALL]), include=["embeddings"])
                rows = np.asarray(part["embeddings"], dtype=np.float32)
                found.update(zip(part["ids"], rows, strict=True))
        return found

    def count(self) -> int:
        """Return the number of vectors, live and dead."""
        with _reading(self.folder):
            return self._count()

    def _count(self) -> int:
        return sum(self.collections[unit].count() for unit in UNITS)

    def finish(self) -> None:
        """Fold the rest of Chroma's log into the vector index; nothing may be added afterwards."""
        with _writing(self.folder):
            self._count()
            (self.folder / _SIZES).write_text(json.dumps(_sizes(self.folder)), encoding="utf-8")

    def close(self) -> None:
        """Close the files; the segment cannot be used afterwards."""
        with _ENGINES:
            self.client.close()  # type: ignore[attr-defined]  # missing from the declared interface


class Segments:
    """Segments opened once and shared between threads; closed once merged away and no longer held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, Segment] = {}
        self._holders: Counter[int] = Counter()
        self._newest: frozenset[int] = frozenset()
        self._lock = threading.Lock()

    def path(self, number: int) -> Path:
        """Return the folder of a segment."""
        return self._folder / str(number)

    @contextmanager
    def hold(self, numbers: Sequence[int]) -> Iterator[dict[int, Segment]]:
        """Open the segments of the newest generation and keep them open."""
        with self._lock:
            for number in numbers:
                if number not in self._open:
                    self._open[number] = Segment.open(self.path(number))
            self._newest = frozenset(numbers)
            self._holders.update(numbers)
            held = {number: self._open[number] for number in numbers}
        try:
            yield held
        finally:
            with self._lock:
                self._holders.subtract(numbers)
                for number in [n for n in self._open if n not in self._newest and not self._holders[n]]:
                    self._open.pop(number).close()

    def close(self) -> None:
        """Close all segments."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()


def _sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the vector index files, which never change after ``finish``."""
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.glob("*/*"))}


def _client(folder: Path) -> "ClientAPI":
    import chromadb  # noqa: PLC0415 - about a second to import
    from chromadb.config import Settings  # noqa: PLC0415

    return chromadb.PersistentClient(path=str(folder), settings=Settings(anonymized_telemetry=False))


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Translate Chroma's errors, which have no useful classes, into index errors."""
    try:
        yield
    except _chroma_errors() as error:
        raise IndexDamaged(
            f"{folder}: vectors cannot be read ({_reason(error)}); delete the index folder and run rag ingest again"
        ) from error


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Translate errors while filling a new segment: committed data is safe, and the usual cause is a full disk."""
    try:
        yield
    except _chroma_errors() as error:
        if any(words in str(error).lower() for words in NO_SPACE) or shutil.disk_usage(folder).free < MIN_FREE_BYTES:
            raise StorageFull(f"{folder}: no space left on the disk; free some and run rag ingest again") from error
        raise IndexUnusable(
            f"{folder}: vectors cannot be written ({_reason(error)}); the index is as it was, run rag ingest again"
        ) from error


def _chroma_errors() -> tuple[type[Exception], ...]:
    from chromadb.errors import ChromaError  # noqa: PLC0415 - a second to import, already loaded by now

    return ChromaError, OSError, RuntimeError


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
