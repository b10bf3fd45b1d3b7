"""How much of a sentence others have in their own words, and whether a number was moved from one statement to another.

Compares words by their roots, and names in any spelling.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from rag.gate.rules.quantities import Amount, Date, Quantity, missing, quantities, wording
from rag.gate.rules.speakers import SPEECH
from rag.text.names import FUNCTION_WORDS, TITLES_IN_SHORT, is_plain
from rag.text.spelling import is_spelling_of
from rag.text.words import STOPWORDS, fold, stemmer, words

_MIN_FAMILY_CHARS = 5  # that words of one family share at the beginning: "dismissal", "dismissed"
_MAX_FAMILY_END = 5  # that may follow them: "govern", "government"
_MOVED_BY = 1  # word that a clause with another number must share beyond those that the clauses with this one share
_MAX_CLAUSE_CHARS = 500  # of what says one thing with numbers; a longer stretch says nothing that can be told
CLAUSE_END = re.compile(
    r",\s(?!\d{4}\b)|[;:()—–]\s|[.!?]\s(?=[A-Z“\"])|\s(?:and(?!\s[A-Z])|but|while|although|whereas)\s"
)
_SHORT = re.compile(rf"\b(?:{'|'.join(TITLES_IN_SHORT)})\b")
_SENTENCE_END = re.compile(r"[.!?]\s$")
IRREGULAR = {
    form: verb
    for verb, forms in {
        "take": "took taken", "meet": "met", "give": "gave given", "win": "won", "hold": "held", "say": "said",
        "tell": "told", "make": "made", "leave": "left", "keep": "kept", "begin": "began begun", "rise": "rose risen",
        "see": "saw seen", "know": "knew known", "come": "came", "go": "went gone", "speak": "spoke spoken",
        "lead": "led", "find": "found", "think": "thought", "bring": "brought", "buy": "bought", "sell": "sold",
        "write": "wrote written", "fall": "fell fallen", "grow": "grew grown", "choose": "chose chosen", "send": "sent",
        "become": "became", "build": "built", "lose": "lost", "pay": "paid", "feel": "felt", "fly": "flew flown",
        "flee": "fled", "break": "broke broken", "draw": "drew drawn", "show": "shown", "fight": "fought",
        "mean": "meant", "sit": "sat", "stand": "stood", "understand": "understood", "hear": "heard", "run": "ran",
    }.items()
    for form in forms.split()
}  # fmt: skip


def root(word: str) -> str:
    """Return the stem of a word, that of the infinitive for irregular verbs: "met" and "meeting" are one."""
    folded = fold(word)
    return str(stemmer().stemWord(IRREGULAR.get(folded, folded)))


def overlap(text: str, source: str, *, names: Collection[str] = ()) -> float:
    """Return the share of what a sentence says that the source has in its own words, in [0, 1].

    Counted are words of meaning, by their families, and quantities; not the given names, since whom a sentence is about
    says little about what it says, and not words of speech. A sentence without any has 0.
    """
    there, known = _roots(source), quantities(source)
    wanted = _roots(text) - {root(name) for name in names} - SPEECH
    said = quantities(text)
    n_there = sum(any(_is_family(word, other) for other in there) for word in wanted)
    n_there += sum(not missing([quantity], known) for quantity in said)
    return n_there / (len(wanted) + len(said)) if wanted or said else 0.0


def n_shared(text: str, source: str) -> int:
    """Return how many words of meaning the two share."""
    there = _roots(source)
    return sum(any(_is_family(word, other) for other in there) for word in _roots(text))


def moved(text: str, source: str) -> Quantity | None:
    """Return a number that the source has, but says of something else: "parliament's term ends in 2029".

    That is so where what the sentence says beside the number is said in a clause with another number of the same kind,
    by two words more than in any with this one. None where nothing tells.
    """
    clauses = list(dict.fromkeys(_clauses(source)))
    for clause, numbers in dict.fromkeys(_clauses(text)):
        for number in numbers:
            own = [_n_alike(clause, other, besides=number) for other, have in clauses if _has(have, number)]
            rival = [
                _n_alike(clause, other, besides=number)
                for other, have in clauses
                if not _has(have, number) and _rivals(number, have)
            ]
            if own and max(rival, default=0) >= max(own) + _MOVED_BY:
                return number
    return None


def _clauses(text: str) -> Iterator[tuple[str, frozenset[Quantity]]]:
    """Yield stretches of a text that each say one thing with numbers: cut between clauses that both have some."""
    clause, start, has_number = "", 0, False
    for end in [*(match.end() for match in CLAUSE_END.finditer(text)), len(text)]:
        piece = text[start:end]
        start, is_number = end, bool(quantities(piece))
        if len(clause) > _MAX_CLAUSE_CHARS:
            clause, has_number = "", False
        elif has_number and (is_number or _SENTENCE_END.search(clause)) and _roots(clause):
            yield clause, quantities(clause)
            clause, has_number = "", False
        clause += piece
        has_number = has_number or is_number
    if has_number and _roots(clause):
        yield clause, quantities(clause)


def _n_alike(clause: str, other: str, *, besides: Quantity) -> int:
    return n_shared(clause, other) + len((quantities(clause) & quantities(other)) - {besides})


def _has(numbers: frozenset[Quantity], number: Quantity) -> bool:
    """Whether a number is among others; a day there may have its year before."""
    if isinstance(number, Date) and number.day and any(isinstance(n, Date) and n.year is None for n in numbers):
        number = replace(number, year=None)
    return not missing([number], numbers)


def _rivals(number: Quantity, others: frozenset[Quantity]) -> bool:
    return any(_kind(number) == _kind(other) for other in others)


def _kind(number: Quantity) -> str:
    if not isinstance(number, Amount):
        return "date"
    is_year = not number.unit and len(number.value) == 4 and number.value[:2] in {"18", "19", "20"}
    return "date" if is_year else number.unit or "count"


@lru_cache(maxsize=1024)
def _roots(text: str) -> frozenset[str]:
    text = _SHORT.sub(lambda match: TITLES_IN_SHORT[match.group()], wording(text))
    counted = (w for w in words(text) if w.folded not in STOPWORDS and w.folded not in FUNCTION_WORDS)
    return frozenset(
        root(w.text) for w in counted if w.text[0].isalpha() and not (is_plain(w.text) and w.text[0].isupper())
    )


@lru_cache(maxsize=65536)
def _is_family(one: str, other: str) -> bool:
    if is_spelling_of(one, other):
        return True
    n_common = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return n_common >= _MIN_FAMILY_CHARS and max(len(one), len(other)) - n_common <= _MAX_FAMILY_END


def most_shared(text: str, sources: Sequence[str]) -> list[int]:
    """Return the numbers of the sources, those that share most words and numbers with the text first."""
    said = quantities(text)
    scores = [n_shared(text, source) + 2 * len(said & quantities(source)) for source in sources]
    return sorted(range(len(sources)), key=lambda i: -scores[i])
