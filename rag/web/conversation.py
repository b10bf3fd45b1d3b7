"""A question on its way through the page: what the reader chose, the turn as it grows, what ends it.

Everything comes from ``Rag.stream``; nothing is added to it. Knows nothing about Gradio or HTML; ``rag.web.page`` calls
it.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rag.engine import Rag, Stage
from rag.errors import RagError, UsageError
from rag.retrieve import Filters
from rag.types import Abstention, Claim, Mode
from rag.web.api import UNEXPECTED, report
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
    mode: Mode = "quotes"
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
class Asked:
    """A question and what it is asked after."""

    question: str
    choice: Choice
    scope: str
    before: Turns


class Floor:
    """Which question of an open page is being answered; one at a time, until it is answered or stopped.

    It is given back before the reader sees that it is free, so that nobody is refused who asks then.
    """

    def __init__(self) -> None:
        self._held: dict[str, Asked] = {}  # not a lock, as every page gets a copy of the first one

    def take(self, asking: Asked) -> bool:
        """Whether the question may be answered now, and from now on is."""
        return self._held.setdefault("by", asking) is asking

    def is_held_by(self, asking: Asked) -> bool:
        """Whether the question is still to be answered."""
        return self._held.get("by") is asking

    def leave(self, asking: Asked) -> None:
        """Let the next question be asked, if this one was in work."""
        if self.is_held_by(asking):
            self.clear()

    def clear(self) -> None:
        """Let the next question be asked; the one in work is not answered any more."""
        self._held.clear()


def asked(question: str, choice: str, turns: Turns) -> Asked:
    """Return what is to be asked; raises UsageError for a choice that makes no sense."""
    try:
        chosen = Choice.model_validate_json(choice or "{}")
    except ValidationError as error:
        raise UsageError("the choice of documents makes no sense; choose again: days are written YYYY-MM-DD") from error
    kept = turns[: chosen.replaces - 1] if chosen.replaces else turns
    return Asked(question.strip(), chosen, chosen.scope, tuple(turn for turn in kept if not turn.is_pending))


def replies(rag: Rag, asking: Asked) -> Iterator[Turn]:
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


def stopped(turns: Turns) -> Turns:
    """Return the turns after the reader stopped the one in the making; the same if none was."""
    return tuple(replace(turn, problem=STOPPED) if turn.is_pending else turn for turn in turns)


def searched(rag: Rag, turns: Turns, number: int) -> Turns:
    """Return the turns, with the passages that a search for the question of a refused one finds."""
    turn = turns[number - 1]
    if not isinstance(turn.result, Abstention):
        raise UsageError("only a refused question is searched for")
    found = rag.search(turn.result.standalone_question or turn.question)
    return (*turns[: number - 1], replace(turn, found=tuple(found)), *turns[number:])
