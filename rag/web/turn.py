"""One turn of a conversation on an open page.

``conversation`` creates turns; the views and ``export`` render them.
"""

from dataclasses import dataclass
from typing import Literal

from rag.values import Answer, Citation, Claim, History, Hit, Result

Verdict = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and the reply so far: stages, then claims, then the result or a problem.

    scope: which documents were searched, in words; empty for all. found: hits of a search for a refused question, if
    one was made. lost: markers of a restored answer whose quotes are no longer in the documents. verdict: the reader's.
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
        """Whether the reply is still incomplete."""
        return self.result is None and not self.problem

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The citations of the answer, ordered by marker; empty for a refusal."""
        return self.result.citations if isinstance(self.result, Answer) else ()


Turns = tuple[Turn, ...]


def history_of(turns: Turns) -> History:
    """Return the turns as the engine's history: (question, answer text), oldest first."""
    return [(turn.question, turn.result.text if isinstance(turn.result, Answer) else "") for turn in turns]
