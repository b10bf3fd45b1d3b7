"""Extract the words of a text: as written, folded to compare spellings, stemmed to count."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import Stemmer
from bm25s.stopwords import STOPWORDS_EN

STOPWORDS = frozenset(STOPWORDS_EN)
WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W_]+(?:['’][^\W_]+)*")
# Verbs of speech and thought in the infinitive; next to a speaker they form a closed class.
SPEECH_VERBS = (
    "say tell write think ask add state note explain stress emphasize emphasise argue warn admit insist recall "
    "declare remark claim believe announce acknowledge observe suggest describe call mention portray present frame "
    "reply answer conclude question name reiterate reveal point praise dismiss demand confirm deny report liken "
    "complain promise consider fear hope predict"
).split()
_SPOKE = {
    "say": "said", "tell": "told", "write": "wrote", "think": "thought", "reply": "replied", "deny": "denied",
    "admit": "admitted",
}  # fmt: skip
SPOKE = frozenset(_SPOKE.get(verb, verb.removesuffix("e") + "ed") for verb in SPEECH_VERBS)  # past tense
_POSSESSIVE = re.compile(r"['’]s$", re.IGNORECASE)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Word:
    """A word or number in a text: ``folded`` to compare spellings, ``stem`` to count."""

    text: str
    folded: str
    stem: str


def words(text: str) -> list[Word]:
    """Return the words and numbers of a text in order, including stop words."""
    found = [match.group() for match in WORD.finditer(_composed(text))]
    folded = [fold(word) for word in found]
    return [Word(w, f, s) for w, f, s in zip(found, folded, stemmer().stemWords(folded), strict=True)]


def content_words(text: str) -> list[Word]:
    """Return the words of a text without stop words; all words if only stop words remain."""
    every = words(text)
    return [word for word in every if word.folded not in STOPWORDS] or every


def fold(word: str) -> str:
    """Return a word in lower case without accents or possessive, so that 'Şavkat’s' and 'savkat' match.

    Thousands separators are removed from numbers.
    """
    if _THOUSANDS.fullmatch(word):
        return word.replace(",", "")
    decomposed = unicodedata.normalize("NFKD", _POSSESSIVE.sub("", word).replace("’", "'"))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


@cache
def stemmer() -> Any:  # PyStemmer publishes no types
    """Return the English Snowball stemmer, which leaves most words of other languages unchanged."""
    return Stemmer.Stemmer("english")


def _composed(text: str) -> str:
    """Return the text in NFC without soft hyphens, since combining accents and soft hyphens would split words."""
    return unicodedata.normalize("NFC", text).replace("\u00ad", "")
