"""What a sentence says of more than its source does: of all, of always, of only one, or of now instead of once."""

import re
from collections.abc import Sequence

from rag.gate.rules.negation import CUES, PHRASE_END, carries_meaning, end_of, folded_tokens
from rag.text.names import TITLES, TOKEN

# Words that leave no exception, by what they say; and the wider classes that a source may have for them.
_ABSOLUTES = tuple(
    (frozenset(words.split()), frozenset(alike.split()))
    for words, alike in (
        ("all every", "each any both whole entire everyone everybody everything everywhere always full unanimous"),
        ("always never", "every each constant constantly invariably ever all any permanently forever"),
        ("entirely fully completely wholly totally", "entire full complete whole total all every utterly absolutely"),
        ("only sole solely exclusively", "exclusive alone single just merely but except one unique purely"),
    )
)
_HEDGES = frozenset("not nearly almost above at after".split())  # "not only", "almost all", "at all"
_EX = re.compile(r"\b(?:(?:ex|then)[-‐‑]|(?:one-?time|erstwhile)\s)(?=\w)", re.IGNORECASE)
_FORMER = frozenset(["former"])
_NOW = frozenset("is are remain remains".split())
_REACH = 4  # words in which a role stands behind "former", "is the"


def absolute(text: str, source: str) -> str | None:
    """Return a word of a text that leaves no exception, where its source has none of the kind: "all", of "some"."""
    ours, theirs = folded_tokens(text), set(folded_tokens(source))
    for words, alike in _ABSOLUTES:
        if (words | alike) & theirs or ("never" in ours and CUES & theirs):
            continue
        for before, token in zip(["", *ours], ours, strict=False):
            if token in words and before not in _HEDGES:
                return token
    return None


def still(text: str, source: str) -> str | None:
    """Return the role that a text has somebody in now, and its source only once: "is the chair", "former chair"."""
    ours, theirs = TOKEN.findall(_EX.sub("former ", text)), TOKEN.findall(_EX.sub("former ", source))
    once = _behind(theirs, _FORMER)
    if not once or "former" in {token.casefold() for token in ours}:
        return None
    at_any_time = {token.casefold() for at, token in enumerate(theirs) if at not in once}
    past = {theirs[at].casefold() for at in once} - at_any_time
    return next((ours[at] for at in sorted(_behind(ours, _NOW)) if ours[at].casefold() in past), None)


def _behind(tokens: Sequence[str], cues: frozenset[str]) -> set[int]:
    """Return the places of the words for roles that stand behind a cue in its phrase."""
    folded = [token.casefold() for token in tokens]
    starts = (at + 1 for at, token in enumerate(folded) if token in cues)
    reach = (range(start, min(end_of(folded, start, PHRASE_END), start + _REACH)) for start in starts)
    return {at for places in reach for at in places if _is_role(tokens[at])}


def _is_role(token: str) -> bool:
    return token.casefold() in TITLES or (token.islower() and carries_meaning(token))
