"""What a source says only with a reservation, "may", "reportedly", on a condition, and a sentence says without one."""

import re

from rag.gate.rules.quantities import quantities
from rag.gate.rules.shared_words import CLAUSE_END, n_shared
from rag.text.words import SPOKE, words

_RESERVED = re.compile(
    r"\b(?:may|might|could|perhaps|(?i:possibl[ey]|probably|reportedly|allegedly|alleged|supposedly|apparently"
    r"|speculation|unconfirmed|(?<!\bas\s)(?<!more\s)(?<!most\s)(?<!less\s)(?<!least\s)likely)"
    r"|(?:is|are|was|were|be)\s(?:expected|planned|intended|supposed|said|believed|thought|meant)"
    r"|(?:plans?|hopes?|intends?|aims?|wants?|tries|tried|attempts?|will\stry)\sto"
    r"|(?:[Ss]ome|[Mm]any|[Ss]everal)\s\w+\s(?:believe|think|say|argue|claim|fear|hope)|[Ii]t\sseems)\b"
)
# What says nothing flatly; of a wider class, since a sentence may have its reservation in any words. "May" is a month,
# and a plan, a view or a claim something to speak of; "plans to", "in her view", "claims that" say nothing flatly.
_LIMITS = re.compile(
    r"\b(?:may|might|could|would|should|can|(?i:if|unless|perhaps|possib\w+|probab\w+|likely|reported\w*|alleg\w+"
    r"|suppos\w+|apparent\w*|seem\w*|appear\w*|speculat\w+|rumou?r\w*|expect\w*|plann(?:ed|ing)"
    r"|plans?\s(?:to|for|an?|its|their|the)|hop(?:es?|ed|ing)|inten[dt]\w*|meant|aim\w*|want\w*|tr(?:y|ies|ied|ying)"
    r"|attempt\w*|seek\w*|sought|believ\w+|thinks?|according|in\s[^,.;]{1,60}?\s(?:view|opinion|eyes|conviction)"
    r"|sees\sit|forecast\w*|predict\w*|potential\w*|claim(?:s\s(?:that|to)|ed|ing)|says))\b"
)
# What is said on a condition, not "if anything", "dozens, if not hundreds"; what is left open, behind "whether".
_CONDITION = re.compile(
    r"\b(?:(?<!even\s)(?<!as\s)(?<!what\s)if(?!\s(?:you|we|one|any|anything|not|so)\b)|unless|in\scase)\b",
    re.IGNORECASE,
)
_OPEN = re.compile(r"\b(?:(?<!regardless\sof\s)whether|myths?|debunk\w*|rumou?rs?|hoax(?:es)?)\b", re.IGNORECASE)
_CONDITIONS = re.compile(
    r"\b(?:whether|in\scase|when|once|provided|depend\w*|condition\w*|myths?|debunk\w*|hoax\w*|false|untrue)\b",
    re.IGNORECASE,
)
_COORDINATE = re.compile(r"[;:]\s|,?\s(?:and|but|while|although|whereas)\s(?!only\s|not\s)")
_MIN_SHARED = 2  # words of meaning, from which on two clauses speak of the same
_SENTENCE_END = re.compile(r"(?<=[.?!])[’'”\"]*\s+|(?<=[”\"])\s+")


def unreserved(text: str, source: str) -> str | None:
    """Return the reservation under which a source says what a text says flatly; None where nothing tells.

    Looked for in the one clause that shares most with the text. Who tells what somebody said, or has a reservation of
    any kind, says nothing flatly.
    """
    if _LIMITS.search(text) or any(word.folded in SPOKE for word in words(text)):
        return None
    clauses = [clause for sentence in _SENTENCE_END.split(source) for clause in CLAUSE_END.split(sentence)]
    shared = [n_shared(text, clause) + 2 * len(quantities(text) & quantities(clause)) for clause in clauses]
    if max(shared, default=0) < _MIN_SHARED:
        return None
    best = [clause for clause, n in zip(clauses, shared, strict=True) if n == max(shared)]
    found = [_RESERVED.search(clause) for clause in best]
    return found[0].group().strip() if found and all(found) and found[0] else None


def unconditioned(text: str, source: str) -> str | None:
    """Return the condition on which a source says what a text says flatly, "if", "unless", or what leaves it open.

    A condition stands in a clause of its own: looked for in all that is joined by nothing but commas.
    """
    if _LIMITS.search(text) or _CONDITIONS.search(text):
        return None
    stretches = [part for one in _SENTENCE_END.split(source) for part in _COORDINATE.split(one)]
    best = max(stretches, key=lambda stretch: n_shared(text, stretch))
    if n_shared(text, best) < _MIN_SHARED:
        return None
    if (condition := _CONDITION.search(best)) and condition.group() != "unless":
        return condition.group()
    found = condition or _OPEN.search(best)
    if found is None:
        return None
    open_ones = best[found.end() :] if condition else best[found.end() :].partition(",")[0]  # "rumours of X, who was …"
    before, behind = n_shared(text, best[: found.start()]), n_shared(text, open_ones)
    is_meant = before > behind if condition else behind > before  # "unless" limits what goes before it
    return found.group() if is_meant else None
