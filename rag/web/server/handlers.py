"""All handlers that a browser or a program can call on the server, and the values each accepts.

Anyone who can reach the server can call a handler, whether or not a button leads to it. ``rag.web.server.routes``
refuses calls with values of other types before Gradio sees them, and a page with an unlisted handler is not served. No
handler accepts a path: files arrive through ``rag.web.server.uploads``.
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
    """The empty message of a button without arguments."""


class TurnNumber(BaseModel):
    """A turn of the conversation, counted from 1."""

    turn: int = Field(ge=1, le=10_000)


class Kept(BaseModel):
    """A conversation stored in the browser; ``rag.web.restore`` parses its turns."""

    turns: list[Any] = Field(max_length=MAX_TURNS)


class DocumentId(BaseModel):
    """The id of a document; an unknown one is answered with a line for the reader."""

    document: str = Field(min_length=1, max_length=200)


# Questions have their own lower limit, with a proper error message.
Text = Annotated[str, StringConstraints(strict=True, max_length=200_000)]
Message = Annotated[str, StringConstraints(strict=True, max_length=MAX_BODY_MB * 1024 * 1024)]
KeptMessage = Annotated[str, StringConstraints(strict=True, max_length=4 * 1024 * 1024)]  # page.js keeps half of it
State = None  # the page's conversation stays on the server; calls send null for it
# JSON without objects, because Gradio looks for files in them; rag.web.server.api reports mistakes of programs.
Plain = TypeAliasType("Plain", "str | int | float | bool | list[Plain] | None")


@dataclass(frozen=True, slots=True)
class Handler:
    """What a call accepts: a value of each type, in order. message: the model of the JSON text that a button sends."""

    accepts: tuple[Any, ...]
    message: type[BaseModel] | None = None


HANDLERS: Mapping[str, Handler] = {
    # asking: the question and its options, parsed by rag.web.conversation.Choice
    "converse": Handler((Text, Text, State)),
    "stop": Handler((State,)),
    # buttons of the views
    "new": Handler((Message, State), Nothing),
    "restore": Handler((KeptMessage, State), Kept),
    "search_for": Handler((Message, State), TurnNumber),
    "feedback": Handler((Message, State), Judgement),
    "open": Handler((Message, State), Pointer),
    "delete": Handler((Message, State), DocumentId),
    "read_again": Handler((State,)),
    # the contents of the page, loaded when it opens and after uploads
    "opened": Handler((State,)),
    "uploaded": Handler((Message, State), Nothing),
    "health": Handler(()),
    # for programs
    "ask": Handler((Plain, Plain, Text | None, Text | None, Text | None, Text | None)),
    "search": Handler((Plain, Plain)),
}
FOR_PROGRAMS = ("ask", "search")


def checker(name: str) -> TypeAdapter[tuple[Any, ...]]:
    """Return the validator for the values of a call to this handler."""
    return TypeAdapter(GenericAlias(tuple, HANDLERS[name].accepts))  # type: ignore[arg-type]  # only known at run time
