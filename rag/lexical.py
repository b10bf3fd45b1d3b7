"""BM25 over the same passages and sentences as the vectors, and the vocabulary in which spelling variants meet.

Knows nothing about meaning: words are folded (case, accents), stemmed and counted. A ``LexicalIndex`` is one folder of
files, mapped into memory when opened and never changed: a commit writes the next one beside it. No name of a person or
a place stands here: variants are found in the corpus vocabulary, renamings come from the user's synonyms.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import Stemmer
from bm25s.stopwords import STOPWORDS_EN
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import JaroWinkler, Levenshtein

from rag.errors import IndexDamaged
from rag.types import UNITS, Unit, doc_id_of

K1, B = 1.2, 0.75  # Robertson et al., TREC-3; the usual values for prose
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W_]+(?:['’][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s$")
_MIN_VARIANT_CHARS = 5  # in shorter names one letter makes another name: Iran, Iraq
_MIN_SIMILARITY = 0.9  # Jaro-Winkler: 'tokaev'/'tokayev' .97, 'mirziyaev'/'mirziyoyev' .93
_MIN_NAME_SHARE = 0.8  # of the places inside sentences where a name has its capital
_VARIANT_WEIGHT = 0.7  # of a similar word, where the question's own spelling occurs too

Ints = NDArray[np.int32]
Scores = NDArray[np.float32]
Texts = Sequence[tuple[str, str]]  # (unit id, text)


@dataclass(frozen=True, slots=True)
class Word:
    """A word or number of a text: ``folded`` for comparing spellings, ``stem`` for counting."""

    text: str
    folded: str
    stem: str


@cache
def _stemmer() -> Any:
    return Stemmer.Stemmer("english")


def fold(text: str) -> str:
    """Return the text in lower case without accents, so that 'Şavkat' and 'savkat' are one word."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def words(text: str) -> list[Word]:
    """Return the words and numbers of a text in order, stop words among them."""
    found = [_POSSESSIVE.sub("", match.group()) for match in _WORD.finditer(text)]
    folded = [fold(word) for word in found]
    stems = _stemmer().stemWords(folded)
    return [Word(w, f, s) for w, f, s in zip(found, folded, stems, strict=True)]


def content_words(text: str) -> list[Word]:
    """Return the words of a text that carry meaning; all of them, if there is no other."""
    every = words(text)
    return [word for word in every if word.folded not in STOPWORDS_EN] or every


@dataclass(frozen=True, slots=True)
class Alternative:
    """Stems that together express a part of the question, and how much they count."""

    stems: tuple[str, ...]
    weight: float = 1.0


Query = Sequence[Sequence[Alternative]]  # each part is worth its best alternative; the parts add up


class _Bm25(bm25s.BM25):  # type: ignore[misc]  # bm25s publishes no types
    """bm25s over words that are already counted.

    bm25s counts in Python, 3.5 s for 160,000 units, and adding one document must not pay that again. It offers its
    index construction for overriding; scoring and files are its own.
    """

    @classmethod
    def over(cls, matrix: "_Counts", vocabulary: dict[str, int]) -> "_Bm25":
        """Score every (stem, unit) pair by Lucene's BM25 (Kamphuis et al., ECIR 2020)."""
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
        scorer.nonoccurrence_array = None  # other variants of BM25 need it
        return scorer


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often each stem occurs in each unit, sorted by stem: stem i fills rows indptr[i] to indptr[i + 1].

    lengths: words a unit. unit, count: one row for each (stem, unit) pair that occurs.
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
    """BM25 over all passages, or over all sentences. ids: a unit's id by its number."""

    ids: tuple[str, ...]
    counts: _Counts
    scorer: _Bm25

    @classmethod
    def over(cls, ids: tuple[str, ...], counts: _Counts, vocabulary: dict[str, int]) -> "UnitIndex":
        """Return the index of counted words."""
        return cls(ids, counts, _Bm25.over(counts, vocabulary))

    @classmethod
    def empty(cls) -> "UnitIndex":
        """Return the index of nothing."""
        nothing = np.zeros(0, dtype=np.int32)
        return cls.over((), _Counts(nothing, np.zeros(1, dtype=np.int64), nothing, nothing), {})

    def changed(self, *, without: frozenset[str], added: Texts) -> "UnitIndex":
        """Return the index with the units of some documents taken out and new units put in."""
        old = self.counts
        kept = np.fromiter((doc_id_of(i) not in without for i in self.ids), dtype=bool, count=len(self.ids))
        rows = kept[old.unit]
        renumbered = (np.cumsum(kept, dtype=np.int32) - 1)[old.unit[rows]] if len(rows) else old.unit
        vocabulary = dict(self.scorer.vocab_dict)
        lengths, stem, unit, count = _count(added, vocabulary, first_unit=int(kept.sum()))
        # stems that only removed documents had go with them
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
        """Write into a folder that does not exist yet."""
        self.scorer.save(folder, show_progress=False)
        np.save(folder / "lengths.npy", self.counts.lengths)
        np.save(folder / "count.npy", self.counts.count)
        (folder / "ids.txt").write_text("\n".join(self.ids), encoding="ascii")

    @classmethod
    def load(cls, folder: Path) -> "UnitIndex":
        """Open a saved index: arrays are mapped, not read."""
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
                if stems:
                    best = np.maximum(best, alternative.weight * self.scorer.get_scores_from_ids(stems))
            total += best
        return total

    def idf(self, stem: str) -> float:
        """Return how rare a stem is, from 0; an unknown one is as rare as one that occurs in a single unit."""
        number = self.scorer.vocab_dict.get(stem)
        df = 1 if number is None else int(self.counts.indptr[number + 1] - self.counts.indptr[number])
        return float(np.log1p((len(self.ids) - df + 0.5) / (df + 0.5))) if self.ids else 0.0


