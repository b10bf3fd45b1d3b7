"""Footnote as a model for existing chat clients: OpenAI's protocol for chat completions, under ``/v1``.

The last message of the user is the question, what was said before it the history. System messages are neither obeyed
nor searched: an answer comes from the documents alone. Parameters that shape sampling are ignored, as there is none.
Everything is answered by ``Rag.stream``; the server mounts it.
"""

import json
import time
import uuid
from base64 import b64decode
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from starlette.exceptions import HTTPException

from rag.config import Settings
from rag.engine import Event, Rag, Stage
from rag.errors import RagError, UsageError
from rag.records import Record, ask_record
from rag.render import answer_in, plain_text
from rag.tokens import count_tokens
from rag.types import Abstention, Answer, Claim, History, Mode, Result
from rag.web.api import UNEXPECTED, report
from rag.web.auth import Accounts
from rag.web.limits import AT_ONCE, BUSY, RETRY_AFTER_S, WAITING

_MODELS: dict[str, Mode] = {"footnote": "quotes", "footnote-written": "written"}


class _Refused(Exception):
    """A request that is not answered: the status, and OpenAI's error object."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


# -- what is asked -----------------------------------------------------------------------------------------------------


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
    return [] if content is None else content  # None where an assistant called a tool


class _Message(_Model):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[list[_Part], BeforeValidator(_as_parts)] = Field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.content)


class _StreamOptions(_Model):
    include_usage: bool = False


class _Chat(_Model):
    model: str
    messages: list[_Message] = Field(min_length=1)
    n: Literal[1] | None = 1
    stream: bool | None = False
    stream_options: _StreamOptions | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that has been understood."""

    chat: _Chat
    question: str
    history: History
    mode: Mode


def _understood(body: bytes, settings: Settings) -> _Asked:
    try:
        chat = _Chat.model_validate_json(body)
    except ValidationError as error:
        raise _misunderstood(error) from None
    if chat.model not in _models(settings):
        known = ", ".join(_models(settings))
        raise _Refused(
            404, f"there is no model {chat.model[:80]!r}; known are: {known}", code="model_not_found", param="model"
        )
    turns = _turns(chat.messages)
    if not turns:
        raise _Refused(400, "no message has the role 'user'; the last such message is the question", param="messages")
    question, _ = turns.pop()
    if len(question) > settings.max_question_chars:
        line = f"the question has {len(question):,} characters; at most {settings.max_question_chars:,} are read"
        raise _Refused(400, line, code="context_length_exceeded", param="messages")
    return _Asked(chat, question, turns, _models(settings)[chat.model])


def _misunderstood(error: ValidationError) -> _Refused:
    first = error.errors(include_url=False, include_input=False)[0]
    param = ".".join(str(part) for part in first["loc"])
    return _Refused(400, f"{param or 'request'}: {first['msg'].removeprefix('Value error, ')}", param=param or None)


def _turns(messages: list[_Message]) -> History:
    """Return each question with the answer that followed it; the last one has none yet."""
    turns: History = []
    for message in messages:
        if message.role == "user":
            turns.append((message.text, ""))
        elif message.role == "assistant" and turns:
            turns[-1] = (turns[-1][0], answer_in(message.text))
    return turns


def _models(settings: Settings) -> dict[str, Mode]:
    return {name: mode for name, mode in _MODELS.items() if mode == "quotes" or settings.writes}


