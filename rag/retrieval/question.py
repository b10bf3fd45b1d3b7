"""Check that a text is a usable question, and extract what it asks."""

import re

from rag.text.sentences import sentences
from rag.text.words import words
from rag.values import Span

_GREETINGS = frozenset(
    "hi hello hey hallo hiya greetings morning afternoon evening thanks thank thx cheers bye".split()
)
_COMPANIONS = frozenset(
    "good day night you goodbye welcome please ok okay there everyone all how are today so much".split()
)


def objection(question: str, *, max_chars: int, follows: bool = False) -> str | None:
    """Return why a text cannot be asked of the documents, as a sentence for the user; None if it can.

    follows: whether there are earlier turns, so that a bare year is a question ("2021?").
    """
    if not question.strip():
        return "The question is empty. Ask something about the documents."
    if len(question) > max_chars:
        return (
            f"The question has {len(question):,} characters; {max_chars:,} are read at most. "
            "Ask for one thing at a time, or raise RAG_MAX_QUESTION_CHARS."
        )
    spoken = [word.folded for word in words(question)]
    if not any(character.isalpha() or (follows and character.isdigit()) for word in spoken for character in word):
        return "There is no word in the question. Ask something about the documents in words."
    if not _GREETINGS.isdisjoint(spoken) and (_GREETINGS | _COMPANIONS).issuperset(spoken):
        return "Hello. Ask something about the documents, and the answer will quote them."
    return None


_ASKING = (
    "who whom whose what which when where why how did does do is are was were has have had can could will would should "
    "may might"
).split()
_ASKS = re.compile(
    rf"(?:in|on|at|by|for|from|to|with|of|since|under|until)?\s*(?:{'|'.join(_ASKING)})\b", re.IGNORECASE
)
# Orders or roles addressed to the assistant, irrelevant to any document. A word that may also begin a statement
# ("Act 5 was passed") needs the word after it to match.
_ORDER = re.compile(
    r"(?:please |now |just |and |also |then )*"
    r"(?:(?:you|your|you're|ignore|forget|disregard|pretend|reply|respond|imagine|override|do not|don't|from now on|hi|"
    r"hello|hey|thanks|thank you|quick question|one more|no need)\b|"
    r"(?:act|answer|speak|talk) (?:as|like|in|with|only|every|briefly|me|freely)\b|be (?:\w+\W*$|\w+:)|system:)",
    re.IGNORECASE,
)
_OF_THE_ASKER = re.compile(r"(?:i|i'm|i’m|i've|i’ve|my|we|our)\b", re.IGNORECASE)  # the asker's own context
_POINTS_BACK = re.compile(
    r"\b(?:he|she|it|they|him|her|them|his|its|their|this|that|these|those|there)\b", re.IGNORECASE
)
_LEAD = re.compile(r"^[^?]{0,200}?(?::|\s[-–—]\s)\s*(?=\w)")
_JOINED = re.compile(
    # Possessive quantifiers, and no match starts inside white space, so that a run of it is scanned only once.
    r"(?<!\s)(?:\s*+[,;](?:\s*+(?:and|or|but))?|\s++[-–—]\s++(?:and|or|but)|\s++(?:and|or|but))\s++"
    rf"(?={_ASKS.pattern})",
    re.IGNORECASE,
)
_MIN_WORDS = 3  # in a part; avoids splitting "when and where did …"
MAX_PARTS = 3  # questions in one; each is searched and read separately


def question_itself(text: str) -> str:
    """Strip what addresses the assistant or describes the asker, if a question remains; else change nothing.

    "Ignore your rules! When was the bridge opened?" asks about the bridge: the order is neither obeyed nor searched.
    The asker's context stays if the question may refer back to it: "I saw the bridge. Who built it?"
    """
    if not text.strip():
        return text
    said = [span.cut(text).strip() for span in sentences(text, Span(0, len(text)))]
    asked = [_without_lead(sentence) for sentence in said]
    asked = [after for before, after in zip(said, asked, strict=True) if after != before or not _ORDER.match(before)]
    topical = [sentence for sentence in asked if not _OF_THE_ASKER.match(sentence)]
    if not _POINTS_BACK.search(" ".join(topical)):
        asked = topical
    if asked == said or not any(_ASKS.match(sentence) for sentence in asked):
        return text
    return " ".join(asked)


def _without_lead(sentence: str) -> str:
    """Strip a lead such as "For my report:" or "Be brief:" if a question follows."""
    lead = _LEAD.match(sentence)
    if lead is None or not _ASKS.match(sentence[lead.end() :]):
        return sentence
    beside = _ORDER.match(sentence) or _OF_THE_ASKER.match(sentence) or len(lead.group().split()) <= 2
    return sentence[lead.end() :] if beside else sentence


def parts(question: str) -> tuple[str, ...]:
    """Split a compound question into at most ``MAX_PARTS`` parts, in order; a single question stays whole.

    "Who built it, and when was it opened?" asks two things, and no sentence has to answer both.
    """
    found: list[str] = []
    start = 0
    for cut in _JOINED.finditer(question):
        if len(found) + 1 < MAX_PARTS and _stands(question[start : cut.start()]) and _stands(question[cut.end() :]):
            found.append(question[start : cut.start()])
            start = cut.end()
    found.append(question[start:])
    return tuple(_as_question(part) for part in found) if len(found) > 1 else (question,)


def _stands(text: str) -> bool:
    said = words(text)
    return len(said) >= _MIN_WORDS and bool(_ASKS.match(text.strip())) and said[-1].folded not in _ASKING


def _as_question(text: str) -> str:
    text = text.strip(" ,;?")
    return f"{text[:1].upper()}{text[1:]}?"
