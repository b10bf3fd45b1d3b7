"""One index on disk: a catalogue, vector segments and a word index that become visible together.

    <index>/catalog.sqlite3      what exists; its COMMIT is the commit of everything
            vectors/<number>/    a segment: one Chroma folder, never changed once committed
            lexical/<number>/    a word index, likewise
            writer.lock          held by the one writer

A writer creates new files under new numbers, then commits the catalogue that names them. If it is killed before the
commit, the next writer deletes the unnamed files. Each question reads the newest committed generation. Segments are
merged as in a log-structured index (O'Neil et al., 1996): a commit absorbs segments of about its own size, so that
their number stays logarithmic and a large one is not rewritten for a small addition.
"""

import errno
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import IndexLocked, IndexMismatch, IndexMissing, IndexUnusable, StorageFull
from rag.index.catalog import FORMAT, Catalog, connect, translated
from rag.index.files import IndexFiles
from rag.index.snapshot import Snapshot
from rag.index.transaction import Transaction

_GRACE_S = 60.0  # how long replaced files stay for running questions, which take seconds at most


class Index:
    """An index folder; nothing is opened until it is read or written. Thread-safe."""

    def __init__(self, folder: Path, *, shaping: dict[str, str | int]) -> None:
        self.folder = folder
        self.shaping = shaping
        self._files = IndexFiles(folder)

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """Open the newest committed generation; raises IndexMissing, IndexMismatch or IndexDamaged."""
        if not self._files.catalog.is_file():
            raise IndexMissing(f"{self.folder}: no index there; run rag ingest PATH")
        with self._connection(writing=False) as connection:
            catalog = Catalog(connection)
            connection.execute("BEGIN")
            self._check(catalog)
            segment_of = catalog.segment_of()
            if not segment_of:
                raise IndexMissing(f"{self.folder}: the index holds no document; run rag ingest PATH")
            with self._files.segments.hold(catalog.segments()) as segments:
                yield Snapshot(
                    generation=catalog.generation,
                    catalog=catalog,
                    segments=segments,
                    lexical=self._files.lexical_at(catalog.lexical),
                    segment_of=segment_of,
                )

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Begin the only write transaction; uncommitted changes are undone. Raises IndexLocked at once if locked."""
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
                transaction = Transaction(catalog, self._files.next_number(), self._files)
                self._discard_leftovers(catalog)
                try:
                    yield transaction
                finally:
                    transaction.close()

    def close(self) -> None:
        """Close all files."""
        self._files.close()

    @contextmanager
    def _connection(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        with translated(self.folder):
            connection = connect(self._files.catalog, writing=writing)
            try:
                yield connection
            finally:
                connection.close()  # rolls back uncommitted changes

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

    def _discard_leftovers(self, catalog: Catalog) -> None:
        """Delete files that no generation names: those of a killed writer or replaced by earlier commits."""
        long_ago = time.time() - _GRACE_S
        self._files.discard_all_but(catalog.files() | catalog.retired(since=long_ago))
        catalog.forget_retired(until=long_ago)


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
