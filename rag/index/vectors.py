"""Vectors in Chroma: one folder a segment, written once and then only read.

Chroma's embedded mode must never have two processes writing one folder, and a reader writes, too, if it finds a log
that is not yet folded into the vector index. So a segment is a Chroma folder of its own: the writer fills a new one
that no reader knows, folds everything, and a finished one is never written again. What is deleted or replaced stays in
its segment until the segment is merged away; whether a vector counts is for the caller to say (``is_live``).

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

# A threshold of 1: no call leaves a log that readers would fold.
HNSW: Any = {"space": "cosine", "sync_threshold": 1, "batch_size": 1}
# Chroma keeps one engine a path for the whole process and counts its users without a lock: opening one while another
# thread closes it breaks.
_ENGINES = threading.Lock()
_SIZES = "sizes.json"
MAX_RECORDS_A_CALL = 5_000  # Chroma 1.5 refuses more than 5,461
MIN_FREE_BYTES = 16 * 1024 * 1024  # with less, a write that fails failed for want of space
NO_SPACE = ("no space left", "disk is full", "disk full", "file too large", "quota exceeded", "storagefull")


@dataclass(slots=True)
class Segment:
    """One open Chroma folder."""

    folder: Path
    client: "ClientAPI"
    collections: dict[Unit, "Collection"] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path) -> "Segment":
        """Make a new, empty segment; the folder must not exist."""
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
        """Open a finished segment for reading; raises IndexDamaged if it is not there or not whole."""
        if not (folder / "chroma.sqlite3").is_file():  # opening would make an empty one
            raise IndexDamaged(f"{folder}: vectors are missing; delete the index folder and run rag ingest again")
        try:
            is_whole = json.loads((folder / _SIZES).read_text(encoding="utf-8")) == _sizes(folder)
        except (OSError, ValueError):
            is_whole = False
        if not is_whole:  # a shortened file would bring Chroma down, and this process with it
            raise IndexDamaged(f"{folder}: vectors are not whole; delete the index folder and run rag ingest again")
        with _reading(folder), _ENGINES:
            segment = cls(folder, _client(folder))
            for unit in UNITS:
                segment.collections[unit] = segment.client.get_collection(unit, embedding_function=None)
        return segment

    def add(self, unit: Unit, ids: Sequence[str], vectors: Vectors) -> None:
        """Add vectors under their ids."""
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
        """Return at most top_k live ids with their cosine similarity, best first.

        Dead ids take places in what Chroma returns, so it is asked for more until there are enough or no more.
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
        """Return the stored vectors of these ids, those that are there."""
        found: dict[str, Vectors] = {}
        with _reading(self.folder):
            for at in range(0, len(ids), MAX_RECORDS_A_CALL):
                part = self.collections[unit].get(ids=list(ids[at : at + MAX_RECORDS_A_CALL]), include=["embeddings"])
                rows = np.asarray(part["embeddings"], dtype=np.float32)
                found.update(zip(part["ids"], rows, strict=True))
        return found

    def count(self) -> int:
        """Return the number of vectors, live or not."""
        with _reading(self.folder):
            return self._count()

    def _count(self) -> int:
        return sum(self.collections[unit].count() for unit in UNITS)

    def finish(self) -> None:
        """Fold what is still in Chroma's log into the vector index; nothing is added afterwards."""
        with _writing(self.folder):
            self._count()
            (self.folder / _SIZES).write_text(json.dumps(_sizes(self.folder)), encoding="utf-8")

    def close(self) -> None:
        """Give the files back; the segment cannot be used afterwards."""
        with _ENGINES:
            self.client.close()  # type: ignore[attr-defined]  # on the client, not in its declared interface


class Segments:
    """The segments that readers hold: shared between threads, opened once, closed when merged away and let go."""

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
        """Hold the segments of the newest generation, open."""
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
        """Close all of them."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()


def _sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of the vector indexes' files, which never change after ``finish``."""
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.glob("*/*"))}


def _client(folder: Path) -> "ClientAPI":
    import chromadb  # noqa: PLC0415 - about a second to import
    from chromadb.config import Settings  # noqa: PLC0415

    return chromadb.PersistentClient(path=str(folder), settings=Settings(anonymized_telemetry=False))


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Turn Chroma's errors, which have no useful classes of their own, into the index's."""
    try:
        yield
    except _chroma_errors() as error:
        raise IndexDamaged(
            f"{folder}: vectors cannot be read ({_reason(error)}); delete the index folder and run rag ingest again"
        ) from error


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Do the same while a new segment is filled: nothing committed can be hurt, and the usual cause is a full disk."""
    try:
        yield
    except _chroma_errors() as error:
        if any(words in str(error).lower() for words in NO_SPACE) or shutil.disk_usage(folder).free < MIN_FREE_BYTES:
            raise StorageFull(f"{folder}: no space left on the disk; free some and run rag ingest again") from error
        raise IndexUnusable(
            f"{folder}: vectors cannot be written ({_reason(error)}); the index is as it was, run rag ingest again"
        ) from error


def _chroma_errors() -> tuple[type[Exception], ...]:
    from chromadb.errors import ChromaError  # noqa: PLC0415 - about a second to import, and done by now

    return ChromaError, OSError, RuntimeError


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
