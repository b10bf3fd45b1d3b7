"""Read access to one generation of an index."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag.errors import IndexDamaged
from rag.index.catalog import Catalog
from rag.index.lexical import LexicalIndex
from rag.index.vectors import Segment
from rag.models import Vectors
from rag.values import Unit, doc_id_of

_MAX_NAMED_DOCUMENTS = 1_000  # per filter; Chroma puts all ids in one SQL statement, which allows some 32,000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A consistent view of one generation, unchanged while it is open."""

    generation: int
    catalog: Catalog
    segments: Mapping[int, Segment]
    lexical: LexicalIndex
    segment_of: Mapping[str, int]  # doc_id -> segment that holds its vectors

    def nearest(
        self, unit: Unit, vectors: Vectors, top_k: int, *, doc_ids: frozenset[str] | None = None
    ) -> list[tuple[str, float]]:
        """Return up to top_k ids with their cosine similarity to the nearest of the vectors, best first, ties by id.

        vectors: shape (n, dimension), several phrasings of one question. doc_ids: only units of these documents.
        """
        best: dict[str, float] = {}
        for number, segment in self.segments.items():
            wanted = None if doc_ids is None else sorted(d for d in doc_ids if self.segment_of.get(d) == number)
            if wanted == []:
                continue
            is_live = self._lives_in(number, doc_ids)
            if wanted and len(wanted) > _MAX_NAMED_DOCUMENTS:
                wanted = None  # too many ids to list; is_live alone filters
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
