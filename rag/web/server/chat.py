"""Parses OpenAI chat completion requests, or refuses them with a one-line error.

The last user message is the question; the messages before it are the history. System messages are neither obeyed nor
searched, because answers come from the documents alone. Sampling parameters are ignored, because nothing is sampled.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from rag.answer_text import answer_in
from rag.config import Settings
from rag.values import History, Mode

# Model name -> mode; "footnote" uses the default mode.
_MODELS: dict[str, Mode | None] = {"footnote": None, "footnote-quotes": "quotes", "footnote-written": "written"}


class Refused(Exception):
    """A refused request: the status and OpenAI's error object."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Part(_Model):
    type: str
    text: str = ""

    @field_validator("type")
    @classmethod
    def _is_text(cls, kind: str) -> str:
        if kind != "text":
            raise ValueError(f"a part of type {kind[:40]!r} cannot be read; send text")
        return kind


def _as_parts(content: object) -> object:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [] if content is None else content  # None if an assistant called a tool


class _Message(_Model):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[list[_Part], BeforeValidator(_as_parts)] = Field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.content)


class _StreamOptions(_Model):
    include_usage: bool = False


class Chat(_Model):
    """The fields of a request that are used; all others are ignored."""

    model: str
    messages: list[_Message] = Field(min_length=1)
    n: Literal[1] | None = 1
    stream: bool | None = False
    stream_options: _StreamOptions | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A parsed request."""

    chat: Chat
    question: str
    history: History
    mode: Mode | None


def understood(body: bytes, *, settings: Settings) -> ChatRequest:
    """Parse a request; raises Refused with the first problem found."""
    try:
        chat = Chat.model_validate_json(body)
    except ValidationError as error:
        raise _misunderstood(error) from None
    if chat.model not in models(settings):
        known = ", ".join(models(settings))
        raise Refused(
            404, f"there is no model {chat.model[:80]!r}; known are: {known}", code="model_not_found", param="model"
        )
    turns = _turns(chat.messages)
    if not turns:
        raise Refused(400, "no message has the role 'user'; the last such message is the question", param="messages")
    question, _ = turns.pop()
    if len(question) > settings.max_question_chars:
        line = f"the question has {len(question):,} characters; at most {settings.max_question_chars:,} are read"
        raise Refused(400, line, code="context_length_exceeded", param="messages")
    return ChatRequest(chat, question, turns, models(settings)[chat.model])


def _misunderstood(error: ValidationError) -> Refused:
    first = error.errors(include_url=False, include_input=False)[0]
    param = ".".join(str(part) for part in first["loc"])
    return Refused(400, f"{param or 'request'}: {first['msg'].removeprefix('Value error, ')}", param=param or None)


def _turns(messages: list[_Message]) -> History:
    """Return each question with the answer that followed it; the last one has no answer yet."""
    turns: History = []
    for message in messages:
        if message.role == "user":
            turns.append((message.text, ""))
        elif message.role == "assistant" and turns:
            turns[-1] = (turns[-1][0], answer_in(message.text))
    return turns


def models(settings: Settings) -> dict[str, Mode | None]:
    """Return the model names and their modes (None: the default); only one if no language model is configured."""
    return {name: mode for name, mode in _MODELS.items() if mode is None or settings.writes}
