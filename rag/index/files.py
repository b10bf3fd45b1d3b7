"""The files of an index: numbered folders that never change once committed."""

import shutil
import threading
import time
from collections.abc import Collection
from pathlib import Path

from rag.index.lexical import LexicalIndex
from rag.index.vectors import Segments

_KINDS = ("vectors", "lexical")


class IndexFiles:
    """The files of an index folder; readers share open files. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = folder / "catalog.sqlite3"
        self.segments = Segments(folder / "vectors")
        self._lexical: tuple[int, LexicalIndex] | None = None
        self._lock = threading.Lock()

    def lexical_at(self, number: int) -> LexicalIndex:
        """Return a word index; the most recently used one stays in memory."""
        with self._lock:
            if self._lexical is None or self._lexical[0] != number:
                self._lexical = (number, LexicalIndex.load(self.lexical_path(number)))
            return self._lexical[1]

    def lexical_path(self, number: int) -> Path:
        """Return the folder of a word index."""
        return self.folder / "lexical" / str(number)

    def next_number(self) -> int:
        """Return a number never used by an index at this path, because readers keep files open by number."""
        used = (int(path.name) for kind in _KINDS for path in (self.folder / kind).glob("[0-9]*"))
        return max([time.time_ns() // 1_000_000, *(number + 1 for number in used)])

    def discard_all_but(self, needed: Collection[tuple[str, int]]) -> None:
        """Delete numbered folders except the needed ones, given as (kind, number)."""
        for kind in _KINDS:
            for path in (self.folder / kind).glob("[0-9]*"):
                if (kind, int(path.name)) not in needed:
                    shutil.rmtree(path, ignore_errors=True)  # a reader on Windows may hold it; the next writer retries

    def close(self) -> None:
        """Close all files."""
        self.segments.close()
        self._lexical = None
