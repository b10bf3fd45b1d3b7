"""Recognise when a model says that its passages do not answer, in the prescribed words or its own."""

import re

from rag.gate import Written, written_sentences

REFUSAL = "The passages do not answer this question."  # the phrase that models are told to use

# Words that do not make an answer on their own. "Not" and "no" are left out: they may turn a phrase into a claim.
_POLITE = frozenset(
    "i i'm am sorry apologize apologise unfortunately but however based on the a provided given passages passage "
    "documents above according to my answer is as for now please let me know if you have any other questions".split()
)
# The shape of a refusal in other words: who does not know, that they do not know, and about what; nothing else.
_GIVEN = r"""(?:(?:the|these|those|this|your|any)\s)?(?:(?:of|the|given|provided|available|supplied|above)\s){0,3}
    (?:(?:passages?|documents?|sources?|contexts?|texts?|excerpts?|articles?|materials?)
    (?:\s(?:above|below|provided|given|available|supplied))?
    |(?:given|provided|available|supplied)\sinformation|information\s(?:above|below|provided|given|available|supplied))"""
_NOT = r"(?:(?:do|does|did)\snot|(?:don|doesn|didn)'t)\s(?:\w+ly\s)?"
_HOLD = r"""(?:contain|include|provide|give|have|offer|hold|mention|state|specify|discuss|address|cover|answer|say|tell
    |reveal|indicate|explain|describe|refer)"""
_SAID = r"""(?:stated|mentioned|given|specified|provided|available|found|included|contained|discussed|addressed|answered
    |said|known|clear|made)"""
_ANSWER = r"(?:\w+\s)?(?:information|mention|answers?|details?)\b"
_PROOF = r"(?:evidence|data)\b"  # may not exist at all; a refusal only if it refers to passages
# Words up to the next punctuation or clause. "Do not say that …" is a statement, "answer that question" is not.
_OF_WHAT = r"""(?!\sthat\b(?!\squestion))
    (?:\s(?!(?:but|however|although|though|while|whereas|yet|only|which|because)\b)[^\s,;:.!?()–—]+)*"""
_CLAUSE = rf"""(?:
    {_GIVEN}\s{_NOT}{_HOLD}{_OF_WHAT}
    |{_GIVEN}\s(?:contains?|includes?|provides?|gives?|offers?|ha(?:s|ve)|makes?)\sno\s{_ANSWER}{_OF_WHAT}
    |(?:none|neither)\sof\s{_GIVEN}\s{_HOLD}s?{_OF_WHAT}
    |i\s(?:can(?:not|'t|\snot)|could(?:\snot|n't)|am\s(?:not\sable|unable)\sto)
        \s(?:answer|find|determine|tell|say|provide|locate|give){_OF_WHAT}
    |i\s{_NOT}(?:know|have|find|see){_OF_WHAT}
    |there\s(?:is|are|was)\s(?:no|not\s(?:enough|any|sufficient))\s{_ANSWER}{_OF_WHAT}
    |no\s{_ANSWER}{_OF_WHAT}\s(?:is|are|was)\s{_SAID}{_OF_WHAT}
    |there\s(?:is|are|was)\sno\s{_PROOF}{_OF_WHAT}\sin\s{_GIVEN}
    |no\s{_PROOF}{_OF_WHAT}\s(?:is|was)\s{_SAID}\s(?:in|by)\s{_GIVEN}
    |(?:it|this|that|the\s(?:answer|information))\s(?:is|was)(?:\snot|n't)\s(?:{_SAID}\s)?(?:in|by|from)\s{_GIVEN}
    |(?:it|this|the)(?:\squestion)?\scan(?:not|'t|\snot)\sbe\s(?:answered|determined|found|told)\b{_OF_WHAT}
)"""
_LEAD = rf"""(?:(?:unfortunately|sorry|but|however|i'm\s(?:sorry|afraid)|i\s(?:am\s(?:sorry|afraid)|apologi[sz]e)
    |(?:based\son|according\sto|from)\s{_GIVEN})[,:]?\s(?:but\s|that\s)?)*"""
_REASON = rf",?\s(?:as|because|since|so|and)\s(?:{_CLAUSE}|they\s{_NOT}{_HOLD}{_OF_WHAT})"
_REFUSES = re.compile(rf"{_LEAD}{_CLAUSE}(?:{_REASON})?[.!]?", re.IGNORECASE | re.VERBOSE)


def is_refusal(text: str) -> bool:
    """Return whether a text only says that the passages do not answer.

    Punctuation, case and an apology are ignored; any sentence with content of its own makes the text an answer.
    """
    sentences = written_sentences(text)
    return any(map(refuses, sentences)) and all(refuses(each) or _is_polite(each.text) for each in sentences)


def refuses(sentence: Written) -> bool:
    """Return whether a sentence claims nothing because it says that the passages do not answer.

    A refusal in the model's own words must not cite: a statement about a passage, with its marker, is a claim.
    """
    before, phrase, after = _words(sentence.text).partition(_words(REFUSAL))
    if phrase and _is_polite(f"{before} {after}"):
        return True
    bare = " ".join(sentence.text.replace("’", "'").strip(' "“”*_').split())
    return not sentence.markers and bool(_REFUSES.fullmatch(bare))


def _is_polite(text: str) -> bool:
    return set(_words(text).split()) <= _POLITE


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.casefold().replace("’", "'")))