# -- what is answered --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reply:
    """The objects of one reply, which share an id, a time and a model."""

    id: str
    created: int
    model: str

    def whole(self, result: Result, usage: Record) -> Record:
        message = {"role": "assistant", "content": plain_text(result), "refusal": None, **_evidence(result)}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {**self._frame("chat.completion"), "choices": [choice], "usage": usage}

    def chunk(self, delta: Record, *, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _event({**self._frame("chat.completion.chunk"), "choices": [choice]})

    def usage(self, usage: Record) -> bytes:
        return _event({**self._frame("chat.completion.chunk"), "choices": [], "usage": usage})

    def _frame(self, kind: str) -> Record:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def _evidence(result: Result) -> Record:
    """Return what OpenAI's text cannot say: where each marker stands and points, and the record of ``rag ask``."""
    return {"annotations": _annotations(result), "footnote": ask_record(result)}


def _annotations(result: Result) -> list[Record]:
    found: list[Record] = []
    at = 0
    for claim in result.claims if isinstance(result, Answer) else ():
        at += len(claim.text) + 1
        for citation in claim.citations:
            end = at + len(f"[{citation.marker}]")
            place = f"{quote(citation.source)}#char={citation.span.start},{citation.span.end}"  # RFC 5147
            about = {"start_index": at, "end_index": end - 1, "title": citation.title, "url": place}
            found.append({"type": "url_citation", "url_citation": about})
            at = end
        at += 1
    return found


def _usage(asked: _Asked, result: Result) -> Record:
    prompt = sum(count_tokens(message.text) for message in asked.chat.messages)
    answered = count_tokens(plain_text(result))
    return {"prompt_tokens": prompt, "completion_tokens": answered, "total_tokens": prompt + answered}


def _event(value: Record) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


# -- answering ---------------------------------------------------------------------------------------------------------


class _Door:
    """Lets so many questions in at once and so many wait."""

    def __init__(self, rag: Rag) -> None:
        self._rag = rag
        self._places = anyio.Semaphore(AT_ONCE)

    def refuse_if_full(self) -> None:
        if self._places.statistics().tasks_waiting >= WAITING:
            raise _Refused(503, BUSY, code="overloaded")

    async def events(self, asked: _Asked) -> AsyncGenerator[Event, None]:
        """Yield the events of a question; closed early, as when its client leaves, nothing more is done for it."""
        async with self._places:
            stream = self._rag.stream(asked.question, history=asked.history, mode=asked.mode)
            try:
                while (event := await run_sync(next, stream, None)) is not None:
                    yield event
            finally:
                stream.close()  # type: ignore[attr-defined]


async def _whole(door: _Door, asked: _Asked, reply: _Reply, request: Request) -> Response:
    async with aclosing(door.events(asked)) as events:
        async for event in events:
            if isinstance(event, Answer | Abstention):
                return JSONResponse(reply.whole(event, await run_sync(_usage, asked, event)))
            if await request.is_disconnected():
                break
    return Response(status_code=499)  # as nginx says that the client has gone; nobody reads it


async def _streamed(door: _Door, asked: _Asked, reply: _Reply) -> AsyncIterator[bytes]:
    try:
        yield reply.chunk({"role": "assistant", "content": ""})
        async with aclosing(door.events(asked)) as events:
            async for chunk in _chunks(events, asked, reply):
                yield chunk
        yield b"data: [DONE]\n\n"
    except Exception as error:  # noqa: BLE001 - a user's request ends here
        yield _event(_refusal(error).body)


async def _chunks(events: AsyncIterator[Event], asked: _Asked, reply: _Reply) -> AsyncIterator[bytes]:
    said = ""
    async for event in events:
        if isinstance(event, Stage):
            yield f": {event.detail}\n\n".encode()  # a comment, which clients skip and which keeps proxies waiting
        elif isinstance(event, Claim):
            text = f"\n{event.marked}" if said else event.marked
            said += text
            yield reply.chunk({"content": text})
        else:
            yield reply.chunk({"content": plain_text(event).removeprefix(said), **_evidence(event)})
            yield reply.chunk({}, finish_reason="stop")
            if asked.chat.stream_options and asked.chat.stream_options.include_usage:
                yield reply.usage(await run_sync(_usage, asked, event))


def _refusal(error: Exception) -> _Refused:
    match error:
        case _Refused():
            return error
        case UsageError():
            return _Refused(400, str(error))
        case RagError():
            return _Refused(500, str(error))
        case HTTPException():
            return _Refused(error.status_code, error.detail)
    report(error)
    return _Refused(500, UNEXPECTED)


# -- the application ---------------------------------------------------------------------------------------------------


def completions(rag: Rag, *, accounts: Accounts) -> FastAPI:
    """Return the application that is mounted at ``/v1``."""
    api = FastAPI(openapi_url=None, dependencies=[Depends(_admission(accounts))])
    door = _Door(rag)

    @api.post("/chat/completions")
    async def complete(request: Request) -> Response:
        asked = _understood(await request.body(), rag.settings)
        door.refuse_if_full()
        reply = _Reply(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), asked.chat.model)
        if asked.chat.stream:
            return StreamingResponse(_streamed(door, asked, reply), media_type="text/event-stream")
        return await _whole(door, asked, reply, request)

    @api.get("/models")
    def models() -> Record:
        return {"object": "list", "data": [_model_record(name) for name in _models(rag.settings)]}

    @api.get("/models/{name}")
    def model(name: str) -> Record:
        if name not in _models(rag.settings):
            raise _Refused(404, f"there is no model {name[:80]!r}", code="model_not_found", param="model")
        return _model_record(name)

    async def told(_: Request, error: Exception) -> Response:
        refused = _refusal(error)
        return JSONResponse(refused.body, refused.status, _headers(refused.status))

    for kind in (_Refused, RagError, HTTPException, Exception):
        api.add_exception_handler(kind, told)
    return api


def _admission(accounts: Accounts) -> Callable[[Request], None]:
    def admitted(request: Request) -> None:
        if accounts and not accounts.allow(*_credentials(request.headers.get("authorization", ""))):
            raise _Refused(401, "who is asking? send user:password as the API key", code="invalid_api_key")

    return admitted


def _credentials(header: str) -> tuple[str, str]:
    """Return user and password of ``Bearer user:password``, which clients make of an API key, or of HTTP Basic."""
    scheme, given = get_authorization_scheme_param(header)
    try:
        pair = b64decode(given, validate=True).decode() if scheme.lower() == "basic" else given
    except ValueError:
        return "", ""
    user, _, password = pair.partition(":")
    return (user, password) if scheme.lower() in {"basic", "bearer"} else ("", "")


def _headers(status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": 'Basic realm="Footnote", charset="UTF-8"'}
    return {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}


def _model_record(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "footnote"}
