"""What a text denies, by its words: "not", "no", "without", "un-", and how far each of them reaches."""

import re
from collections.abc import Collection, Sequence

from rag.gate.rules.shared_words import root
from rag.text.names import FUNCTION_WORDS, PREPOSITIONS, TOKEN
from rag.text.words import STOPWORDS

CUES = frozenset("not never no none neither nor without cannot hardly scarcely unless".split())
_OF_SUBJECTS = frozenset("none neither nor".split())  # "none of the contacts was noted" does not deny the contacts
_CUE_PHRASES = re.compile(r"\b(?:rather\sthan|instead\sof|as\sopposed\sto)\b", re.IGNORECASE)
_SHORT = re.compile(r"n['’]t\b", re.IGNORECASE)  # "doesn't"
_RAISING = frozenset("expect believ think want seem intend plan suppos".split())  # "expects no X": "does not expect X"
_JUDGING = frozenset("consid regard".split())  # "does not consider it realistic"
_HEDGES = frozenset("only just merely simply necessarily".split())  # "not only" denies nothing
_PASSED_OVER = frozenset("longer even yet quite really been being be have has had do does did".split())
_MARKS = frozenset(',;:.!?()–—"“”')
CLAUSE_END = _MARKS | frozenset("but while although because that which who and or than".split())
PHRASE_END = CLAUSE_END | PREPOSITIONS
BEFORE_VERBS = frozenset("to will would can could may might must should did does do not".split())
# What makes a word its denial: "un-" and "non-" nearly any; "in-" an adjective, not "informed"; "dis-" few.
_PREFIX = re.compile(
    r"(?:non|un)-(?=\w)|un(?=\w{4})|non(?=\w{5})"
    r"|(?!independen|indifferen|invaluabl|inhabit|inflamm|immigra|implant|incorporat|instat)i[nmrl]"
    r"(?=(?:\w{2,}(?:[ai]ble|al|ive|ate|ent|ant|ect|ete|ous|ar|[ao]ry|ity|acy|ly)|proper|pure|secure|precise|mature)$"
    r")(?=\w{5})"
    r"|dis(?=agree|allow|appear|approv|advantag|believ|comfort|connect|content|continu|engag|honest|like|loyal|obe[dy]"
    r"|pleas|prov|qualif|respect|satisf|similar|trust|unit)"
)
_HYPHENS = str.maketrans("‐‑", "--")
_DOUBTS = frozenset("doubt doubts doubted doubtful unlikely disbelieves".split())
# Words that deny by their meaning: beside one of them, a missing "not" proves nothing.
_DENYING = frozenset("lack refus deni fail reject exclud avoid prevent ceas unlik".split())
_MIN_UNBELIEVED = 2  # words that a statement shares with what its source does not believe


def contradicts(text: str, source: str) -> str | None:
    """Return the word that one of the two denies and the other affirms; None where nothing tells.

    A sentence that denies twice, denies something else, or denies in other words, contradicts nothing here.
    """
    said_no, said_yes = _polarity(text)
    source_no, source_yes = _polarity(source)
    disbelieved = _unbelieved(source)
    source_yes -= disbelieved
    # What either says both ways is no contradiction: "did not resign in May, resigned in June".
    flipped = (said_no - said_yes) & (source_yes - source_no)
    reverse = (source_no - source_yes) & (said_yes - said_no)
    # Where one denies by a word's meaning, as "lacks" does, the other needs a "not": only that word may be flipped.
    flipped = flipped & _DENYING if source_yes & _DENYING else flipped
    reverse = reverse & _DENYING if said_yes & _DENYING else reverse
    if said_no and source_no and _RAISING & (flipped | reverse):
        return None  # both deny the same
    unbelieved = disbelieved & said_yes
    if not (CUES | _DOUBTS) & set(folded_tokens(text)) and len(unbelieved) >= _MIN_UNBELIEVED:
        return min(unbelieved)
    return min(flipped | reverse, default=None)


def _unbelieved(text: str) -> frozenset[str]:
    """Return the roots of what a text says somebody does not believe, "I do not believe that …", up to a mark."""
    tokens = folded_tokens(text)
    found: set[str] = set()
    end = 0  # of what was taken up already: a second verb before it says the same of less
    for at, token in enumerate(tokens):
        if at >= end and root(token) in _RAISING | _JUDGING and CUES & set(tokens[max(0, at - 2) : at]):
            end = end_of(tokens, at + 1, _MARKS)
            found |= {root(word) for word in tokens[at + 1 : end] if carries_meaning(word)}
    return frozenset(found)


def _polarity(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the roots that a text denies and those that it affirms; "unknown" denies "known"."""
    tokens = folded_tokens(text)
    denied, open_to_doubt = _scopes(tokens)
    no: set[str] = set()
    yes: set[str] = set()
    for at, token in enumerate(tokens):
        if token.endswith("ly") and not CUES & set(tokens[max(0, at - 1) : at]):  # never the word that a cue denies
            prefix = _PREFIX.match(token)
            (no if prefix else yes).add(root(token[prefix.end() :] if prefix else token))
        if not carries_meaning(token) or at in open_to_doubt:
            continue
        (no if at in denied else yes).add(root(token))
        if prefix := _PREFIX.match(token):
            (yes if at in denied else no).add(root(token[prefix.end() :]))
    return frozenset(no), frozenset(yes)


def folded_tokens(text: str) -> list[str]:
    """Return the words and marks of a text in lower case, "doesn't" as "does not"."""
    text = _CUE_PHRASES.sub("without", _SHORT.sub(" not", text.translate(_HYPHENS)))
    return [token.casefold() for token in TOKEN.findall(text)]


def in_denial(tokens: Sequence[str]) -> set[int]:
    """Return the places behind each cue, up to the end of its clause."""
    places: set[int] = set()
    end = 0
    for at, token in enumerate(tokens):
        if token in CUES and at >= end:  # the first of a clause reaches as far as the others
            end = end_of(tokens, at + 1)
            places.update(range(at, end))
    return places


def end_of(tokens: Sequence[str], start: int, marks: Collection[str] = CLAUSE_END) -> int:
    """Return the first place from ``start`` on where one of these marks stands, else the end of all."""
    return next((at for at in range(start, len(tokens)) if tokens[at] in marks), len(tokens))


def _scopes(tokens: list[str]) -> tuple[set[int], set[int]]:
    """Return the places of the first word of meaning behind each cue, and of those behind it in its clause.

    The first is denied; the others may be denied with it or not ("not a set of temporary disagreements"), which nothing
    here tells.
    """
    denied: set[int] = set()
    open_to_doubt: set[int] = set()
    is_behind_cue = denies_next = False
    for at, token in enumerate(tokens):
        if token in CLAUSE_END:
            is_behind_cue = denies_next = False
        elif is_behind_cue and carries_meaning(token):
            (denied if denies_next else open_to_doubt).add(at)
            denies_next = False
        if token in CUES and tokens[at + 1 : at + 2] != [] and tokens[at + 1] not in _HEDGES:
            is_behind_cue = True
            denies_next = denies_next or token not in _OF_SUBJECTS
    return denied, open_to_doubt


def carries_meaning(token: str) -> bool:
    """Whether a word says something that can be denied."""
    if token in {"always", "much", "many", "more"}:
        return True
    return token.removeprefix("non-").removeprefix("un-").isalpha() and not (
        token in STOPWORDS or token in FUNCTION_WORDS or token in _PASSED_OVER or token.endswith("ly")
    )
