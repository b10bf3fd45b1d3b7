"""Match spelling variants of a transcribed name, such as Tokaev and Tokayev."""

import re

from rapidfuzz.distance import JaroWinkler, Levenshtein

MIN_VARIANT_CHARS = 5  # in shorter names one letter makes a different name: Iran, Iraq
MIN_SIMILARITY = 0.9  # Jaro-Winkler: 'tokaev'/'tokayev' .97, 'mirziyaev'/'mirziyoyev' .93
_TRANSCRIBED = str.maketrans({**dict.fromkeys("aeiouyj'"), "g": "h", "q": "k", "w": "v"})  # Luhansk, Lugansk
_DOUBLED = re.compile(r"(.)\1+")


def is_spelling_of(one: str, other: str) -> bool:
    """Return whether two folded words are the same name, allowing for variant spellings."""
    if one == other:
        return True
    long_enough = min(len(one), len(other)) >= MIN_VARIANT_CHARS
    return long_enough and JaroWinkler.similarity(one, other) >= MIN_SIMILARITY and is_variant(one, other)


def is_variant(one: str, other: str) -> bool:
    """Return whether two similar names are variant spellings: vowels may differ, consonants may not.

    'tokaev' and 'tokayev' are variants; 'iceland' and 'ireland', or 'austria' and 'australia', are not.
    """
    allowed = max(1, min(len(one), len(other)) // 4)
    return _consonants(one) == _consonants(other) and Levenshtein.distance(one, other) <= allowed


def _consonants(name: str) -> str:
    """Return the consonants, unifying those that transcribe the same sound."""
    plain = name.replace("kh", "h").replace("ph", "f").translate(_TRANSCRIBED)
    return _DOUBLED.sub(r"\1", plain)
