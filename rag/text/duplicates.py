"""Whether two sentences say the same in the same words."""

import re

from rag.text.words import words

_ARTICLES = frozenset({"a", "an", "the"})
_AMOUNT = re.compile(r"(?:(?<!\w)[-−+])?[$€£¥]?\d[\d.,]*[²³]?\s?%?")  # words() knows no signs


def says_the_same(one: str, other: str) -> bool:
    """Whether two sentences are near-duplicates: the same words in the same order, but for articles, case and marks.

    Sentences that merely resemble each other may contradict each other ("attacked", "was attacked by"), and are never
    merged.
    """
    return _substance(one) == _substance(other)


def _substance(text: str) -> tuple[list[str], list[str]]:
    return [word.folded for word in words(text) if word.folded not in _ARTICLES], _AMOUNT.findall(text)
