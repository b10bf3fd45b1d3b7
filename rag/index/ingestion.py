"""Ingests files into an index: load, clean, describe, split, embed, commit.

A bad file never stops the others, all changes become visible at once, and the report states the outcome for each file.
A document is reprocessed only if its bytes, its entry in ``sources.toml`` or the way it is split have changed.
"""

import dataclasses
import datetime as dt
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from rag.config import Settings
from rag.documents import FoundFile, Prepared, Preparer, absolute, find_documents, is_there, read_synonyms
from rag.errors import DocumentError, SourceTaken
from rag.index.catalog import Catalog, Entry
from rag.index.index import Index
from rag.index.transaction import Transaction, units_of
from rag.models import Encoder, Vectors, piece_limit
from rag.values import UNITS, Unit

_FLUSH_TEXTS = 2048  # texts per embedding run: enough to group by length, few enough to keep in memory
_STEP_TEXTS = 128  # texts embedded between two progress reports

OnProgress = Callable[[int, int, str], None]  # documents done, documents in total, current work


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The outcome for each document, by source; ``failed`` holds (path, one-line error) for rejected ones."""

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    n_embedded: int = 0
    index_version: int = 0


def ingest(
    paths: Sequence[Path], *, index: Index, settings: Settings, encoder: Encoder, prune: bool, on_progress: OnProgress
) -> IngestReport:
    """Bring the index up to date with the files at and below the paths, in a single commit.

    Without paths, the documents already in the index are checked again. prune: also remove documents of the same
    folders whose files are gone. Raises IndexUnusable and ModelUnavailable; a bad document is reported, not raised.
    """
    paths = absolute(paths)
    with index.write() as draft:
        if paths:
            files, errors = find_documents(paths)
        else:
            files, errors = _known_files(draft.catalog), []
        run = _Run(draft, Preparer(settings, partial(piece_limit, encoder)), encoder, len(files), on_progress)
        for error in errors:
            run.failed.append((str(error.path), str(error)))
        for found in files:
            on_progress(run.n_taken, len(files), found.source)
            run.take(found)
        run.flush()
        if prune:
            run.prune(files, [path for path in paths if path.is_dir()] if paths else None, is_complete=not errors)
        for root in sorted({found.root for found in files}):
            run.take_synonyms(root)
        if not draft.is_empty:
            draft.commit()
        return run.report(draft.catalog)


@dataclass(slots=True)
class _Run:
    """The state of one ingest."""

    draft: Transaction
    preparer: Preparer
    encoder: Encoder
    n_files: int
    on_progress: OnProgress
    n_taken: int = 0
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    n_embedded: int = 0
    _waiting: dict[Unit, list[tuple[str, str]]] = field(default_factory=lambda: {unit: [] for unit in UNITS})
    _names: dict[str, tuple[str, str]] = field(default_factory=dict)  # real path -> (root, source) in the index

    def __post_init__(self) -> None:
        for source, (_, root) in self.draft.catalog.sources().items():
            self._names[os.path.realpath(Path(root, source))] = (root, source)

    def take(self, found: FoundFile) -> None:
        """Index one file, or record why it failed."""
        self.n_taken += 1
        found = self._known_as(found)
        self._rename(found)
        try:
            known = self.draft.catalog.entry_by_source(found.source)
            if known and known.root != str(found.root) and is_there(Path(known.root, found.source)):
                raise SourceTaken(
                    found.path,
                    f"'{found.source}' is in the index from {known.root}; ingest a folder above both instead",
                )
            loaded, recipe = self.preparer.load(found)
            if known and (known.document.sha256, known.recipe, known.root) == (loaded.sha256, recipe, str(found.root)):
                self.unchanged.append(found.source)
                return
            self._put(self.preparer.prepare(found, loaded, recipe), known)
        except DocumentError as error:
            self.failed.append((str(error.path), str(error)))

    def take_synonyms(self, root: Path) -> None:
        """Store a folder's synonyms, or record why that failed."""
        try:
            if self.draft.catalog.set_synonyms(str(root), read_synonyms(root)):
                self.draft.describe()
        except DocumentError as error:
            self.failed.append((str(error.path), str(error)))

    def _put(self, prepared: Prepared, known: Entry | None) -> None:
        document = prepared.document
        n_sentences = len(units_of(prepared.passages)["sentences"])
        entry = Entry(
            document=document,
            root=prepared.root,
            recipe=prepared.recipe,
            segment=self.draft.segment_number,
            added_at=dt.datetime.now(dt.UTC),
            n_passages=len(prepared.passages),
            n_sentences=n_sentences,
            excluded=prepared.excluded,
        )
        (self.updated if known else self.added).append(document.source)
        if known and known.document.id == document.id:
            stored = self.draft.catalog.passages_of(document.id)
            if stored == list(prepared.passages):  # only metadata changed: keep the vectors
                kept = dataclasses.replace(entry, segment=known.segment, added_at=known.added_at)
                self.draft.catalog.put(kept, prepared.passages)
                self.draft.describe()
                return
        self.draft.put(entry, prepared.passages)
        for unit, texts in units_of(prepared.passages).items():
            self._waiting[unit] += texts
        if sum(map(len, self._waiting.values())) >= _FLUSH_TEXTS:
            self.flush()

    def flush(self) -> None:
        """Embed the waiting texts, each distinct text once."""
        for unit, waiting in self._waiting.items():
            if waiting:
                vector_of = self._embedded({text for _, text in waiting}, unit)
                self.draft.add_vectors(
                    unit, [i for i, _ in waiting], np.stack([vector_of[text] for _, text in waiting])
                )
                waiting.clear()

    def _embedded(self, texts: set[str], unit: Unit) -> dict[str, Vectors]:
        """Return text -> vector, reporting progress along the way."""
        by_length = sorted(texts, key=lambda text: (len(text), text))  # similar lengths make full batches
        vector_of: dict[str, Vectors] = {}
        for at in range(0, len(by_length), _STEP_TEXTS):
            self.on_progress(self.n_taken, self.n_files, f"embedding {len(by_length) - at:,} {unit}")
            step = by_length[at : at + _STEP_TEXTS]
            vector_of.update(zip(step, self.encoder.encode(step), strict=True))
        self.n_embedded += len(by_length)
        return vector_of

    def prune(self, files: Sequence[FoundFile], folders: Sequence[Path] | None, *, is_complete: bool) -> None:
        """Remove documents that are no longer found: below these folders, or anywhere.

        is_complete: whether every folder could be read; if not, a document that was not found may still exist.
        """
        there = {(str(found.root), found.source) for found in map(self._known_as, files)}
        roots = None if folders is None else {str(folder) for folder in folders}
        for source, (doc_id, root) in self.draft.catalog.sources().items():
            if (root, source) in there or (roots is not None and root not in roots):
                continue
            if is_complete or not is_there(Path(root, source)):
                self.draft.remove(doc_id)
                self.removed.append(source)

    def _known_as(self, found: FoundFile) -> FoundFile:
        """Return the file under its name in the index, so that one file never becomes two documents.

        A name relative to an outer folder is more specific than one relative to an inner folder and takes precedence.
        """
        root, source = self._names.get(os.path.realpath(found.path), (str(found.root), found.source))
        return FoundFile(Path(root), found.path, source) if len(source) >= len(found.source) else found

    def _rename(self, found: FoundFile) -> None:
        """Remember the name of a file, and remove its document under an earlier name."""
        real = os.path.realpath(found.path)
        before = self._names.get(real)
        self._names[real] = (str(found.root), found.source)
        if before and before[1] != found.source and (old := self.draft.catalog.entry_by_source(before[1])):
            self.draft.remove(old.document.id)
            self.removed.append(before[1])

    def report(self, catalog: Catalog) -> IngestReport:
        """Return the report of this ingest."""
        return IngestReport(
            added=tuple(self.added),
            updated=tuple(self.updated),
            unchanged=tuple(self.unchanged),
            removed=tuple(self.removed),
            failed=tuple(dict.fromkeys(self.failed)),  # a broken sources.toml fails every document beside it
            n_embedded=self.n_embedded,
            index_version=catalog.generation,
        )


def _known_files(catalog: Catalog) -> list[FoundFile]:
    """Return the files of the index that still exist inside the folder they were found in."""
    known = [(Path(root), source) for source, (_, root) in catalog.sources().items()]
    return [
        FoundFile(root, root / source, source)
        for root, source in known
        if (root / source).is_file() and Path(os.path.realpath(root / source)).is_relative_to(os.path.realpath(root))
    ]
