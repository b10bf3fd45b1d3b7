"""One turn of a conversation, as the page keeps it while it is open.

``conversation`` makes turns; the views and ``export`` show them.
"""

from dataclasses import dataclass
from typing import Literal

from rag.values import Answer, Citation, Claim, History, Hit, Result

Verdict = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and as much of the reply as there is: stages, then claims, then the result or a problem.

    scope: which documents were asked, in words; empty for all. found: what a search for a refused question gave, if
    one was made. lost: markers of a restored answer whose quotes the documents no longer have. verdict: the reader's.
    """

    question: str
    scope: str = ""
    stages: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    result: Result | None = None
    problem: str = ""
    found: tuple[Hit, ...] | None = None
    lost: frozenset[int] = frozenset()
    verdict: Verdict | None = None

    @property
    def is_pending(self) -> bool:
        """Whether more of the reply is to come."""
        return self.result is None and not self.problem

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The citations of its answer, by marker; none of a refusal."""
        return self.result.citations if isinstance(self.result, Answer) else ()


Turns = tuple[Turn, ...]


def history_of(turns: Turns) -> History:
    """Return the turns as the engine takes them: (question, answer text), oldest first."""
    return [(turn.question, turn.result.text if isinstance(turn.result, Answer) else "") for turn in turns]
