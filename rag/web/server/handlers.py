"""Every handler that the page's server calls for a browser or a program, and what each accepts.

A handler is reached by anybody who reaches the server, whether or not a button leads to it. ``rag.web.server.routes``
refuses a call whose values are not of these types before Gradio looks at it, and a page with a handler that is not in
the list is not served. None of them accepts a path: files arrive in ``rag.web.server.uploads``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import GenericAlias
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter
from typing_extensions import TypeAliasType

from rag.web.feedback import Judgement
from rag.web.restore import MAX_TURNS
from rag.web.server.limits import MAX_BODY_MB
from rag.web.views.document import Pointer


class Nothing(BaseModel):
    """The message of a button that says nothing but that it was pressed."""


class TurnNumber(BaseModel):
    """A turn of the conversation, counted from 1."""

    turn: int = Field(ge=1, le=10_000)


class Kept(BaseModel):
    """A conversation that the browser kept; ``rag.web.restore`` reads its turns."""

    turns: list[Any] = Field(max_length=MAX_TURNS)


class DocumentId(BaseModel):
    """A document of the library; one that it does not have is answered by a line."""

    document: str = Field(min_length=1, max_length=200)


# A question has a limit of its own, and a line for what is longer.
Text = Annotated[str, StringConstraints(strict=True, max_length=200_000)]
Message = Annotated[str, StringConstraints(strict=True, max_length=MAX_BODY_MB * 1024 * 1024)]
State = None  # the page's conversation stays on the server: a call brings nothing for it
# JSON without objects, in which Gradio looks for files; a program's mistake gets its line from rag.web.api.
Plain = TypeAliasType("Plain", "str | int | float | bool | list[Plain] | None")


@dataclass(frozen=True, slots=True)
class Handler:
    """What a call brings: a value of each type, in order. message: what the text of a button's call holds, as JSON."""

    accepts: tuple[Any, ...]
    message: type[BaseModel] | None = None


HANDLERS: Mapping[str, Handler] = {
    # asking: the question, and what was chosen beside it, as rag.web.conversation.Choice reads it
    "converse": Handler((Text, Text, State)),
    "stop": Handler((State,)),
    # buttons of the views
    "new": Handler((Message, State), Nothing),
    "restore": Handler((Message, State), Kept),
    "search_for": Handler((Message, State), TurnNumber),
    "feedback": Handler((Message, State), Judgement),
    "open": Handler((Message, State), Pointer),
    "delete": Handler((Message, State), DocumentId),
    "read_again": Handler((State,)),
    # what stands on the page when it is opened, and anew when files were uploaded
    "opened": Handler((State,)),
    "uploaded": Handler((Message, State), Nothing),
    "health": Handler(()),
    # for programs
    "ask": Handler((Plain, Plain, Text | None, Text | None, Text | None, Text | None)),
    "search": Handler((Plain, Plain)),
}
FOR_PROGRAMS = ("ask", "search")


def checker(name: str) -> TypeAdapter[tuple[Any, ...]]:
    """Return what checks the list of values of a call of this handler."""
    return TypeAdapter(GenericAlias(tuple, HANDLERS[name].accepts))  # type: ignore[arg-type]  # known at run time only
