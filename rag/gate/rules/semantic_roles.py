"""Who does what to whom: names before and behind the verbs that two sentences share.

A name before a verb acts, one behind it is acted upon, and "by" turns it round, behind "was" or without it ("Alpha,
bought by Beta").
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.gate.rules.shared_words import IRREGULAR, root
from rag.text.names import AUXILIARIES, BE, FUNCTION_WORDS, PREPOSITIONS, TOKEN, is_plain
from rag.text.spelling import is_spelling_of
from rag.text.words import STOPWORDS, fold

_CLAUSE_ENDS = frozenset(".;:?!()“”") | {"while", "but", "whereas"}
_MUTUAL = frozenset(map(root, "meet marry join resemble".split()))  # what one does, the other does as well
_MUTUALLY = frozenset("with between and".split())  # "held talks with": likewise
_OBJECTS = frozenset("him her them".split())
_UNCHANGED = frozenset("shut cut put set hit let beat hurt read spread".split())  # their past is as their present
_SUBJECTS = frozenset("who which that he she it they we you i".split())  # before a verb, beside names
_REACH = 4  # words behind a verb in which "with" makes it mutual
_SIDE = 60  # words on either side of a verb in which names are looked for: no clause is as long


@dataclass(frozen=True, slots=True)
class Deed:
    """A verb, by its root, the name that acts, and those that are acted upon; ``on_pronoun``: so is "him"."""

    verb: str
    actor: str
    others: tuple[str, ...]
    on_pronoun: bool


def turned(text: str, source: str) -> str | None:
    """Return a name that acts in a text and is acted upon in its source: "A invited B", of "B invited A".

    So it is also where the source says "B invited him" of one who is named before it. None where nothing tells.
    """
    theirs = list(dict.fromkeys(_deeds(source, strict=False)))
    for ours in dict.fromkeys(_deeds(text, strict=True)):
        same = [deed for deed in theirs if deed.verb == ours.verb]
        if any(_is_in(ours.actor, [deed.actor]) for deed in same):
            continue
        for deed in same:
            is_turned = _is_in(ours.actor, deed.others) or deed.on_pronoun
            if is_turned and _is_in(deed.actor, ours.others):
                return ours.actor
    return None


def _deeds(text: str, *, strict: bool) -> Iterator[Deed]:
    """Yield what is done in a text. strict: only by names that stand beside their verb."""
    tokens = TOKEN.findall(text)
    names = {at for at, token in enumerate(tokens) if token[0].isupper() and len(token) > 1 and not is_plain(token)}
    for at, token in enumerate(tokens):
        if at in names or not _is_verb(token) or _is_mutual(tokens, at):
            continue
        actors, others = _sides(tokens, names, at, strict=strict)
        on_pronoun = at + 1 < len(tokens) and tokens[at + 1] in _OBJECTS
        for actor in actors:
            yield Deed(root(token), tokens[actor], tuple(tokens[i] for i in others), on_pronoun)


def _sides(tokens: Sequence[str], names: set[int], at: int, *, strict: bool) -> tuple[list[int], list[int]]:
    """Return the name that acts by the verb at a place, if there is one, and those that are acted upon."""
    ends = _CLAUSE_ENDS | {","} if strict else _CLAUSE_ENDS  # "as Alpha sees it, Beta …": Alpha does not see Beta
    first, last = max(0, at - _SIDE), min(len(tokens), at + _SIDE)
    start = next((i + 1 for i in reversed(range(first, at)) if tokens[i] in _CLAUSE_ENDS), first)
    end = next((i for i in range(at + 1, last) if tokens[i].casefold() in ends), last)
    before = [i for i in range(start, at) if i in names]
    behind = [i for i in range(at + 1, end) if i in names]
    by = next((i for i in range(at + 1, end) if tokens[i] == "by"), None)
    if by is not None and (BE & _folded(tokens[max(0, at - 3) : at]) or _is_reduced(tokens, names, at, by=by)):
        return [i for i in behind if i > by][:1], [*before, *(i for i in behind if i < by)]
    if tokens[at].endswith("ing") and tokens[at - 1 : at] == [","]:
        return before[:1], behind  # "Alpha resigned, leaving Beta": the subject of the sentence acts
    return [i for i in before if not strict or _is_beside(tokens, i, at)][-1:], behind


def _is_verb(token: str) -> bool:
    folded = fold(token)
    if folded in STOPWORDS or folded in FUNCTION_WORDS or not folded.isalpha():
        return False
    return folded.endswith(("ed", "s", "ing")) or folded in IRREGULAR or folded in _UNCHANGED


def _is_reduced(tokens: Sequence[str], names: set[int], at: int, *, by: int) -> bool:
    """Whether a verb is a passive without "was": "Alpha, bought in 2012 by Beta", but not "Alpha ended it by force"."""
    before, between = tokens[at - 1].casefold() if at else "", tokens[at + 1 : by]
    if (
        any(i in names and _is_beside(tokens, i, at) for i in range(max(0, at - _SIDE), at))
        or before in _SUBJECTS | AUXILIARIES
        or tokens[at].endswith(("s", "ing"))
    ):
        return False
    return not between or between[0].casefold() in PREPOSITIONS or between[0].endswith("ly")


def _folded(tokens: Sequence[str]) -> set[str]:
    return {token.casefold() for token in tokens}


def _is_mutual(tokens: Sequence[str], at: int) -> bool:
    behind = tokens[at + 1 : at + 1 + _REACH]
    return root(tokens[at]) in _MUTUAL or bool(_MUTUALLY & set(behind[:2])) or "with" in behind


def _is_beside(tokens: Sequence[str], actor: int, verb: int) -> bool:
    between = [word.casefold() for word in tokens[actor + 1 : verb]]
    return all(word in AUXILIARIES | {"been"} or word.endswith("ly") for word in between)


def _is_in(name: str, others: Sequence[str]) -> bool:
    return any(is_spelling_of(fold(name), fold(other)) for other in others)
