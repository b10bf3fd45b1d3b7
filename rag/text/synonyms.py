"""Rephrase questions with names that the user declared synonymous."""

import re
from collections.abc import Sequence

from rag.text.words import words


def rephrasings(question: str, synonyms: Sequence[Sequence[str]]) -> list[str]:
    """Return variants of the question, each with one name replaced by a declared synonym."""
    found: list[str] = []
    for group in synonyms:
        for name in group:
            before, spoken, after = _partition(question, name)
            if spoken:
                found += [before + other + after for other in group if other != name and words(other)]
    return found


def _partition(text: str, name: str) -> tuple[str, str, str]:
    """Return the text before a name, the name as written, and the text after it; the name is empty if absent."""
    match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
    return (text[: match.start()], match.group(), text[match.end() :]) if match else (text, "", "")
