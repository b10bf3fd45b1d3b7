"""Write access: the next generation of an index."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rag.index.catalog import Catalog, Entry
from rag.index.files import IndexFiles
from rag.index.lexical import LexicalIndex
from rag.index.vectors import Segment
from rag.models import Vectors
from rag.values import UNITS, Passage, Unit, unit_id

_MERGE_UP_TO = 2  # segments up to twice the size of what is added are merged with it


@dataclass(slots=True)
class Transaction:
    """A pending generation: changes are invisible to readers until ``commit``."""

    catalog: Catalog
    segment_number: int
    _files: IndexFiles
    _segment: Segment | None = None
    _texts: dict[Unit, list[tuple[str, str]]] = field(default_factory=lambda: {unit: [] for unit in UNITS})
    _removed: dict[Unit, list[tuple[str, str]]] = field(default_factory=lambda: {unit: [] for unit in UNITS})
    _described: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self._described or any(self._texts.values()) or any(self._removed.values()))

    def put(self, entry: Entry, passages: Sequence[Passage]) -> None:
        """Add a document, or replace the one with the same source; add its vectors with ``add_vectors``."""
        old = self.catalog.entry_by_source(entry.document.source)
        if old:
            self.remove(old.document.id)
        self.catalog.put(entry, passages)
        for unit, texts in units_of(passages).items():
            self._texts[unit] += texts

    def remove(self, doc_id: str) -> None:
        """Remove a document."""
        for unit, texts in units_of(self.catalog.passages_of(doc_id)).items():
            self._removed[unit] += texts
        self.catalog.remove(doc_id)

    def describe(self) -> None:
        """Note that only metadata in the catalogue was changed."""
        self._described = True

    def add_vectors(self, unit: Unit, ids: Sequence[str], vectors: Vectors) -> None:
        """Add vectors for units of documents added with ``put``."""
        if self._segment is None:
            self._segment = Segment.create(self._files.segments.path(self.segment_number))
        self._segment.add(unit, ids, vectors)

    def commit(self) -> int:
        """Make everything visible at once and return the new generation."""
        segments = self._merged_segments()
        if self._segment:
            self._segment.finish()
            _sync(self._segment.folder)
        generation, lexical = self.catalog.generation + 1, self.catalog.lexical
        if not lexical or any(self._texts.values()) or any(self._removed.values()):
            old = self._files.lexical_at(lexical) if lexical else LexicalIndex.empty()
            new = old.changed(removed=self._removed, added=self._texts)
            lexical = self._files.next_number()
            new.save(self._files.lexical_path(lexical))
            _sync(self._files.lexical_path(lexical))
        self.catalog.commit(generation=generation, lexical=lexical, segments=segments, now=time.time())
        return generation

    def close(self) -> None:
        """Close the files of the new segment, whether it was committed or not."""
        if self._segment:
            self._segment.close()

    def _merged_segments(self) -> list[int]:
        """Merge small and half-dead segments into the new one; return the segments of the new generation."""
        segment_of = self.catalog.segment_of()
        live = {number: [d for d, s in segment_of.items() if s == number] for number in self.catalog.segments()}
        size = self._segment.count() if self._segment else 0
        kept = []
        for number in sorted(live, reverse=True):  # newest first: sizes grow towards the oldest
            doc_ids = live[number]
            if not doc_ids:
                continue
            with self._files.segments.hold([number]) as held:
                n_all = held[number].count()
                n_live = self.catalog.count_units(number)
                if n_live > _MERGE_UP_TO * size and 2 * n_live >= n_all:
                    kept.append(number)
                else:
                    self._take_in(held[number], doc_ids)
                    size += n_live
        return sorted([*kept, *([self.segment_number] if self._segment else [])])

    def _take_in(self, segment: Segment, doc_ids: Sequence[str]) -> None:
        """Copy the live vectors of a segment into the new one."""
        for unit in UNITS:
            texts = [pair for d in doc_ids for pair in units_of(self.catalog.passages_of(d))[unit]]
            found = segment.vectors(unit, [i for i, _ in texts])
            if found:
                self.add_vectors(unit, list(found), np.stack(list(found.values())))
        self.catalog.move(doc_ids, self.segment_number)


def units_of(passages: Sequence[Passage]) -> dict[Unit, list[tuple[str, str]]]:
    """Return (id, text) of everything searchable: distinct sentences, and the passages that have any.

    A passage that is only a title answers nothing, but would rank above passages that do.
    """
    sentences = {unit_id(p.doc_id, span): p.quote(span) for p in passages for span in p.sentences}
    return {"passages": [(p.id, p.text) for p in passages if p.sentences], "sentences": list(sentences.items())}


def _sync(folder: Path) -> None:
    """Flush files to disk before the commit that names them, so that both survive a power cut."""
    for path in [*folder.rglob("*"), folder, folder.parent]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
