"""What a source says only with a reservation, "may", "reportedly", "is expected to", and a sentence says without one.

Knows nothing about meaning, only closed classes of words. Called by ``rag.verify``.
"""

import re

from rag.overlap import CLAUSE_END, n_shared
from rag.quantities import quantities
from rag.words import SPOKE, words

_RESERVED = re.compile(
    r"\b(?:may|might|could|perhaps|(?i:possibl[ey]|probably|(?<!\bas\s)(?<!more\s)(?<!most\s)(?<!less\s)(?<!least\s)likely|reportedly|allegedly|alleged|supposedly|apparently"
    r"|speculation|unconfirmed)"
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
_SENTENCE_END = re.compile(r"(?<=[.?!”\"])\s+")


def unreserved(text: str, source: str) -> str | None:
    """Return the reservation under which a source says what a text says flatly; None where nothing tells.

    Looked for in the one clause that shares most with the text. Who tells what somebody said, or has a reservation of
    any kind, says nothing flatly.
    """
    if _LIMITS.search(text) or any(word.folded in SPOKE for word in words(text)):
        return None
    clauses = [clause for sentence in _SENTENCE_END.split(source) for clause in CLAUSE_END.split(sentence)]
    shared = [n_shared(text, clause) + 2 * len(quantities(text) & quantities(clause)) for clause in clauses]
    if max(shared, default=0) < 2:
        return None
    best = [clause for clause, n in zip(clauses, shared, strict=True) if n == max(shared)]
    found = [_RESERVED.search(clause) for clause in best]
    return found[0].group().strip() if found and all(found) and found[0] else None
