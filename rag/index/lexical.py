"""Word index of passages and sentences, with a vocabulary for matching spelling variants.

A ``LexicalIndex`` is a folder of files that never change; each commit writes a new one beside it. No names are built
in: spelling variants come from the corpus vocabulary, renamings from the user's synonyms.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import JaroWinkler

from rag.errors import IndexDamaged
from rag.index.bm25 import Alternative, Query, Texts, UnitIndex
from rag.text.spelling import MIN_SIMILARITY, MIN_VARIANT_CHARS, is_variant
from rag.text.words import Word, content_words, fold, stemmer, words
from rag.values import UNITS, Unit, doc_id_of

_MAX_SPLIT_CHARS = 40  # longer words are not names
_MIN_NAME_SHARE = 0.8  # minimum share of occurrences inside sentences that are capitalized
_VARIANT_WEIGHT = 0.7  # of a similar word if the question's own spelling also occurs


@dataclass(frozen=True)
class LexicalIndex:
    """One generation of the word index.

    surface: folded word -> (times inside a sentence, times capitalized there, times at the start of one), used to tell
    names from other words.
    """

    units: Mapping[Unit, UnitIndex]
    surface: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> "LexicalIndex":
        """Return an empty index."""
        return cls({unit: UnitIndex.empty() for unit in UNITS})

    def changed(self, *, removed: Mapping[Unit, Texts], added: Mapping[Unit, Texts]) -> "LexicalIndex":
        """Return a copy with units removed and added; ``removed`` has to list all units of a removed document."""
        without = frozenset(doc_id_of(unit_id) for texts in removed.values() for unit_id, _ in texts)
        counts = {word: list(seen) for word, seen in self.surface.items()}
        for texts, sign in ((removed["sentences"], -1), (added["sentences"], 1)):
            for _, text in texts:
                for at, word in enumerate(words(text)):
                    count = counts.setdefault(word.folded, [0, 0, 0])
                    count[0] += sign * (at > 0)
                    count[1] += sign * (at > 0 and word.text[0].isupper())
                    count[2] += sign * (at == 0)
        return LexicalIndex(
            {unit: self.units[unit].changed(without=without, added=added[unit]) for unit in UNITS},
            {word: (inside, capital, first) for word, (inside, capital, first) in counts.items() if inside or first},
        )

    def save(self, folder: Path) -> None:
        """Write the index to a folder that does not exist yet."""
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
        """Return up to top_k (id, BM25 score) pairs, best first, ties by id; units that share no word are left out."""
        ids, scores = self.units[unit].ids, self.units[unit].scores(query)
        found = np.flatnonzero(scores > 0)
        if doc_ids is not None:
            found = found[[doc_id_of(ids[i]) in doc_ids for i in found]]
        if len(found) > top_k:
            at_least = np.partition(scores[found], -top_k)[-top_k]
            found = found[scores[found] >= at_least]  # keep ties at the cut, so that insertion order never decides
        best = sorted(((ids[i], float(scores[i])) for i in found), key=lambda pair: (-pair[1], pair[0]))
        return best[:top_k]

    def idf(self, stem: str) -> float:
        """Return the rarity of a stem among sentences."""
        return self.units["sentences"].idf(stem)

    def is_name(self, word: str) -> bool:
        """Whether the corpus mostly capitalizes this word inside sentences; the case of ``word`` does not matter."""
        inside, capital, _ = self.surface.get(fold(word), (0, 0, 0))
        return capital > 0 and capital >= _MIN_NAME_SHARE * inside

    def _may_be_name(self, word: str) -> bool:
        """Whether the word could be a name; one that occurs only at the start of sentences could be."""
        inside, _, first = self.surface.get(word, (0, 0, 0))
        return self.is_name(word) or (first > 0 and not inside)

    def query(self, question: str, *, synonyms: Sequence[Sequence[str]] = ()) -> Query:
        """Return the parts of a question: its words, each with spelling variants from the corpus and with renamings."""
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
        """Return the numbers of the question parts that occur in the text."""
        stems = {word.stem for word in words(text)}
        return frozenset(i for i, part in enumerate(query) if any(stems.issuperset(a.stems) for a in part))

    def coverage(self, query: Query, covered: Iterable[int]) -> float:
        """Return the share of the question that is covered, in [0, 1], with parts weighted by rarity."""
        weights = [max(self.idf(stem) for stem in part[0].stems) for part in query]
        total = sum(weights)
        return sum(weights[i] for i in covered) / total if total else 0.0

    def _variants(self, word: Word) -> list[str]:
        """Return stems of corpus names with a similar spelling; none if the word is an ordinary word of the corpus."""
        if len(word.folded) < MIN_VARIANT_CHARS or (word.folded in self.surface and not self._may_be_name(word.folded)):
            return []
        near = process.extract(
            word.folded, self._names, scorer=JaroWinkler.similarity, score_cutoff=MIN_SIMILARITY, limit=8
        )
        similar = [name for name, _, _ in near if is_variant(name, word.folded)]
        return [stem for stem in stemmer().stemWords(similar) if stem != word.stem]

    @cached_property
    def _names(self) -> list[str]:
        return sorted(word for word in self.surface if len(word) >= MIN_VARIANT_CHARS and self._may_be_name(word))

    def _joined_or_split(self, word: Word, following: Word | None) -> list[tuple[str, ...]]:
        """Return 'akorda' for 'ak orda' and vice versa, if the corpus has only the other form."""
        found: list[tuple[str, ...]] = []
        known = word.folded in self.surface
        if following and not (known and following.folded in self.surface):
            joined = word.folded + following.folded
            found += [(stemmer().stemWord(joined),)] if self.is_name(joined) else []
        if not known and MIN_VARIANT_CHARS <= len(word.folded) <= _MAX_SPLIT_CHARS:
            halves = ((word.folded[:at], word.folded[at:]) for at in range(2, len(word.folded) - 1))
            found += [tuple(stemmer().stemWords(list(pair))) for pair in halves if all(map(self.is_name, pair))]
        return found


def spelt_as_in(text: str, question: str, query: Query) -> str:
    """Replace names in the question with the spelling or the name that the text uses.

    query: the parts of this question. The model that reads both then need not know that Tokaev is Tokayev.
    """
    written = {word.stem: word.text for word in reversed(words(text))}  # as first written in the text
    pieces, start, before = [], 0, None
    for word, (own, *others) in zip(content_words(question), query, strict=True):
        other = next((a for a in others if written.keys() >= set(a.stems)), None)
        at = question.find(word.text, start)
        if other is None or at < 0 or written.keys() >= set(own.stems):
            continue
        if other == before:  # a name of several words, already replaced
            pieces.append(question[start:at].rstrip(" -"))
        else:
            pieces.append(question[start:at] + " ".join(written[stem] for stem in other.stems))
        start, before = at + len(word.text), other
    return "".join([*pieces, question[start:]])


def _renamed(asked: Sequence[Word], synonyms: Sequence[Sequence[str]]) -> dict[int, list[tuple[str, ...]]]:
    """Return word number -> stems of the synonyms of the name that the word is or belongs to."""
    found: dict[int, list[tuple[str, ...]]] = {}
    spoken = [word.stem for word in asked]
    for group in synonyms:
        names = [stems for name in group if (stems := tuple(word.stem for word in content_words(name)))]
        for name in names:
            for at in range(len(spoken) - len(name) + 1):
                if tuple(spoken[at : at + len(name)]) == name:
                    for i in range(at, at + len(name)):
                        found.setdefault(i, []).extend(other for other in names if other != name)
    return found
