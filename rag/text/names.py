"""Learn which words of a corpus are names, and which names look like persons or places, from the surrounding text.

In English, closed word classes help tell names apart; in other languages, only capitals do.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from rag.text.words import SPOKE

Kind = Literal["person", "place", "other"]

MAX_NAME_WORDS = 5  # longer runs of capitals are headings, not names
# A word with its hyphens and inner apostrophes (O'Brien), a trailing "'s", or one punctuation mark.
TOKEN = re.compile(r"[^\W_]+(?:[-'’](?!s\b)[^\W_]+)*|(?<=\w)['’]s\b|[^\w\s]|_", re.IGNORECASE)

QUESTION_WORDS = frozenset("who whom whose which what when where why how".split())
AUXILIARIES = frozenset("is are was were do does did has have had will would can could should may might must".split())
BE = frozenset("is are was were be been being".split())
PREPOSITIONS = frozenset("about of to for in on at from with by after before since until during between".split())
# Sometimes capitalised (after a colon, in a heading) but never part of a name.
FUNCTION_WORDS = (QUESTION_WORDS | AUXILIARIES | PREPOSITIONS) | frozenset(
    "a an the and or but nor so yet if then than as not no yes ok okay i you he she it we they me him her us them my "
    "your his its our their this that these those there here all any both each either else even ever every few many "
    "more most much other others own same some such too very one ones first second third former latter last latest "
    "next previous am be been near over across through without within among against under into towards behind while "
    "whether because although however also again still just really now never only once despite "
    "according please tell show give explain describe compare list name summarize summarise".split()
)
# Abbreviated titles and the word that identifies each; members of parliament go by too many names.
TITLES_IN_SHORT = {
    "CEO": "chief executive", "CFO": "chief financial", "CIO": "chief information", "COO": "chief operating",
    "CTO": "chief technology", "PM": "prime", "VP": "vice", "MP": "", "MPs": "", "MEP": "", "MEPs": "",
}  # fmt: skip
TITLES = frozenset(
    "mr mrs ms miss dr prof professor sir president chairman chairwoman chair minister premier chancellor king queen "
    "prince princess senator governor mayor ambassador general colonel judge analyst expert economist journalist "
    "spokesman spokeswoman director founder leader author secretary deputy gen".split()
) | frozenset(map(str.casefold, TITLES_IN_SHORT))
CALENDAR = frozenset(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday".split()
)
_OF_PERSONS = SPOKE | {"says", "believes", "met"}


class NameLexicon(Protocol):
    """What follow-up condensing needs to know about the words of a corpus."""

    def is_name(self, token: str) -> bool:
        """Return whether the corpus capitalises this single word; the lookup ignores case."""

    def kind(self, name: str) -> Kind:
        """Return what a name of one or more words stands for; "other" if the corpus gives no clue."""


@dataclass(frozen=True, slots=True)
class Names:
    """A ``NameLexicon`` held as plain values with casefolded keys."""

    tokens: frozenset[str] = frozenset()
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def is_name(self, token: str) -> bool:
        """See ``NameLexicon.is_name``."""
        return token.casefold() in self.tokens

    def kind(self, name: str) -> Kind:
        """Return the kind of the whole name, falling back to its last word so that a surname is enough."""
        words = name.casefold().split() or [""]
        return self.kinds.get(" ".join(words)) or self.kinds.get(words[-1], "other")


def learn_names(sentences: Iterable[str]) -> Names:
    """Learn names and their kinds by counting capitals and cues in the sentences of a corpus.

    A word is a name if, inside sentences, it appears with a capital more often than without. The first word of a
    sentence is not counted, and headings in title case are skipped. A kind needs at least 2 points and more than the
    opposite kind has. The order of the sentences does not matter.
    """
    capitals, points = Counter[str](), Counter[tuple[str, Kind]]()
    for words in map(TOKEN.findall, sentences):
        if _is_heading(words):
            continue
        for at, word in enumerate(words):
            inner_capital = word[0].isupper() and not opens_sentence(words, at)
            capitals[word.casefold()] += inner_capital - word[0].islower()
        points.update(_cues(words))
    tokens = frozenset(word for word, n in capitals.items() if n > 0 and not is_plain(word) and len(word) > 1)
    kinds: dict[str, Kind] = {}
    for (name, kind), n_points in points.items():
        n_opposite = points[name, "place" if kind == "person" else "person"]
        if n_points >= 2 and n_points > n_opposite and tokens.issuperset(name.split()):
            kinds[name] = kind
    return Names(tokens=tokens, kinds=kinds)


def is_plain(word: str) -> bool:
    """Return whether a word can never be part of a name: a function word, calendar word or title."""
    return word.casefold() in FUNCTION_WORDS | CALENDAR | TITLES


def opens_sentence(words: Sequence[str], at: int) -> bool:
    """Return whether a capital here means nothing: at the start or after a quotation mark, a colon or a bullet."""
    return at == 0 or not (words[at - 1][0].isalnum() or words[at - 1] in {",", ")", "(", "–", "'s", "’s"})


def name_runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yield the half-open ranges of consecutive true flags, skipping runs too long to be a name."""
    starts = [at for at, flag in enumerate(flags) if flag and not (at and flags[at - 1])]
    for start in starts:
        end = next((at for at in range(start, len(flags)) if not flags[at]), len(flags))
        if end - start <= MAX_NAME_WORDS:
            yield start, end


def _is_heading(words: Sequence[str]) -> bool:
    """Return whether this is a title-case heading: most long words have capitals and no stop ends the line."""
    long_words = [word for word in words if len(word) > 3 and word[0].isalpha()]
    n_capitals = sum(word[0].isupper() for word in long_words)
    return len(long_words) > 3 and 2 * n_capitals > len(long_words) and words[-1] not in {".", "!", "?", "”", '"'}


def _cues(words: Sequence[str]) -> Iterator[tuple[str, Kind]]:
    """Yield one (name, kind) per point, for the full name and its last word; reliable cues give several points."""
    folded = ["", *(word.casefold() for word in words), ""]
    for start, end in name_runs([word[0].isupper() and not is_plain(word) for word in words]):
        before, name, after = folded[start], folded[start + 1 : end + 1], folded[end + 1]
        points: Counter[Kind] = Counter()
        if after not in TITLES:  # "Kazakh analyst": "Kazakh" is not a person
            points["person"] = 3 * (before in TITLES) + 2 * (after in _OF_PERSONS and before not in {"of", "the"})
        if after not in {"'s", "’s"}:  # "in Okafor's view": "Okafor" is not a place
            points["place"] = 3 * (before in {"in", "near", "visited"}) + (before in {"from", "to"})
        for key in {" ".join(name), name[-1]}:
            yield from ((key, kind) for kind in points.elements())
