"""The conversation of an open page, the question being answered in it, and the options the reader chose.

All content comes from ``Rag.stream``.
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
    """Options a reader chose for a question; the page sends them as JSON.

    replaces: number of the turn to ask again, which discards it and all later turns; 0 for none.
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
        """Which documents are searched, in words; empty for all. Raises UsageError if no day lies in the date range."""
        filters = Filters(self.source, self.since, self.until)
        return "" if filters == Filters() else str(filters)


@dataclass(frozen=True, slots=True)
class PendingQuestion:
    """A question and the turns before it."""

    question: str
    choice: Choice
    scope: str
    before: Turns


class Conversation:
    """The finished turns of an open page, and the one question being answered after them.

    All handlers of a page share it, some concurrently, so every change applies to the current turns and never writes
    back an older copy. turns: oldest first; a new tuple with each change.
    """

    def __init__(self, turns: Turns = ()) -> None:
        self.turns = turns
        self._asked: PendingQuestion | None = None
        self._lock = threading.Lock()

    def __deepcopy__(self, _: object) -> "Conversation":
        return Conversation(self.turns)  # Gradio copies the initial state for each page, which needs a lock of its own

    @property
    def is_answering(self) -> bool:
        """Whether a question is being answered."""
        return self._asked is not None

    def begin(self, question: str, choice: str) -> PendingQuestion | None:
        """Start answering a question and return it; None while another one is being answered.

        Raises UsageError for an invalid choice.
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
        """Add the turn once it is finished; return whether the question is still the one being answered.

        A finished turn is added before the reader sees it, so that a question asked right afterwards is accepted.
        """
        with self._lock:
            if self._asked is not asking:
                return False
            if not turn.is_pending:
                self._end(turn)
            return True

    def stop(self, asking: PendingQuestion | None = None) -> None:
        """Stop the current question without an answer; given ``asking``, only if that is the current one."""
        with self._lock:
            if self._asked and (asking is None or asking is self._asked):
                self._end(Turn(self._asked.question, scope=self._asked.scope, problem=STOPPED))

    def restart(self, turns: Turns = ()) -> None:
        """Replace the turns and drop the question being answered."""
        with self._lock:
            self.turns, self._asked = turns, None

    def amend(self, turn: Turn, **changes: Any) -> None:
        """Change fields of a turn with a result, if it still exists; concurrent changes to other fields are kept."""
        with self._lock:
            self.turns = tuple(replace(now, **changes) if now.result is turn.result else now for now in self.turns)

    def at(self, number: int) -> tuple[Turns, Turn]:
        """Return the turns before the given turn, and the turn; raises UsageError if it is missing or has no result."""
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
    except Exception as error:  # noqa: BLE001 - boundary of a user's request
        report(error)
        yield replace(turn, problem=UNEXPECTED)


def searched(rag: Rag, turn: Turn) -> tuple[Hit, ...]:
    """Return the passages found by searching for the question of a refused turn."""
    if not isinstance(turn.result, Abstention):
        raise UsageError("only a refused question is searched for")
    return tuple(rag.search(turn.result.standalone_question or turn.question))
