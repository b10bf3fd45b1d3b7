"""Which words of a corpus are names, and which names look like persons or places, told from the text around them.

Names are told by closed classes of English words; in other languages by their capitals alone.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from rag.text.words import SPOKE

Kind = Literal["person", "place", "other"]

MAX_NAME_WORDS = 5  # longer runs of capitals are headings, not names
# A word with its hyphens and inner apostrophes (O'Brien), the "'s" behind it, or one mark.
TOKEN = re.compile(r"[^\W_]+(?:[-'’](?!s\b)[^\W_]+)*|(?<=\w)['’]s\b|[^\w\s]|_", re.IGNORECASE)

QUESTION_WORDS = frozenset("who whom whose which what when where why how".split())
AUXILIARIES = frozenset("is are was were do does did has have had will would can could should may might must".split())
BE = frozenset("is are was were be been being".split())
PREPOSITIONS = frozenset("about of to for in on at from with by after before since until during between".split())
# Capitalised now and then (after a colon, in a heading), never part of a name.
FUNCTION_WORDS = (QUESTION_WORDS | AUXILIARIES | PREPOSITIONS) | frozenset(
    "a an the and or but nor so yet if then than as not no yes ok okay i you he she it we they me him her us them my "
    "your his its our their this that these those there here all any both each either else even ever every few many "
    "more most much other others own same some such too very one ones first second third former latter last latest "
    "next previous am be been near over across through without within among against under into towards behind while "
    "whether because although however also again still just really now never only once despite "
    "according please tell show give explain describe compare list name summarize summarise".split()
)
# Titles in short and the words that tell them apart; members of a parliament are called too many things.
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
    """What condensing needs to know about the words of a corpus."""

    def is_name(self, token: str) -> bool:
        """Whether the corpus writes this single word with a capital; upper and lower case are the same here."""

    def kind(self, name: str) -> Kind:
        """Tell what a name of one or more words stands for; "other" where the corpus does not tell."""


@dataclass(frozen=True, slots=True)
class Names:
    """A ``NameLexicon`` as plain values. Keys are casefolded."""

    tokens: frozenset[str] = frozenset()
    kinds: Mapping[str, Kind] = field(default_factory=dict)

    def is_name(self, token: str) -> bool:
        """See ``NameLexicon.is_name``."""
        return token.casefold() in self.tokens

    def kind(self, name: str) -> Kind:
        """Return the kind of the whole name, else that of its last word: a surname is known without its first name."""
        words = name.casefold().split() or [""]
        return self.kinds.get(" ".join(words)) or self.kinds.get(words[-1], "other")


def learn_names(sentences: Iterable[str]) -> Names:
    """Count capitals and cues over the sentences of a corpus.

    A word is a name if it stands inside sentences more often with a capital than without one; the first word of a
    sentence counts for neither side, and headings in title case are passed over. A kind needs at least 2 points and
    more than the opposite kind has. The order of the sentences does not matter.
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
    """Whether a word cannot be part of a name, however it is written: function words, months, titles."""
    return word.casefold() in FUNCTION_WORDS | CALENDAR | TITLES


def opens_sentence(words: Sequence[str], at: int) -> bool:
    """Whether a capital at this place says nothing: at the start, after a quotation mark, a colon, a bullet."""
    return at == 0 or not (words[at - 1][0].isalnum() or words[at - 1] in {",", ")", "(", "–", "'s", "’s"})


def name_runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Yield the half-open ranges of neighbouring true flags, those longer than a name left out."""
    starts = [at for at, flag in enumerate(flags) if flag and not (at and flags[at - 1])]
    for start in starts:
        end = next((at for at in range(start, len(flags)) if not flags[at]), len(flags))
        if end - start <= MAX_NAME_WORDS:
            yield start, end


def _is_heading(words: Sequence[str]) -> bool:
    """Whether most long words have capitals and no stop ends them: title case, where a capital means nothing."""
    long_words = [word for word in words if len(word) > 3 and word[0].isalpha()]
    n_capitals = sum(word[0].isupper() for word in long_words)
    return len(long_words) > 3 and 2 * n_capitals > len(long_words) and words[-1] not in {".", "!", "?", "”", '"'}


def _cues(words: Sequence[str]) -> Iterator[tuple[str, Kind]]:
    """Yield a (name, kind) per point, for the name and its last word; a cue that rarely misleads gives several."""
    folded = ["", *(word.casefold() for word in words), ""]
    for start, end in name_runs([word[0].isupper() and not is_plain(word) for word in words]):
        before, name, after = folded[start], folded[start + 1 : end + 1], folded[end + 1]
        points: Counter[Kind] = Counter()
        if after not in TITLES:  # "Kazakh analyst" names no person
            points["person"] = 3 * (before in TITLES) + 2 * (after in _OF_PERSONS and before not in {"of", "the"})
        if after not in {"'s", "’s"}:  # "in Okafor's view" names no place
            points["place"] = 3 * (before in {"in", "near", "visited"}) + (before in {"from", "to"})
        for key in {" ".join(name), name[-1]}:
            yield from ((key, kind) for kind in points.elements())
