"""Who is said to say what: the names before and behind words of speech.

A speaker is whoever stands where speakers stand.
"""

import re
from collections.abc import Iterable, Iterator

from rag.text.names import is_plain
from rag.text.spelling import is_spelling_of
from rag.text.words import SPEECH_VERBS, SPOKE, fold, stemmer

# "States" are mostly countries, and who asks for something may not have said so.
_VERB = (
    r"(?!states\b(?!\sthat\b)|ask\w*\sfor\b)(?:"
    + "|".join([*SPOKE, "replies", "denies", *(rf"{verb.removesuffix('e')}(?:e?s|ing)" for verb in SPEECH_VERBS)])
    + ")"
)
_NOUN = (
    "(?:view|opinion|words|assessment|account|assertion|statement|comment|remark|praise|criticism|claim|warning|"
    "explanation|disclosure|confirmation|announcement)s?"
)
_WORD = r"[^\W\d_][\w’'-]*"
_NAME = r"(?-i:[A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĘĚĞĢİĶŁŃŇŌŐŘŚŠŞŢŤŪŮŰŹŻŽ][\w’'-]+)"
_WHO = rf"(?P<who>{_NAME}(?:\s{_NAME}){{0,3}})"
_BETWEEN = (
    r"(?:,[^,.;]{1,80},)?\s(?:(?:also|has|had|have|was|once|later|then|first|again|in\sturn|[a-z]+ly)[\s,]+){0,3}"
)
_ATTRIBUTIONS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<![\w’'-]){_WHO}{_BETWEEN}(?:continuing\sto\s(?:describe|call|say)|drew\sattention|speaks\sof|spoke\sof|{_VERB}\b(?!\sby\b))",
        rf"\baccording\sto\s(?-i:[a-z]+\s){{0,5}}{_WHO}",
        rf"[,”\"»]\s?{_VERB}\s(?-i:[a-z]+\s){{0,4}}{_WHO}",
        rf"(?<![\w’'-]){_WHO}['’]s?\s{_NOUN}\b",
        rf"\b{_VERB}\s(?-i:[a-z]+\s){{0,2}}by\s(?-i:[a-z]+\s){{0,4}}{_WHO}",
        rf"\bas\s(?-i:[a-z]+\s){{0,3}}{_WHO}\s(?:{_VERB}|puts)\b",
    )
)
_PRONOUN = re.compile(
    rf"(?<![\w’'-])(?:he|she|they){_BETWEEN}{_VERB}\b|[,”\"»]\s?(?:he|she|they)\s{_VERB}\b|\b(?:his|her|their)\s{_NOUN}\b",
    re.IGNORECASE,
)
_DESCRIBED = re.compile(
    rf"(?<![\w’'-])(?:the|an?|his|her)\s(?:{_WORD}\s){{0,3}}{_WORD}{_BETWEEN}{_VERB}\b|[,”\"»]\s?{_VERB}\s(?:the|an?)\s",
    re.IGNORECASE,
)
# Speakers without a name, of whom no named one may be one: "some analysts believe", "according to experts".
_CROWD = re.compile(
    rf"\b(?:some|many|most|several|other|{_WORD}s)\s(?:{_WORD}\s)?(?:{'|'.join(SPEECH_VERBS)})\b"
    rf"|\baccording\sto\s(?:(?:some|many|most|several|other)\s)?(?-i:[a-z]\w+s)\b",
    re.IGNORECASE,
)
_TELLS = re.compile(rf"[“”\"«»„]|\b(?:I|we|me|us|my|our|(?i:{_VERB}|{_NOUN}))\b")
SPEECH = frozenset(stemmer().stemWords([*SPEECH_VERBS, *SPOKE]))  # stems


def speakers(text: str) -> list[str]:
    """Return the surnames, or last words, of those who are said to say something, by place."""
    found: dict[int, str] = {}
    for pattern in _ATTRIBUTIONS:
        for match in pattern.finditer(text):
            if named := [word for word in _bare(match["who"]) if not is_plain(word)]:
                found[match.start("who")] = named[-1]
    return list(dict.fromkeys(found[at] for at in sorted(found)))


def misattributed(
    text: str, source: str, *, before: str, around: str, publishers: str = "", is_quoted: bool = False
) -> str | None:
    """Return whom a sentence has say what the source does not have them say; None if all speak who are said to.

    before: what stands before the source, where "he" may be named. around: the text around it, where one is named who
    says "I" or is only described. publishers: names of those who wrote all of it. is_quoted: whether a quotation that
    began before the source goes on in it. Only then, or where the source quotes, tells of speech or says "I", may one
    named around it speak.
    """
    speaking, he = speakers(source), _pronoun_speaks(source)
    for who in speakers(text):
        if _is_among(who, speaking) or _is_among(who, re.findall(_NAME, publishers)):
            continue
        if he is not None and _is_among(who, speakers(source[:he]) or re.findall(_NAME, before + source[:he])):
            continue
        is_told = not speaking and (is_quoted or _TELLS.search(source))
        is_open = he is None and not _CROWD.search(source) and (is_told or _DESCRIBED.search(source))
        if is_open and _is_among(who, speakers(around)):
            continue
        return who
    return None


def _is_among(who: str, names: Iterable[str]) -> bool:
    return any(is_spelling_of(fold(who), fold(part)) for name in names for part in re.split(r"[-–]", name))


def _pronoun_speaks(text: str) -> int | None:
    """Return where somebody speaks who is a pronoun there, "he said"; None if nobody does."""
    match = _PRONOUN.search(text)
    return match.start() if match else None


def _bare(name: str) -> Iterator[str]:
    for word in name.split():
        yield re.sub(r"['’]s?$", "", word)
