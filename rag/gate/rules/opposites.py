"""Words of opposite meaning: a sentence has one where its source has the other, "sales rose", of "sales fell".

Two opposites contradict only beside the same word, since "sales rose while costs fell".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.gate.rules.negation import BEFORE_VERBS, carries_meaning, end_of, folded_tokens, in_denial
from rag.gate.rules.shared_words import IRREGULAR, root
from rag.text.names import BE

_REACH = 3  # words of meaning on a side, one of which the two must share
_SIDE = 60  # words on either side in which those of meaning are looked for: no clause is as long


@dataclass(frozen=True, slots=True)
class Opposites:
    """Two families of words, by their roots; ``shared`` tells on which side of them a word must be the same.

    "Alpha sold it to Beta" and "Beta bought it from Alpha" are both true: there it is the word before.
    """

    one: frozenset[str]
    other: frozenset[str]
    shared: str  # "before", "behind" (the next one only) or "beside"


_PAIRS = tuple(
    Opposites(frozenset(map(root, one.split())), frozenset(map(root, other.split())), shared)
    for one, other, shared in (
        ("rise increase grow climb gain jump soar surge expand", "fall decrease decline drop shrink slump", "beside"),
        ("accept approve endorse", "reject", "beside"),
        ("uphold upheld confirm", "overturn overturned", "beside"),
        ("acquit", "convict", "beside"),
        ("profit", "loss", "beside"),
        ("strengthen", "weaken", "beside"),
        ("open", "close shut", "beside"),
        ("hire recruit", "fire dismiss", "beside"),
        ("permit allow legalize", "forbid forbade forbidden ban prohibit", "beside"),
        ("succeed", "fail", "beside"),
        ("join", "leave quit", "beside"),
        ("arrive", "depart leave", "beside"),
        ("early", "late", "behind"),
        ("before", "after", "behind"),
        ("ahead", "behind", "behind"),
        ("more most", "fewer less least", "before"),
        ("many most", "few", "behind"),
        ("higher highest", "lower lowest", "before"),
        ("larger largest bigger biggest", "smaller smallest", "before"),
        ("buy acquire purchase", "sell", "before"),
        ("import", "export", "before"),
        ("win", "lose", "before"),
    )
)
# Of the same root as one of a pair and of another meaning, unless behind "to": "close ties", "a fire", or a noun
# for what may be lifted, "the ban".
_AMBIGUOUS = frozenset(
    "open openly close closely closer fire fires lately ban important importance importantly importer exporter".split()
)
_UNDOING = frozenset(map(root, "fail refuse decline deny resist avoid prevent stop halt cease".split()))


def opposed(text: str, source: str) -> str | None:
    """Return a word of a text beside which its source has the opposite; None where nothing tells.

    Nothing tells where either of the two has words of both sides, or denies the one that it has.
    """
    ours, theirs = folded_tokens(text), folded_tokens(source)
    there = {root(token) for token in {*ours, *theirs}}
    for pair in _PAIRS:
        if not (there & pair.one and there & pair.other):
            continue
        for one, other in ((pair.one, pair.other), (pair.other, pair.one)):
            if _places(theirs, one) or _places(ours, other):
                continue
            known = {word for at in _affirmed(theirs, other, pair) for word in _around(theirs, at, pair.shared)}
            for at in _affirmed(ours, one, pair):
                if known.intersection(_around(ours, at, pair.shared)):
                    return ours[at]
    return None


def _places(tokens: Sequence[str], family: frozenset[str]) -> list[int]:
    """Return where words of a family stand."""
    before = ["", *tokens]
    return [
        at
        for at, token in enumerate(tokens)
        if root(token) in family and before[at] != "at" and (token not in _AMBIGUOUS or before[at] in BEFORE_VERBS)
    ]


def _affirmed(tokens: Sequence[str], family: frozenset[str], pair: Opposites) -> Iterator[int]:
    """Yield where words of a family are neither denied nor undone, nor passive where it matters who acts."""
    denied = in_denial(tokens)
    for at in _places(tokens, family):
        before = tokens[max(0, at - _REACH) : at]
        is_participle = tokens[at].endswith("ed") or tokens[at] in IRREGULAR
        is_passive = pair.shared == "before" and is_participle and BE.intersection(before[-1:])
        if at not in denied and not is_passive and not _UNDOING.intersection(map(root, before)):
            yield at


def _around(tokens: Sequence[str], at: int, side: str) -> list[str]:
    """Return the roots of the nearest words of meaning on a side of a place, in its clause."""
    before, behind = _nearest(tokens[max(0, at - _SIDE) : at][::-1]), _nearest(tokens[at + 1 : at + 1 + _SIDE])
    return {"before": before, "behind": behind[:1]}.get(side, before + behind)


def _nearest(tokens: Sequence[str]) -> list[str]:
    clause = tokens[: end_of(tokens, 0)]
    return [root(token) for token in clause if carries_meaning(token) or token[0].isdigit()][:_REACH]
