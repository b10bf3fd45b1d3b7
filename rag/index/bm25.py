"""BM25 over units of text, stored in memory-mapped files that are replaced rather than modified.

A query consists of parts, each with alternative stems.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bm25s
import numpy as np
from numpy.typing import NDArray

from rag.text.words import STOPWORDS, words
from rag.values import doc_id_of

K1, B = 1.2, 0.75  # Robertson et al., TREC-3; the usual values for prose

Ints = NDArray[np.int32]
Scores = NDArray[np.float32]
Texts = Sequence[tuple[str, str]]  # (unit id, text)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Stems that together express a part of the question, and their weight."""

    stems: tuple[str, ...]
    weight: float = 1.0


Query = Sequence[Sequence[Alternative]]  # a part scores as its best alternative; parts add up


class _Bm25(bm25s.BM25):  # type: ignore[misc]  # bm25s publishes no types
    """bm25s over precomputed word counts.

    bm25s counts in Python, which takes 3.5 s for 160,000 units and would be repeated for each added document. Only the
    index construction is overridden; scoring and file handling are bm25s's own.
    """

    @classmethod
    def over(cls, matrix: "_Counts", vocabulary: dict[str, int]) -> "_Bm25":
        """Score every (stem, unit) pair with Lucene's BM25 variant (Kamphuis et al., ECIR 2020)."""
        scorer = cls(k1=K1, b=B, method="lucene")
        n_units, df = len(matrix.lengths), np.diff(matrix.indptr)
        idf = np.log1p((n_units - df + 0.5) / (df + 0.5))
        mean_length = matrix.lengths.mean() if n_units else 1.0
        norm = K1 * (1 - B + B * matrix.lengths[matrix.unit] / mean_length)
        scorer.scores = {
            "data": (np.repeat(idf, df) * matrix.count / (matrix.count + norm)).astype(np.float32),
            "indices": matrix.unit,
            "indptr": matrix.indptr,
            "num_docs": n_units,
        }
        scorer.vocab_dict = vocabulary
        scorer.unique_token_ids_set = set(vocabulary.values())
        scorer.nonoccurrence_array = None  # needed only by other variants of BM25
        return scorer


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often each stem occurs in each unit, sorted by stem: stem i fills rows indptr[i] to indptr[i + 1].

    lengths: words per unit. unit, count: one row for each (stem, unit) pair that occurs.
    """

    lengths: Ints
    indptr: NDArray[np.int64]
    unit: Ints
    count: Ints

    @classmethod
    def sorted_by_stem(cls, lengths: Ints, stem: Ints, unit: Ints, count: Ints, *, n_stems: int) -> "_Counts":
        order = np.argsort(stem, kind="stable")
        indptr = np.concatenate([[0], np.cumsum(np.bincount(stem, minlength=n_stems))])
        return cls(lengths, indptr.astype(np.int64), unit[order], count[order])

    @property
    def stem(self) -> Ints:
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))


@dataclass(frozen=True, slots=True)
class UnitIndex:
    """BM25 over all passages or all sentences. ids: unit number -> unit id."""

    ids: tuple[str, ...]
    counts: _Counts
    scorer: _Bm25

    @classmethod
    def over(cls, ids: tuple[str, ...], counts: _Counts, vocabulary: dict[str, int]) -> "UnitIndex":
        """Build the index from word counts."""
        return cls(ids, counts, _Bm25.over(counts, vocabulary))

    @classmethod
    def empty(cls) -> "UnitIndex":
        """Return an empty index."""
        nothing = np.zeros(0, dtype=np.int32)
        return cls.over((), _Counts(nothing, np.zeros(1, dtype=np.int64), nothing, nothing), {})

    def changed(self, *, without: frozenset[str], added: Texts) -> "UnitIndex":
        """Return a copy of the index without the units of some documents and with new units added."""
        old = self.counts
        kept = np.fromiter((doc_id_of(i) not in without for i in self.ids), dtype=bool, count=len(self.ids))
        rows = kept[old.unit]
        renumbered = (np.cumsum(kept, dtype=np.int32) - 1)[old.unit[rows]] if len(rows) else old.unit
        vocabulary = dict(self.scorer.vocab_dict)
        lengths, stem, unit, count = _count(added, vocabulary, first_unit=int(kept.sum()))
        # drop stems that occur only in removed documents
        used, numbers = np.unique(np.concatenate([old.stem[rows], stem]), return_inverse=True)
        names = list(vocabulary)
        return UnitIndex.over(
            tuple(i for i, keep in zip(self.ids, kept, strict=True) if keep) + tuple(i for i, _ in added),
            _Counts.sorted_by_stem(
                np.concatenate([old.lengths[kept], lengths]),
                numbers.astype(np.int32),
                np.concatenate([renumbered, unit]),
                np.concatenate([old.count[rows], count]),
                n_stems=len(used),
            ),
            {names[number]: i for i, number in enumerate(used)},
        )

    def save(self, folder: Path) -> None:
        """Write the index to a folder that does not exist yet."""
        self.scorer.save(folder, show_progress=False)
        np.save(folder / "lengths.npy", self.counts.lengths)
        np.save(folder / "count.npy", self.counts.count)
        (folder / "ids.txt").write_text("\n".join(self.ids), encoding="ascii")

    @classmethod
    def load(cls, folder: Path) -> "UnitIndex":
        """Open a saved index; arrays are memory-mapped, not read."""
        scorer = _Bm25.load(folder, mmap=True, show_progress=False)
        ids = (folder / "ids.txt").read_text(encoding="ascii")
        lengths, count = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("lengths", "count"))
        counts = _Counts(lengths, scorer.scores["indptr"], scorer.scores["indices"], count)
        return cls(tuple(ids.split("\n")) if ids else (), counts, scorer)

    def scores(self, query: Query) -> Scores:
        """Return the BM25 score of every unit."""
        total = np.zeros(len(self.ids), dtype=np.float32)
        for part in query:
            best = np.zeros_like(total)
            for alternative in part:
                stems = self.scorer.get_tokens_ids(alternative.stems)
                if stems:  # the mean, so that a name of three words does not count as three names
                    weight = alternative.weight / len(alternative.stems)
                    best = np.maximum(best, weight * self.scorer.get_scores_from_ids(stems))
            total += best
        return total

    def idf(self, stem: str) -> float:
        """Return the rarity of a stem (from 0); an unknown stem counts as occurring in a single unit."""
        number = self.scorer.vocab_dict.get(stem)
        df = 1 if number is None else int(self.counts.indptr[number + 1] - self.counts.indptr[number])
        return float(np.log1p((len(self.ids) - df + 0.5) / (df + 0.5))) if self.ids else 0.0


def _count(texts: Texts, vocabulary: dict[str, int], *, first_unit: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Return lengths and the columns (stem, unit, count); new stems are added to the vocabulary."""
    lengths: list[int] = []
    rows: list[tuple[int, int, int]] = []
    for number, (_, text) in enumerate(texts, start=first_unit):
        stems = [word.stem for word in words(text) if word.folded not in STOPWORDS]
        lengths.append(len(stems))
        rows += [(vocabulary.setdefault(stem, len(vocabulary)), number, n) for stem, n in Counter(stems).items()]
    columns = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return np.array(lengths, dtype=np.int32), columns[:, 0], columns[:, 1], columns[:, 2]
