"""Names that the user declared equal, put in the place of one another."""

import re
from collections.abc import Sequence

from rag.text.words import words


def rephrasings(question: str, synonyms: Sequence[Sequence[str]]) -> list[str]:
    """Return the question with each name the user declared equal put in the place of the one it has."""
    found: list[str] = []
    for group in synonyms:
        for name in group:
            before, spoken, after = _partition(question, name)
            if spoken:
                found += [before + other + after for other in group if other != name and words(other)]
    return found


def _partition(text: str, name: str) -> tuple[str, str, str]:
    """Return the text before a name, the name as it stands there, and what follows; the name is empty if not there."""
    match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)
    return (text[: match.start()], match.group(), text[match.end() :]) if match else (text, "", "")
