"""The names that a sentence mentions, and whether other texts know them, in whatever spelling.

Names are told by their capitals; at the start of a sentence by what else the texts write in lower case. Knows no name
of a person or place.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from text_to_num import alpha2digit

from rag.text.names import FUNCTION_WORDS, TITLES, TITLES_IN_SHORT, TOKEN, is_plain, name_runs, opens_sentence
from rag.text.spelling import is_spelling_of
from rag.text.synonyms import rephrasings
from rag.text.words import STOPWORDS, fold, stemmer, words

_ORDINARY = frozenset(
    "today yesterday tomorrow meanwhile together moreover instead furthermore thus hence later soon early earlier "
    "therefore nevertheless nonetheless afterwards thereafter indeed overall perhaps maybe people one none "
    "nobody nothing everybody everyone everything somebody someone something anybody anyone anything".split()
)
_PRONOUN = re.compile(r"\b(?:he|she|they|it|his|her|their|its|I|we|our|my)\b")
_DERIVED_ENDS = "ese ish ch ian ians an ans ic i is n ns s".split()  # of those who come from a place
_MAX_LEFT_CHARS = 3  # of the place behind what the two share: "Franc|e"
_LAND = re.compile(r"(?:i?stan|land)$")
_VOWELS = str.maketrans(dict.fromkeys("aeiouy"))
_MIN_SHARED_CHARS = 4  # "Syria", "Syrian"; with three, Iran and Iraq would be one


def mentions(text: str, known: Iterable[str]) -> list[str]:
    """Return the words of a sentence that are names or parts of them, in order. known: texts of the same matter.

    At its start a capital says nothing: a word there is no name if ``known`` has it in lower case. A title is one where
    it stands for a person, "the King", and so is a word of a script without capitals.
    """
    tokens = TOKEN.findall(text)
    lower = _lower_case(tuple(known))
    found = []
    for at, token in enumerate(tokens):
        for part in re.split(r"[-‐‑–]", token):
            is_capital = part[:1].isalpha() and not part[:1].islower() and len(part) > 1
            is_name = is_capital and (not is_plain(part) or _stands_for_a_person(tokens, at))
            if is_name and not (opens_sentence(tokens, at) and _is_ordinary(part, lower)):
                found.append(part)
    return found


def _stands_for_a_person(tokens: Sequence[str], at: int) -> bool:
    """Whether a title follows an article and no name follows it: "the King", not "the Kazakh President Tokayev".

    One in short is only another spelling: "the CEO" is "the chief executive".
    """
    is_title = tokens[at].casefold() in TITLES and at > 0 and tokens[at - 1].casefold() == "the"
    is_title &= tokens[at] not in TITLES_IN_SHORT
    return is_title and not any(token[0].isupper() for token in tokens[at + 1 : at + 2])


def first_unknown(
    names: Sequence[str], known: Collection[str], *, synonyms: Sequence[Sequence[str]] = ()
) -> str | None:
    """Return the first name that no text has: spelt as in retrieval, by a synonym, as initials, or derived from it."""
    groups = tuple(tuple(group) for group in synonyms)
    vocabularies = [_vocabulary(text, groups) for text in known]
    folded = frozenset[str]().union(*(words_of for words_of, _ in vocabularies))
    initials = frozenset[str]().union(*(initials_of for _, initials_of in vocabularies))
    for name in names:
        sought = fold(name)
        if sought in folded or sought in initials:
            continue
        if not any(is_spelling_of(sought, word) or _is_derived(sought, word) for word in folded):
            return name
    return None


def exchanged(text: str, source: str, known: Iterable[str]) -> str | None:
    """Return a name that stands in a sentence where its source has another one: "Alpha won", of "Beta won".

    Compared are those that stand as subjects do. None if the two share one, or if the source has none or a pronoun.
    A name that is put together of two others is exchanged wherever it stands: "Ada Beta", of Ada Alpha and Bea Beta.
    """
    known = tuple(known)
    lower = _lower_case(known)
    if mixed := _mixed(text, known):
        return mixed
    ours, theirs = _subjects(text, lower), _subjects(source, lower)
    if not ours or not theirs or _PRONOUN.search(source):
        return None
    is_shared = any(first_unknown([name], [source]) is None for name in ours)
    is_shared |= any(first_unknown([name], [text]) is None for name in theirs)
    return None if is_shared else ours[0]


def _mixed(text: str, known: Iterable[str]) -> str | None:
    """Return a name whose neighbour in the text is another's: both have neighbours in what is known, but not so."""
    pairs = frozenset[tuple[str, str]]().union(*map(_neighbours, known))
    firsts, seconds = {first for first, _ in pairs}, {second for _, second in pairs}
    wrong = (pair for pair in _neighbours(text) if pair not in pairs and pair[0] in firsts and pair[1] in seconds)
    return next((second.capitalize() for _, second in wrong), None)


