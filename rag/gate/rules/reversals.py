"""What a word undoes: "failed to", "lost", "was forced to" in a sentence, "revoked", "stripped of" in its source."""

import re
from collections.abc import Sequence

from text_to_num import alpha2digit

from rag.gate.rules.negation import BEFORE_VERBS, CUES, PHRASE_END, carries_meaning, end_of, folded_tokens
from rag.gate.rules.shared_words import root

# Words that turn what is said into its opposite, or undo it, where they are added: "failed to", "lost". Those of
# a line may stand for each other; only the first two lines say no more than "not".
_REVERSING = tuple(
    frozenset(map(root, line.split()))
    for line in (
        "fail refuse decline reject deny resist oppose",
        "false untrue wrong impossible unlikely",
        "lose strip deprive revoke remove forfeit",
        "force compel coerce pressure involuntary",
        "violate breach break betray",
        "abandon withdraw quit renounce desert",
        "expel exclude oust banish dismiss",
        "cancel scrap abolish repeal annul",
        "restore reinstate",
        "rig forge fake falsify fraudulent",
    )
)
# What a source may have for a word of reversal, and that reverses nothing itself: "quit", of "resigned".
_SAID_FOR = {
    root("lose"): frozenset(map(root, "beat beaten defeat".split())),
    root("quit"): frozenset(map(root, "resign leave retire".split())),
}
_STEP_DOWN = re.compile(r"\bstep(?:s|ped|ping)?\sdown\b", re.IGNORECASE)
_TAKING_FROM = frozenset(map(root, "strip deprive".split()))
_TAKING = _TAKING_FROM | frozenset(map(root, "revoke repeal abolish annul cancel scrap forfeit".split()))
_REVERSES: frozenset[str] = frozenset().union(*_REVERSING)
_ENDING = _REVERSES - {root("force")} | frozenset(
    map(root, "end lift terminate take drop suspend overturn former formerly once until".split())
)
_PAST = frozenset("had was were been did held kept gave flew".split())
_N_ONLY_DENYING = 2
_REACH = 6  # words behind "stripped" in which "of" stands
# "Armed forces", "blood pressure", "oil rigs", unless "to force", "to pressure".
_NOUNS = frozenset(
    "force forces breach breaches break breaks pressure pressures decline declines rig rigs desert deserts".split()
)
_DECLINE = root("decline")
_MEASURES = frozenset("by from in during over since for half . , ; $ € £".split())


def reverses(text: str, source: str) -> str | None:
    """Return a word that turns what a text says, and that its source has neither itself nor one like it."""
    there = {root(token) for token in folded_tokens(_STEP_DOWN.sub("resign", source))}
    denies = bool(CUES & set(folded_tokens(source)))
    tokens = folded_tokens(text)
    for at, token in enumerate(tokens):
        said = root(token)
        if said not in _REVERSES or _is_noun(tokens, at) or _is_fall(tokens, at):
            continue
        for n, alike in enumerate(_REVERSING):
            is_said = (alike | _SAID_FOR.get(said, frozenset())) & there
            if said in alike and not is_said and not (denies and n < _N_ONLY_DENYING):
                return token
    return None


def _is_noun(tokens: Sequence[str], at: int) -> bool:
    return tokens[at] in _NOUNS and not (at and tokens[at - 1] in BEFORE_VERBS)


def _is_fall(tokens: Sequence[str], at: int) -> bool:
    """Whether a word tells that a number fell: "declined 5 percent", "declined by half", not "declined to answer"."""
    if root(tokens[at]) != _DECLINE:
        return False
    behind = [*tokens[at + 1 : at + 3], ""]
    behind = behind[1:] if behind[0] == "to" or behind[0].endswith("ly") else behind
    return behind[0] in _MEASURES or str(alpha2digit(behind[0], "en", threshold=0))[:1].isdigit()


def undone(text: str, source: str) -> str | None:
    """Return a word by which a source takes away what a text has as given: "revoking the immunity", "has immunity".

    None where the text has any word of denial, reversal or ending itself, or tells what was so before. Who is to revoke
    something takes nothing away yet.
    """
    said = folded_tokens(text)
    if (CUES | _PAST) & set(said) or any(root(token) in _ENDING or token.endswith("ed") for token in said):
        return None
    given = {root(token) for token in said if carries_meaning(token)}
    tokens = folded_tokens(source)
    for at, token in enumerate(tokens):
        is_to_come = at > 0 and tokens[at - 1] in BEFORE_VERBS
        if root(token) in _TAKING and not is_to_come and given & _object_of(tokens, at):
            return token
    return None


def _object_of(tokens: list[str], at: int) -> frozenset[str]:
    """Return the roots of what is taken away: "revoked the legal immunity of", "stripped him of his posts"."""
    start = at + 1
    if root(tokens[at]) in _TAKING_FROM:
        near = tokens[start : start + _REACH]
        start = start + near.index("of") + 1 if "of" in near else len(tokens)
    return frozenset(
        root(token) for token in tokens[start : end_of(tokens, start, PHRASE_END)] if carries_meaning(token)
    )
