"""Turn a follow-up question into one that stands alone, by rules of English and without a model.

A ``NameLexicon`` says what is a name and what kind it is. The file is longer than most because its rules share one
small grammar of phrases.

Each rule fills one gap in the question (a pronoun, an ellipsis) from earlier turns. ``condense`` applies rules until
none changes anything and accepts only such a result, so condensing again changes nothing.
"""

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Literal

from rag.text.names import (
    AUXILIARIES,
    CALENDAR,
    FUNCTION_WORDS,
    MAX_NAME_WORDS,
    PREPOSITIONS,
    QUESTION_WORDS,
    TITLES,
    TOKEN,
    Kind,
    NameLexicon,
    is_plain,
    name_runs,
    opens_sentence,
)
from rag.values import History

MAX_TURNS = 6  # earlier turns to read; users rarely refer further back
MAX_FOLLOW_UP_CHARS = 500  # a longer question brings its own context
MAX_CARRIED_CHARS = 300  # total carried text; more would drown the question in the embedding
MAX_ASKED_CHARS = 250  # read of each earlier question, short enough to carry whole
MAX_TOLD_CHARS = 2000  # read of each answer; names that matter come early
MAX_STEPS = 6  # gaps to fill in one question


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A name, a noun phrase ("thing") or several of them ("group"): the text to carry and where it was read."""

    text: str
    start: int
    end: int
    kind: Kind | Literal["thing", "group"]

    @property
    def last_word(self) -> str:
        """The casefolded last word, so that "Vladimir Putin" and "putin" match."""
        return self.text.split()[-1].casefold()


@dataclass(frozen=True, slots=True)
class _Turn:
    """An earlier turn: its standalone question, the phrases in it, and the phrases of question and answer."""

    question: str
    asked: tuple[_Phrase, ...]
    phrases: tuple[_Phrase, ...]


Turns = tuple[_Turn, ...]  # oldest first; rules always get at least one
Rule = Callable[[str, Turns, NameLexicon], str | None]

# What a pronoun may stand for. Each tier is tried over the whole history; within a turn, its kinds go in order.
_AGREES = {
    **dict.fromkeys(("he", "she", "him", "her", "his"), (("person",), ("other",))),
    **dict.fromkeys(("they", "them", "their"), (("group",),)),
    "it": (("thing", "place", "other"),),
    "its": (("place", "other"), ("thing",)),
    "there": (("place",),),
}
_OWNS = {"his": {"person", "other"}, "her": {"person", "other"}, "its": {"place", "other"}}
_CLAUSE_MARKS = QUESTION_WORDS | frozenset("that if whether because while although and but , ; : . ? !".split())
_EMPTY_HEADS = frozenset("name reason way time number kind part year month date".split())  # "the name": of what?
# A question that has only these and function words has no topic of its own.
_NO_TOPIC = FUNCTION_WORDS | frozenset("sure true details elaborate seriously continue mean happen happened go".split())

_AUX = "|".join(sorted(AUXILIARIES))
_ADVERB = r"(?:since|until) when|how (?:long|often)|when|where|why|how"
_LEAD = re.compile(r"(?i)^\s*(?:(?:and|but|so|or|ok|well)\b[,\s]*)*(?:(?:what|how) (?:about|of)\s+)?(?=\W*\w)")
_BARE = re.compile(
    rf"(?P<wh>{_ADVERB}|(?:\w+ )?how (?:much|many)|(?:\w+ )?(?:who|whom|what|which))(?: exactly)?"
    r"(?: (?:is|was) (?:that|this)| (?:did|does|do) (?:he|she|they|it|that|this) (?:happen|do (?:it|that|this|so)))?"
)
_CLAUSE = re.compile(rf"(?i)(?:(?:{_ADVERB})\s+)?(?P<clause>(?:{_AUX})\s.+)")
# "Is it true that …?", "Are there talks?", unlike "Who was there?"
_EXPLETIVE = re.compile(
    r"(?i)\bit (?:true|possible|likely|clear|known|important|take|seem)\b"
    rf"|\bthere(?:['’]s| (?:{_AUX}))\b|\b(?:{_AUX}) there \w"
)
# "Is this true?", "And after that?", "Where was the one before?", unlike "said that …", "this year", "the one that …";
# "Who else is bidding?", "How did Astana react?"
_POINTS_BACK = re.compile(
    r"(?i)\b(?:that|the same|next|then|too|as well)\W*$|\bhow (?:\w+ ){2,5}(?:answer|react|respond|reply)\W*$"
    r"|\b(?:who|what|where|how|which \w+|(?:some|any)(?:body|one|thing)) else\b(?!.*\b(?:than|but|besides|except)\b)"
    r"|\b(?:(?:the|that|which) (?:one|other)s?|same (?:one|question|thing))\b(?! (?:of|that|who|in which|hand|day)\b)"
    rf"|(?:\b(?:this|these|those)|(?:^|\b(?:{_AUX}|after|about|of) )that)\b"
    r"(?! (?:year|month|week|quarter|century|report|paper|documents?|articles?|text|file)\b)"
)
_MONTHS = "|".join(word.capitalize() for word in sorted(CALENDAR, reverse=True))
_TIME = re.compile(
    r"\b(?:(?P<prep>(?i:in|on|since|before|after|until|by|during|for)) )?"
    rf"(?:(?P<part>[Qq][1-4]|(?:{_MONTHS})(?: \d{{1,2}})?)(?P<year>,? (?:1[5-9]|20)\d\d)?"
    r"|(?P<bare>(?:(?i:early|late|mid)[ -])?(?:1[5-9]|20)\d\d))\b"
)


def condense(question: str, history: History, *, names: NameLexicon) -> str:
    """Rewrite a question so that it can be understood without the earlier turns.

    history: earlier turns, oldest first. The last ``MAX_TURNS`` are read, and each of their questions is condensed over
    the turns before it. Markers such as "[1]" in them are ignored.
    Returns the question unchanged, byte for byte, if it already stands alone or the history is empty; otherwise adds at
    most ``MAX_CARRIED_CHARS`` characters. Blank only for a blank question.
    ``condense(condense(q, h), h) == condense(q, h)``. Raises nothing.
    """
    turns: Turns = ()
    for asked, told in history[-MAX_TURNS:]:
        if standalone := _walk(_clean(asked, MAX_ASKED_CHARS), turns, names):
            turns = (*turns, _turn(standalone, _clean(told, MAX_TOLD_CHARS), names))
    return _walk(question, turns, names)


def _walk(question: str, turns: Turns, names: NameLexicon) -> str:
    """Apply rules until none changes anything; drop a rewrite that grows too long or does not settle."""
    if not turns or len(question) > MAX_FOLLOW_UP_CHARS:
        return question
    current = question
    for _ in range(MAX_STEPS):
        rewrites = (rule(current, turns, names) for rule in _RULES)
        following = None if _carries(current, turns[-1].question) else next(filter(None, rewrites), None)
        if following is None or following == current:
            return current if len(current) <= len(question) + MAX_CARRIED_CHARS else question
        current = following[:1].upper() + following[1:]
    return question


def _question_word(question: str, turns: Turns, _names: NameLexicon) -> str | None:
    """Complete "Why?", "And since when?", "When was that?", "By whom?" with the previous question.

    "Did he go?" gives "Why did he go?"; a question that cannot take the word in front gets ", and why?" appended.
    """
    last = turns[-1].question
    bare = _BARE.fullmatch(" ".join(_LEAD.sub("", question).casefold().strip(" ?!.…").split()))
    if bare is None:
        return None
    clause = _CLAUSE.fullmatch(last)
    if clause is None or not re.fullmatch(_ADVERB, bare["wh"]):
        return f"{_stem(last)}, and {bare['wh']}?"
    return _as_question(f"{bare['wh']} {clause['clause'][0].lower()}{clause['clause'][1:]}")


def _pronoun(question: str, turns: Turns, names: NameLexicon) -> str | None:
    """Replace the first pronoun that the question itself does not explain with a phrase from earlier turns."""
    tokens, words = _tokens(question)
    for at in _loose_pronouns(question, names):
        before = words[at - 1] if at else ""
        phrase = _antecedent(words[at], words, turns)
        if phrase is None or (words[at] == "it" and before in {"say", "said", "do", "think"}):
            continue  # "say it" refers to no thing
        text = f"in {phrase.text}" if words[at] == "there" and before not in PREPOSITIONS else phrase.text
        text += "'s" if _is_possessive(words, at) else ""
        replaced = question[: tokens[at].start()] + text + question[tokens[at].end() :]
        # Keep "And his family?" elliptical for the exchange rule, which runs next.
        return _LEAD.sub("", replaced) if AUXILIARIES.intersection(words) else replaced
    return None


def _exchange(question: str, turns: Turns, names: NameLexicon) -> str | None:
    """Rewrite "What about B?", "And in 2022?", "Moscow?" as the previous question with that part exchanged."""
    rest = _LEAD.sub("", question)
    part = rest.strip(" ?!.…")
    words = part.casefold().split()
    is_time, is_led = _TIME.fullmatch(part) is not None, rest != question.lstrip()
    is_clause = not is_time and not (QUESTION_WORDS | AUXILIARIES).isdisjoint(words)
    if is_clause or not 0 < len(words) <= MAX_NAME_WORDS + 1:
        return None
    if not is_led and not (question.rstrip().endswith("?") and (is_time or names.is_name(words[-1]))):
        return None
    for swap in (_swap_time, _swap_object, _swap_name):
        if swapped := swap(part, turns[-1], names):
            return _as_question(swapped)
    return f"{rest.strip()} ({turns[-1].question})" if is_led else None


def _whole(question: str, turns: Turns, names: NameLexicon) -> str | None:
    """Append the previous question in brackets if this one points back ("Is this true?") or has no topic ("Really?").

    An unresolved pronoun points back too.
    """
    words = [word for word in _tokens(question)[1] if word[0].isalnum()]
    has_topic = not _NO_TOPIC.issuperset(words) and (len(words) > 2 or words[0] not in AUXILIARIES)  # "Did Putin?"
    if words and (not has_topic or _POINTS_BACK.search(question) or _loose_pronouns(question, names)):
        return f"{_LEAD.sub('', question).strip()} ({turns[-1].question})"
    return None


# Whole-question patterns come before single words, and a pronoun before the exchange it may be part of ("What about
# his …?"). The whole previous question comes last, when nothing smaller fits.
_RULES: tuple[Rule, ...] = (_question_word, _pronoun, _exchange, _whole)


def _swap_time(part: str, last: _Turn, _names: NameLexicon) -> str | None:
    """Exchange the last time in the question, else append it; "And in Q3?" after "in Q2 2023" keeps the year."""
    new, old = _TIME.fullmatch(part), next(reversed(list(_TIME.finditer(last.question))), None)
    if new is None:
        return None
    if old is None:
        return f"{_stem(last.question)} {part if new['prep'] else f'in {part}'}"
    preposition = (new["prep"] or old["prep"] or "").lower()
    year = "" if new["bare"] or new["year"] else old["year"] or (f" {old['bare']}" if old["bare"] else "")
    time = part.removeprefix(new["prep"] or "").strip()
    return f"{last.question[: old.start()]}{preposition} {time}{year}{last.question[old.end() :]}"


def _swap_object(part: str, last: _Turn, _names: NameLexicon) -> str | None:
    """Exchange what follows the same preposition, else append the part."""
    preposition, _, rest = part.partition(" ")
    if preposition.casefold() not in PREPOSITIONS or not rest:
        return None
    for old in last.asked:
        if last.question[: old.start].casefold().endswith(f" {preposition.casefold()} "):
            return last.question[: old.start] + rest + last.question[old.end :]
    return f"{_stem(last.question)} {preposition.lower()} {rest}"


def _swap_name(part: str, last: _Turn, names: NameLexicon) -> str | None:
    """Exchange the first name of the same kind, else one where either kind is "other"."""
    # The filler "about" keeps the capital from being ignored as the start of a sentence.
    new = next(iter(_names_in(f"about {part.removeprefix('the ')}", names)), None)
    named = [phrase for phrase in last.asked if phrase.kind not in {"thing", "group"}]
    if new is None or new.text != part.removeprefix("the ") or new.last_word in {old.last_word for old in named}:
        return None
    same = [old for old in named if old.kind == new.kind] or [old for old in named if "other" in {old.kind, new.kind}]
    return next((last.question[: old.start] + part + last.question[old.end :] for old in same), None)


def _loose_pronouns(question: str, names: NameLexicon) -> list[int]:
    """Return the positions of pronouns that cannot refer to anything earlier in the question itself."""
    tokens, words = _tokens(question)
    if (QUESTION_WORDS | AUXILIARIES | PREPOSITIONS | {"and"}).isdisjoint(words):
        return []  # "he" is a verb in Spanish, "her" an adverb in German
    phrases = _phrases_in(question, names)
    expletive = {"it", "there"} if _EXPLETIVE.search(question) else set()
    pronouns = [at for at, word in enumerate(words) if word in _AGREES and word not in expletive]
    return [at for at in pronouns if not _is_bound(question[: tokens[at].start()], words, at, phrases)]


def _is_bound(before: str, words: Sequence[str], at: int, phrases: Sequence[_Phrase]) -> bool:
    """Return whether the pronoun can refer to a phrase in the text before it.

    An object cannot refer to the subject of its own clause ("What did A tell him?"): a clause must begin in between.
    """
    kinds = {kind for tier in _AGREES[words[at]] for kind in tier}
    if words[at - 1] == "of":  # "the purpose of its visit": "its" is not the purpose
        kinds.discard("thing")
    ends = [phrase.end for phrase in phrases if phrase.kind in kinds and phrase.end <= len(before)]
    if not ends:  # "Do analysts say they …?"
        plural = any(_is_plural(noun) and lead not in {"who", "what"} for lead, noun in pairwise(words[:at]))
        return plural and words[at] in {"they", "their"}
    is_object = words[at] in {"him", "her", "them", "it"} and not _is_possessive(words, at)
    if not is_object or AUXILIARIES.issuperset(words[at + 1 : at + 2] or ["?"]):
        return True
    return not _CLAUSE_MARKS.isdisjoint(TOKEN.findall(before[max(ends) :].casefold()))


def _is_possessive(words: Sequence[str], at: int) -> bool:
    """Return whether the pronoun is possessive; "her" may also be an object."""
    owns = words[at] == "her" and any(map(_is_content, words[at + 1 : at + 2]))
    return owns or words[at] in {"his", "their", "its"}


def _antecedent(pronoun: str, words: Sequence[str], turns: Turns) -> _Phrase | None:
    """Return the first phrase that agrees with the pronoun, latest turn first, skipping names in the question."""
    for tier in _AGREES[pronoun]:
        for turn in reversed(turns):
            # Answers are whole document sentences, full of things that nobody asked about.
            phrases = turn.asked if pronoun in {"it", "its"} else turn.phrases
            fitting = [p for kind in tier for p in phrases if p.kind == kind and p.last_word not in words]
            if fitting:
                return fitting[0]
    return None


def _turn(question: str, answer: str, names: NameLexicon) -> _Turn:
    """Parse a turn. "Who …?" asks for a name that only the answer gives, so new names come first."""
    asked, told = tuple(_phrases_in(question, names)), tuple(_phrases_in(answer, names))
    known = {phrase.last_word for phrase in asked}
    news = tuple(phrase for phrase in told if phrase.last_word not in known)
    asks_for_name = re.match(r"(?i)(?:who|whom|which)\b", question)
    return _Turn(question, asked, (*news, *asked) if asks_for_name else (*asked, *told))


def _phrases_in(text: str, names: NameLexicon) -> list[_Phrase]:
    """Return names, things, and "A and B" for adjacent names and the first two persons, in text order."""
    named = _names_in(text, names)
    persons = list({name.last_word: name for name in named if name.kind == "person"}.values())
    pairs = [pair for pair in pairwise(named) if text[pair[0].end : pair[1].start].strip() == "and"]
    for a, b in [*pairs, *list(pairwise(persons))[:1]]:
        named.append(_Phrase(f"{a.text} and {b.text}", a.start, b.end, "group"))
    return sorted([*named, *_things_in(text, named)], key=lambda phrase: (phrase.start, -phrase.end))


def _names_in(text: str, names: NameLexicon) -> list[_Phrase]:
    """Return the names of a text in order."""
    tokens, _ = _tokens(text)
    words = [token.group() for token in tokens]
    flags = [_is_name(words, at, names) for at in range(len(words))]
    spans = [(tokens[first].start(), tokens[end - 1].end()) for first, end in name_runs(flags)]
    return [_Phrase(text[start:end], start, end, names.kind(text[start:end])) for start, end in spans]


def _is_name(words: Sequence[str], at: int, names: NameLexicon) -> bool:
    """Return whether a word is (part of) a name.

    A capital inside a sentence is enough; at the start, the lexicon must agree. A lower-case word counts if the lexicon
    knows its kind. "Bank of England" is one name, "Tokayev of Kazakhstan" is two.
    """
    word = words[at]
    if word == "of" and 0 < at < len(words) - 1 and names.kind(words[at - 1]) == "other":
        return all(words[beside][0].isupper() and _is_name(words, beside, names) for beside in (at - 1, at + 1))
    if is_plain(word) or not word[0].isalpha():
        return False
    if word[0].isupper():
        return not opens_sentence(words, at) or names.is_name(word)
    return names.is_name(word) and names.kind(word) != "other"


def _things_in(text: str, named: Sequence[_Phrase]) -> Iterator[_Phrase]:
    """Yield things: "the joint declaration", "A's policy", "his posts" (as A's), "the meeting between A and B"."""
    tokens, words = _tokens(text)
    owners = {name.end: name.start for name in named}
    for at, word in enumerate(words):
        start = owners.get(tokens[at].start()) if word in {"'s", "’s"} else tokens[at].start()
        if start is None or word not in {"the", "a", "an", "'s", "’s", *_OWNS}:
            continue
        owner = next((n.text for n in reversed(named) if n.end <= start and n.kind in _OWNS.get(word, ())), None)
        if word in _OWNS and owner is None:
            continue
        nouns = list(takewhile(_is_content, words[at + 1 : at + 5]))
        copular = words[0] in {"what", "who", "which"} and words[at - 1] in {"is", "are", "was", "were"}
        if len(nouns) > 1 and words[at - 1] in AUXILIARIES and not copular:
            nouns.pop()
        if nouns and nouns[-1] not in _EMPTY_HEADS | TITLES:
            first, end = tokens[at + 1].start(), tokens[at + len(nouns)].end()
            end = max([end, *(name.end for name in named if name.start == first and name.kind != "group")])
            link = re.match(r" (?:of|between|with|on) (?:the )?", text[end:])
            end = next((name.end for name in reversed(named) if link and name.start == end + link.end()), end)
            carried = f"{owner}'s {text[first:end]}" if owner else re.sub(r"(?i)^an? ", "the ", text[start:end])
            yield _Phrase(carried, start, end, "group" if _is_plural(nouns[-1]) else "thing")


def _tokens(text: str) -> tuple[list[re.Match[str]], list[str]]:
    tokens = list(TOKEN.finditer(text))
    return tokens, [token.group().casefold() for token in tokens]


def _is_content(word: str) -> bool:
    return word[0].isalnum() and word not in FUNCTION_WORDS


def _is_plural(word: str) -> bool:
    return len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is"))


def _stem(question: str) -> str:
    return question.rstrip(" ?!.…")


def _as_question(text: str) -> str:
    """End a text with one question mark, unless it ends with the brackets of ``_whole``."""
    return _stem(text) if text.endswith(")") else f"{_stem(text)}?"


def _carries(question: str, last: str) -> bool:
    """Return whether the question already contains the previous one; one or two words may match by chance."""
    return question.endswith(("?)", f"({last})")) or (last.count(" ") > 1 and _stem(last) in question)


def _clean(text: str, max_chars: int) -> str:
    """Return the start of an earlier turn on one line, cut between words, without footnote markers."""
    return textwrap.shorten(re.sub(r"\s?\[\d+\]", "", text[: 2 * max_chars]), max_chars, placeholder="")
