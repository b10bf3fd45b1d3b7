"""Near-duplicate detection for sentences."""

import re

from rag.text.words import words

_ARTICLES = frozenset({"a", "an", "the"})
_AMOUNT = re.compile(r"(?:(?<!\w)[-−+])?[$€£¥]?\d[\d.,]*[²³]?\s?%?")  # words() drops signs


def says_the_same(one: str, other: str) -> bool:
    """Return whether two sentences have the same words in the same order, ignoring articles, case and punctuation.

    Merely similar sentences may contradict each other ("attacked", "was attacked by") and never count as the same.
    """
    return _substance(one) == _substance(other)


def _substance(text: str) -> tuple[list[str], list[str]]:
    return [word.folded for word in words(text) if word.folded not in _ARTICLES], _AMOUNT.findall(text)