@dataclass(frozen=True)
class LexicalIndex:
    """One generation of the lexical side.

    surface: folded word -> [times seen inside a sentence, times with a capital there]; tells names from other words.
    """

    units: Mapping[Unit, UnitIndex]
    surface: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> "LexicalIndex":
        """Return an index of nothing."""
        return cls({unit: UnitIndex.empty() for unit in UNITS})

    def changed(self, *, removed: Mapping[Unit, Texts], added: Mapping[Unit, Texts]) -> "LexicalIndex":
        """Return the index without some documents' units and with others; ``removed`` names all units of a document."""
        without = frozenset(doc_id_of(unit_id) for texts in removed.values() for unit_id, _ in texts)
        surface = {word: Counter(seen=seen, capital=capital) for word, (seen, capital) in self.surface.items()}
        for texts, sign in ((removed["sentences"], -1), (added["sentences"], 1)):
            for _, text in texts:
                for word, capital in _inside(text):
                    count = surface.setdefault(word, Counter())
                    count["seen"] += sign
                    count["capital"] += sign * capital
        return LexicalIndex(
            {unit: self.units[unit].changed(without=without, added=added[unit]) for unit in UNITS},
            {word: (count["seen"], count["capital"]) for word, count in surface.items() if count["seen"] > 0},
        )

    def save(self, folder: Path) -> None:
        """Write everything into a folder that does not exist yet."""
        for unit in UNITS:
            self.units[unit].save(folder / unit)
        (folder / "surface.json").write_text(json.dumps(self.surface, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "LexicalIndex":
        """Open a saved index; raises IndexDamaged if a file is missing or broken."""
        try:
            surface = json.loads((folder / "surface.json").read_text(encoding="utf-8"))
            return cls({unit: UnitIndex.load(folder / unit) for unit in UNITS}, surface)
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise IndexDamaged(
                f"{folder}: the word index is damaged; delete the index folder and run rag ingest again"
            ) from error

    def rank(
        self, unit: Unit, query: Query, top_k: int, *, doc_ids: frozenset[str] | None = None
    ) -> list[tuple[str, float]]:
        """Return at most top_k ids with their BM25 score, best first, ties by id; nothing that shares no word."""
        ids, scores = self.units[unit].ids, self.units[unit].scores(query)
        found = np.flatnonzero(scores > 0)
        if doc_ids is not None:
            found = found[[doc_id_of(ids[i]) in doc_ids for i in found]]
        if len(found) > top_k:
            at_least = np.partition(scores[found], -top_k)[-top_k]
            found = found[scores[found] >= at_least]  # with all ties at the cut, so that order of adding never decides
        best = sorted(((ids[i], float(scores[i])) for i in found), key=lambda pair: (-pair[1], pair[0]))
        return best[:top_k]

    def idf(self, stem: str) -> float:
        """Return how rare a stem is among sentences."""
        return self.units["sentences"].idf(stem)

    def is_name(self, word: str) -> bool:
        """Whether the corpus writes this word, in whatever case it is given, mostly with a capital inside sentences."""
        seen, capital = self.surface.get(fold(word), (0, 0))
        return capital > 0 and capital >= _MIN_NAME_SHARE * seen

    def query(self, question: str, *, synonyms: Sequence[Sequence[str]] = ()) -> Query:
        """Return the parts of a question: its words, each with the corpus's spelling variants and with renamings."""
        asked = content_words(question)
        renamed = _renamed(asked, synonyms)
        parts: list[list[Alternative]] = []
        for i, word in enumerate(asked):
            following = asked[i + 1] if i + 1 < len(asked) else None
            weight = _VARIANT_WEIGHT if word.folded in self.surface else 1.0
            part = [Alternative((word.stem,))]
            part += [Alternative((stem,), weight) for stem in self._variants(word)]
            part += [Alternative(stems) for stems in self._joined_or_split(word, following)]
            part += [Alternative(stems, _VARIANT_WEIGHT) for stems in renamed.get(i, [])]
            parts.append(part)
        return parts

    def covered(self, query: Query, text: str) -> frozenset[int]:
        """Return which parts of a question, by number, the text speaks of."""
        stems = {word.stem for word in words(text)}
        return frozenset(i for i, part in enumerate(query) if any(stems.issuperset(a.stems) for a in part))

    def coverage(self, query: Query, covered: Iterable[int]) -> float:
        """Return the share of the question in the covered parts, in [0, 1], each part weighed by how rare it is."""
        weights = [max(self.idf(stem) for stem in part[0].stems) for part in query]
        total = sum(weights)
        return sum(weights[i] for i in covered) / total if total else 0.0

    def _variants(self, word: Word) -> list[str]:
        """Return stems of names in the corpus spelt like this word; none for an ordinary word of the corpus."""
        if len(word.folded) < _MIN_VARIANT_CHARS or (word.folded in self.surface and not self.is_name(word.folded)):
            return []
        near = process.extract(
            word.folded, self._names, scorer=JaroWinkler.similarity, score_cutoff=_MIN_SIMILARITY, limit=8
        )
        allowed = max(1, len(word.folded) // 4)
        similar = [name for name, _, _ in near if Levenshtein.distance(name, word.folded) <= allowed]
        return [stem for stem in _stemmer().stemWords(similar) if stem != word.stem]

    @cached_property
    def _names(self) -> list[str]:
        return sorted(word for word in self.surface if len(word) >= _MIN_VARIANT_CHARS and self.is_name(word))

    def _joined_or_split(self, word: Word, following: Word | None) -> list[tuple[str, ...]]:
        """Return 'akorda' for 'ak orda' and the other way round, where the corpus knows only the other form."""
        if following and not (word.folded in self.surface and following.folded in self.surface):
            joined = word.folded + following.folded
            return [(_stemmer().stemWord(joined),)] if self.is_name(joined) else []
        if word.folded in self.surface or len(word.folded) < _MIN_VARIANT_CHARS:
            return []
        halves = ((word.folded[:at], word.folded[at:]) for at in range(2, len(word.folded) - 1))
        return [tuple(_stemmer().stemWords(list(pair))) for pair in halves if all(self.is_name(half) for half in pair)]


def rephrasings(question: str, synonyms: Sequence[Sequence[str]]) -> list[str]:
    """Return the question with each name the user declared equal put in the place of the one it has."""
    found: list[str] = []
    for group in synonyms:
        for name in group:
            before, spoken, after = _partition(question, name)
            if spoken:
                found += [before + other + after for other in group if other != name]
    return found


def _partition(text: str, name: str) -> tuple[str, str, str]:
    """Return the text before a name, the name as it stands there, and what follows; the name is empty if not there."""
    match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
    return (text[: match.start()], match.group(), text[match.end() :]) if match else (text, "", "")


def _renamed(asked: Sequence[Word], synonyms: Sequence[Sequence[str]]) -> dict[int, list[tuple[str, ...]]]:
    """Return word number -> stems of the other names of what the word names, or is a part of the name of."""
    found: dict[int, list[tuple[str, ...]]] = {}
    spoken = [word.stem for word in asked]
    for group in synonyms:
        names = [tuple(word.stem for word in content_words(name)) for name in group]
        for name in names:
            for at in range(len(spoken) - len(name) + 1):
                if tuple(spoken[at : at + len(name)]) == name:
                    for i in range(at, at + len(name)):
                        found.setdefault(i, []).extend(other for other in names if other != name)
    return found


def _inside(text: str) -> Iterable[tuple[str, bool]]:
    """Yield the words after the first one of a sentence, folded, and whether each has a capital.

    The first word says nothing: it has a capital in any case.
    """
    for match in list(_WORD.finditer(text))[1:]:
        word = _POSSESSIVE.sub("", match.group())
        yield fold(word), word[0].isupper()


def _count(texts: Texts, vocabulary: dict[str, int], *, first_unit: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Return lengths, and (stem, unit, count) in columns; new stems are added to the vocabulary."""
    lengths: list[int] = []
    rows: list[tuple[int, int, int]] = []
    for number, (_, text) in enumerate(texts, start=first_unit):
        stems = [word.stem for word in words(text) if word.folded not in STOPWORDS_EN]
        lengths.append(len(stems))
        rows += [(vocabulary.setdefault(stem, len(vocabulary)), number, n) for stem, n in Counter(stems).items()]
    columns = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return np.array(lengths, dtype=np.int32), columns[:, 0], columns[:, 1], columns[:, 2]
