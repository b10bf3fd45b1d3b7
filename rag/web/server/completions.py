"""Footnote as a model for existing chat clients: OpenAI's chat completions protocol under ``/v1``.

Requests are parsed by ``rag.web.server.chat`` and answered by ``Rag.stream``.
"""

import json
import time
import uuid
from base64 import b64decode
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security.utils import get_authorization_scheme_param
from starlette.exceptions import HTTPException

from rag.answer_text import plain_text
from rag.engine import Event, Rag, Stage
from rag.errors import RagError, UsageError
from rag.records import Record, ask_record
from rag.text.tokens import count_tokens
from rag.values import Abstention, Answer, Claim, Result
from rag.web.server.api import UNEXPECTED, report
from rag.web.server.auth import Accounts, TooManyGuesses
from rag.web.server.chat import ChatRequest, Refused, models, understood
from rag.web.server.limits import AT_ONCE, BUSY, RETRY_AFTER_S, WAITING

# -- what is answered --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reply:
    """Builds the objects of one reply, which share an id, a time and a model."""

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
    """Return what plain text cannot carry: where each marker stands and points, and the record of ``rag ask``."""
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


def _usage(asked: ChatRequest, result: Result) -> Record:
    prompt = sum(count_tokens(message.text) for message in asked.chat.messages)
    answered = count_tokens(plain_text(result))
    return {"prompt_tokens": prompt, "completion_tokens": answered, "total_tokens": prompt + answered}


def _event(value: Record) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


# -- answering ---------------------------------------------------------------------------------------------------------


class _Door:
    """Limits how many questions are answered at once and how many may wait."""

    def __init__(self, rag: Rag) -> None:
        self._rag = rag
        self._places = anyio.Semaphore(AT_ONCE)

    def refuse_if_full(self) -> None:
        if self._places.statistics().tasks_waiting >= WAITING:
            raise Refused(503, BUSY, code="overloaded")

    async def events(self, asked: ChatRequest) -> AsyncGenerator[Event, None]:
        """Yield the events of a question; closing early, as when the client leaves, stops the work."""
        async with self._places:
            stream = self._rag.stream(asked.question, history=asked.history, mode=asked.mode)
            try:
                while (event := await run_sync(next, stream, None)) is not None:
                    yield event
            finally:
                stream.close()  # type: ignore[attr-defined]


async def _whole(door: _Door, asked: ChatRequest, reply: _Reply, request: Request) -> Response:
    async with aclosing(door.events(asked)) as events:
        async for event in events:
            if isinstance(event, Answer | Abstention):
                return JSONResponse(reply.whole(event, await run_sync(_usage, asked, event)))
            if await request.is_disconnected():
                break
    return Response(status_code=499)  # nginx's code for a client that has gone; nobody reads it


async def _streamed(door: _Door, asked: ChatRequest, reply: _Reply) -> AsyncIterator[bytes]:
    try:
        yield reply.chunk({"role": "assistant", "content": ""})
        async with aclosing(door.events(asked)) as events:
            async for chunk in _chunks(events, asked, reply):
                yield chunk
        yield b"data: [DONE]\n\n"
    except Exception as error:  # noqa: BLE001 - boundary of a user's request
        yield _event(_refusal(error).body)


async def _chunks(events: AsyncIterator[Event], asked: ChatRequest, reply: _Reply) -> AsyncIterator[bytes]:
    said = ""
    async for event in events:
        if isinstance(event, Stage):
            yield f": {event.detail}\n\n".encode()  # an SSE comment: clients skip it, proxies stay connected
        elif isinstance(event, Claim):
            text = f"\n{event.marked}" if said else event.marked
            said += text
            yield reply.chunk({"content": text})
        else:
            yield reply.chunk({"content": plain_text(event).removeprefix(said), **_evidence(event)})
            yield reply.chunk({}, finish_reason="stop")
            if asked.chat.stream_options and asked.chat.stream_options.include_usage:
                yield reply.usage(await run_sync(_usage, asked, event))


def _refusal(error: Exception) -> Refused:
    match error:
        case Refused():
            return error
        case TooManyGuesses():
            return Refused(429, str(error), code="rate_limit_exceeded")
        case UsageError():
            return Refused(400, str(error))
        case RagError():
            return Refused(500, str(error))
        case HTTPException():
            return Refused(error.status_code, error.detail)
    report(error)
    return Refused(500, UNEXPECTED)


# -- the application ---------------------------------------------------------------------------------------------------


def completions(rag: Rag, *, accounts: Accounts) -> FastAPI:
    """Return the application to mount at ``/v1``."""
    api = FastAPI(openapi_url=None, dependencies=[Depends(_admission(accounts))])
    door = _Door(rag)

    @api.post("/chat/completions")
    async def complete(request: Request) -> Response:
        asked = understood(await request.body(), settings=rag.settings)
        door.refuse_if_full()
        reply = _Reply(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), asked.chat.model)
        if asked.chat.stream:
            return StreamingResponse(_streamed(door, asked, reply), media_type="text/event-stream")
        return await _whole(door, asked, reply, request)

    @api.get("/models")
    def list_models() -> Record:
        return {"object": "list", "data": [_model_record(name) for name in models(rag.settings)]}

    @api.get("/models/{name}")
    def retrieve_model(name: str) -> Record:
        if name not in models(rag.settings):
            raise Refused(404, f"there is no model {name[:80]!r}", code="model_not_found", param="model")
        return _model_record(name)

    async def told(_: Request, error: Exception) -> Response:
        refused = _refusal(error)
        return JSONResponse(refused.body, refused.status, _headers(refused.status, error))

    for kind in (Refused, TooManyGuesses, RagError, HTTPException, Exception):
        api.add_exception_handler(kind, told)
    return api


def _admission(accounts: Accounts) -> Callable[[Request], None]:
    def admitted(request: Request) -> None:
        if not accounts:
            return
        user, password = _credentials(request.headers.get("authorization", ""))
        address = request.client.host if request.client else ""
        if not user or not accounts.admit(user, password, address=address):
            raise Refused(401, "who is asking? send user:password as the API key", code="invalid_api_key")

    return admitted


def _credentials(header: str) -> tuple[str, str]:
    """Return user and password from ``Bearer user:password`` (how clients send an API key) or from HTTP Basic."""
    scheme, given = get_authorization_scheme_param(header)
    try:
        pair = b64decode(given, validate=True).decode() if scheme.lower() == "basic" else given
    except ValueError:
        return "", ""
    user, _, password = pair.partition(":")
    return (user, password) if scheme.lower() in {"basic", "bearer"} else ("", "")


def _headers(status: int, error: Exception) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": 'Basic realm="Footnote", charset="UTF-8"'}
    if isinstance(error, TooManyGuesses):
        return {"Retry-After": str(error.wait_s)}
    return {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}


def _model_record(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "footnote"}
