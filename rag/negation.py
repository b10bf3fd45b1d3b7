"""What a text denies, by its words: "not", "no", "without", "un-", and how far each of them reaches.

Knows nothing about meaning: a denial that is put in other words ("refused to") is for the evidence model. Called by
``rag.verify``.
"""

import re

from rag.names import FUNCTION_WORDS, TOKEN
from rag.overlap import root
from rag.words import STOPWORDS

_CUES = frozenset("not never no none neither nor without cannot hardly scarcely unless".split())
_OF_SUBJECTS = frozenset("none neither nor".split())  # "none of the contacts was noted" does not deny the contacts
_CUE_PHRASES = re.compile(r"\b(?:rather\sthan|instead\sof|as\sopposed\sto)\b", re.IGNORECASE)
_SHORT = re.compile(r"n['’]t\b", re.IGNORECASE)  # "doesn't"
_RAISING = frozenset("expect believ think want seem intend plan suppos".split())  # "expects no X": "does not expect X"
_HEDGES = frozenset("only just merely simply necessarily".split())  # "not only" denies nothing
_PASSED_OVER = frozenset("longer even yet quite really been being be have has had do does did".split())
_CLAUSE_END = frozenset(',;:.!?()–—"“”') | frozenset("but while although because that which who and or than".split())
_PREFIX = re.compile(r"(?:un(?=\w{4})|(?:non-?|in|im|ir|il|dis)(?=\w{5}))")
# Words that deny by their meaning: beside one of them, a missing "not" proves nothing.
_DENYING = frozenset("lack refus deni fail reject exclud avoid prevent ceas unlik".split())


def contradicts(text: str, source: str) -> str | None:
    """Return the word that one of the two denies and the other affirms; None where nothing tells.

    A sentence that denies twice, denies something else, or denies in other words, contradicts nothing here.
    """
    said_no, said_yes = _polarity(text)
    source_no, source_yes = _polarity(source)
    # What either says both ways is no contradiction: "did not resign in May, resigned in June".
    flipped = (said_no - said_yes) & (source_yes - source_no)
    reverse = (source_no - source_yes) & (said_yes - said_no)
    # Where one denies by a word's meaning, as "lacks" does, the other needs a "not": only that word may be flipped.
    flipped = flipped & _DENYING if source_yes & _DENYING else flipped
    reverse = reverse & _DENYING if said_yes & _DENYING else reverse
    if said_no and source_no and _RAISING & (flipped | reverse):
        return None  # both deny the same
    return min(flipped | reverse, default=None)


def _polarity(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the roots that a text denies and those that it affirms; "unknown" denies "known"."""
    tokens = _tokens(text)
    denied, open_to_doubt = _scopes(tokens)
    no: set[str] = set()
    yes: set[str] = set()
    for at, token in enumerate(tokens):
        if not _carries_meaning(token) or at in open_to_doubt:
            continue
        (no if at in denied else yes).add(root(token))
        if prefix := _PREFIX.match(token):
            (yes if at in denied else no).add(root(token[prefix.end() :]))
    return frozenset(no), frozenset(yes)


def _tokens(text: str) -> list[str]:
    text = _CUE_PHRASES.sub("without", _SHORT.sub(" not", text))
    return [token.casefold() for token in TOKEN.findall(text)]


def _scopes(tokens: list[str]) -> tuple[set[int], set[int]]:
    """Return the places of the first word of meaning behind each cue, and of those behind it in its clause.

    The first is denied; the others may be denied with it or not ("not a set of temporary disagreements"), which nothing
    here tells.
    """
    denied: set[int] = set()
    open_to_doubt: set[int] = set()
    for cue, token in enumerate(tokens):
        if token not in _CUES or (cue + 1 < len(tokens) and tokens[cue + 1] in _HEDGES):
            continue
        end = next((at for at in range(cue + 1, len(tokens)) if tokens[at] in _CLAUSE_END), len(tokens))
        meant = [at for at in range(cue + 1, end) if _carries_meaning(tokens[at])]
        n_denied = token not in _OF_SUBJECTS
        denied.update(meant[:n_denied])
        open_to_doubt.update(meant[n_denied:])
    return denied, open_to_doubt - denied


def _carries_meaning(token: str) -> bool:
    if token in {"always", "much", "many", "more"}:
        return True
    return token.isalpha() and not (
        token in STOPWORDS or token in FUNCTION_WORDS or token in _PASSED_OVER or token.endswith("ly")
    )