def _neighbours(text: str) -> list[tuple[str, str]]:
    """Return the names that follow each other, with nothing but titles between them, folded."""
    tokens = [token for token in TOKEN.findall(text) if token.casefold() not in TITLES]
    is_name = [token[0].isupper() and len(token) > 1 and not is_plain(token) for token in tokens]
    return [
        (fold(tokens[at]), fold(tokens[at + 1])) for at in range(len(tokens) - 1) if is_name[at] and is_name[at + 1]
    ]


def _subjects(text: str, lower: Collection[str]) -> list[str]:
    """Return the names that no article, preposition or possessor goes before, and none of what they belong to."""
    tokens = TOKEN.findall(text)
    is_name = [token[0].isupper() and len(token) > 1 and not is_plain(token) for token in tokens]
    found = []
    for start, end in name_runs(is_name):
        before = tokens[start - 1].casefold() if start else ""
        if before in FUNCTION_WORDS or before in {"'s", "’s"} or tokens[end : end + 1] in (["'s"], ["’s"]):
            continue
        if not (opens_sentence(tokens, start) and _is_ordinary(tokens[start], lower)):
            found += re.split(r"[-‐‑–]", " ".join(tokens[start:end]).replace(" ", "-"))
    return found


@lru_cache(maxsize=64)
def _lower_case(texts: tuple[str, ...]) -> frozenset[str]:
    """Return the words that the texts write in lower case, and their stems."""
    small = {word for text in texts for word in words(text) if word.text[0].islower()}
    return frozenset({word.folded for word in small} | {word.stem for word in small})


@lru_cache(maxsize=2048)
def _vocabulary(text: str, synonyms: tuple[tuple[str, ...], ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words of a text and of what they are also called, and the initials of neighbours with capitals."""
    every = [word for other in (text, *rephrasings(text, synonyms)) for word in words(other)]
    runs = re.findall(r"[A-Z]+", "".join(w.text[0] if w.text[0].isupper() else " " for w in every))
    parts = {
        run[i:j].casefold() for run in runs for i in range(len(run)) for j in range(i + 2, min(len(run), i + 6) + 1)
    }
    return frozenset(word.folded for word in every), frozenset(parts)


def _is_ordinary(word: str, lower: Collection[str]) -> bool:
    folded = fold(word)
    if folded in _ORDINARY or folded in STOPWORDS or folded in lower or stemmer().stemWord(folded) in lower:
        return True
    return str(alpha2digit(folded, "en", threshold=0)) != folded


def _is_derived(one: str, other: str) -> bool:
    """Whether one is an adjective of the other: "Syrian" of "Syria", "Kazakh" of "Kazakhstan", "French" of "France"."""
    return any(_is_adjective(word, place) for word, place in ((one, other), (other, one)) if word[:1] == place[:1])


def _is_adjective(word: str, place: str) -> bool:
    if len(word) >= _MIN_SHARED_CHARS and _LAND.sub("", place) == word:
        return True
    for base in (word.removesuffix(end) for end in _DERIVED_ENDS if word.endswith(end)):
        if len(base) >= _MIN_SHARED_CHARS and place.startswith(base) and len(place) - len(base) <= _MAX_LEFT_CHARS:
            return True
    base = re.sub(r"(?:ish|ch|ese)$", "", word)
    skeleton = base.translate(_VOWELS)
    is_close = 2 < len(base) < len(word) and len(skeleton) > 1 and len(place) - len(base) <= _MAX_LEFT_CHARS
    return is_close and place.translate(_VOWELS).startswith(skeleton)
