"""The conversation of an open page, and a question on its way into it: what the reader chose, the turn as it grows.

Everything comes from ``Rag.stream``; nothing is added to it.
"""

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rag.engine import Rag, Stage
from rag.errors import RagError, UsageError
from rag.retrieval import Filters
from rag.values import Abstention, Claim, Hit, Mode
from rag.web.server.api import UNEXPECTED, report
from rag.web.turn import Turn, Turns, history_of

STOPPED = "Stopped before the answer was there. Ask again, or edit the question."


class Choice(BaseModel):
    """What a reader chose beside the question; the page sends it as JSON.

    replaces: number of the turn that is asked anew, with all after it; 0 for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = None
    since: dt.date | None = None
    until: dt.date | None = None
    mode: Mode | None = None
    replaces: int = Field(0, ge=0)

    @field_validator("source", "since", "until", mode="before")
    @classmethod
    def _nothing_chosen(cls, value: object) -> object:
        return value or None

    @property
    def scope(self) -> str:
        """Which documents are asked, in words; empty for all. Raises UsageError if no day is among them."""
        filters = Filters(self.source, self.since, self.until)
        return "" if filters == Filters() else str(filters)


@dataclass(frozen=True, slots=True)
class PendingQuestion:
    """A question and what it is asked after."""

    question: str
    choice: Choice
    scope: str
    before: Turns


class Conversation:
    """The turns of an open page that are done, and the question that is being answered after them: one at a time.

    All that happens in a page shares it, and some of it at once. So nothing is put back as it was read before: what
    comes in changes the turns of that moment. turns: oldest first; a new tuple with each change.
    """

    def __init__(self, turns: Turns = ()) -> None:
        self.turns = turns
        self._asked: PendingQuestion | None = None
        self._lock = threading.Lock()

    def __deepcopy__(self, _: object) -> "Conversation":
        return Conversation(self.turns)  # each page gets a copy of the first one, and a lock of its own

    @property
    def is_answering(self) -> bool:
        """Whether a question is in work."""
        return self._asked is not None

    def begin(self, question: str, choice: str) -> PendingQuestion | None:
        """Return what is to be answered from now on; None while another question is.

        Raises UsageError for a choice that makes no sense.
        """
        chosen = _chosen(choice)
        with self._lock:
            if self._asked:
                return None
            kept = self.turns[: chosen.replaces - 1] if chosen.replaces else self.turns
            self._asked = PendingQuestion(question.strip(), chosen, chosen.scope, kept)
            self.turns = kept
            return self._asked

    def grow(self, asking: PendingQuestion, turn: Turn) -> bool:
        """Whether the question is still to be answered; a turn that is done joins the others.

        The next question may be asked before the reader sees this one's answer, so nobody is refused who asks then.
        """
        with self._lock:
            if self._asked is not asking:
                return False
            if not turn.is_pending:
                self._end(turn)
            return True

    def stop(self, asking: PendingQuestion | None = None) -> None:
        """End the question in work, or this one if it is that, without an answer."""
        with self._lock:
            if self._asked and (asking is None or asking is self._asked):
                self._end(Turn(self._asked.question, scope=self._asked.scope, problem=STOPPED))

    def restart(self, turns: Turns = ()) -> None:
        """Go on from these turns; the question in work is not answered any more."""
        with self._lock:
            self.turns, self._asked = turns, None

    def amend(self, turn: Turn, **changes: Any) -> None:
        """Change a turn that has a result, if it is still there; what else of it was changed meanwhile stays."""
        with self._lock:
            self.turns = tuple(replace(now, **changes) if now.result is turn.result else now for now in self.turns)

    def at(self, number: int) -> tuple[Turns, Turn]:
        """Return the turns before the one of this number, and that one; raises UsageError if it has no result."""
        turns = self.turns
        if not 0 < number <= len(turns) or turns[number - 1].result is None:
            raise UsageError("this answer is not in the conversation any more; ask the question again")
        return turns[: number - 1], turns[number - 1]

    def _end(self, turn: Turn) -> None:
        self.turns, self._asked = (*self.turns, turn), None


def _chosen(choice: str) -> Choice:
    try:
        return Choice.model_validate_json(choice or "{}")
    except ValidationError as error:
        raise UsageError("the choice of documents makes no sense; choose again: days are written YYYY-MM-DD") from error


def replies(rag: Rag, asking: PendingQuestion) -> Iterator[Turn]:
    """Yield the turn as it grows; the last one has a result or a problem."""
    choice = asking.choice
    turn = Turn(asking.question, scope=asking.scope)
    yield turn
    try:
        for event in rag.stream(
            asking.question,
            history=history_of(asking.before),
            mode=choice.mode,
            source=choice.source,
            since=choice.since,
            until=choice.until,
        ):
            if isinstance(event, Stage):
                turn = replace(turn, stages=(*turn.stages, event.detail))
            elif isinstance(event, Claim):
                turn = replace(turn, claims=(*turn.claims, event))
            else:
                turn = replace(turn, result=event)
            yield turn
    except RagError as error:
        yield replace(turn, problem=str(error))
    except Exception as error:  # noqa: BLE001 - a user's request ends here
        report(error)
        yield replace(turn, problem=UNEXPECTED)


def searched(rag: Rag, turn: Turn) -> tuple[Hit, ...]:
    """Return the passages that a search for the question of a refused turn finds."""
    if not isinstance(turn.result, Abstention):
        raise UsageError("only a refused question is searched for")
    return tuple(rag.search(turn.result.standalone_question or turn.question))
