"""Allowlist for Gradio's server: the routes that the page and gradio_client need, and calls of known handlers.

Gradio opens some sixty routes for files, proxies, streams, links, components and its own tools. Here, any route that is
not listed gives 404, with or without a login, and a call reaches Gradio only if its values match
``rag.web.server.handlers`` and its page belongs to the caller.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi.exception_handlers import http_exception_handler
from pydantic import BaseModel, Field, StringConstraints, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.web.server.handlers import FOR_PROGRAMS, HANDLERS, checker
from rag.web.server.sessions import visitor

_API = "/gradio_api"
_V1 = "/v1/"  # a mounted application with its own routes only
_FILE = r"[A-Za-z0-9_@+-][A-Za-z0-9_@+.-]*"  # files of the front end, none of which begins with a dot
_ID = r"[A-Za-z0-9-]{6,64}"  # of a page, chosen at random by the browser, or of an event
_PROGRAMS = "|".join(FOR_PROGRAMS)
_CALLS = {
    f"{_API}/queue/join",
    f"{_API}/run/predict",
}  # queued and immediate calls
_DATA = f"{_API}/queue/data"
_HEARTBEAT = f"{_API}/heartbeat/"
_CALL = re.compile(rf"{_API}/call/({_PROGRAMS})")
_EVENT = re.compile(rf"{_API}/call/(?:{_PROGRAMS})/([0-9a-f]{{32}})")  # its id, which Gradio draws and a caller is told
_OPEN: Mapping[str, re.Pattern[str]] = {
    "GET": re.compile(
        rf"/|/config|/theme\.css|/favicon\.ico|/(?:assets|static)(?:/{_FILE})+"
        rf"|{_API}/(?:info|startup-events|queue/data|heartbeat/{_ID})|{_EVENT.pattern}"
    ),
    "HEAD": re.compile("/"),
    "POST": re.compile(rf"{'|'.join(_CALLS)}|{_CALL.pattern}|/upload|/log(?:in|out)"),
}
_PAGES_KNOWN = 10_000  # pages whose owner is remembered; the least recently used are forgotten first


class KnownRoutes:
    """Answers 404 for every route that is not listed, and strips query strings from page requests."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on known routes; websockets are not supported."""
        if scope["type"] == "http":
            known = _OPEN.get(scope["method"])
            is_open = scope["path"].startswith(_V1) or (known and known.fullmatch(scope["path"]))
            if not is_open:
                await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)
                return
            if scope["path"] != _DATA:  # only page.js reads a question in the URL; Gradio would follow deep_link=
                scope = {**scope, "query_string": b""}
        elif scope["type"] != "lifespan":
            return
        await self.app(scope, receive, send)


class _Call(BaseModel):
    """The fields of a call that are passed on. session_hash: the id of the calling page, chosen by the page itself."""

    data: list[Any] = Field(max_length=16)
    fn_index: Annotated[int, Field(strict=True, ge=0)] | None = None
    session_hash: Annotated[str, StringConstraints(strict=True, pattern=f"^{_ID}$")] | None = None
    trigger_id: Annotated[int, Field(strict=True)] | None = None


class KnownCalls:
    """Passes on calls that a known handler accepts and that come from the visitor who owns the page.

    names: Gradio's handler number -> handler name. A page belongs to the visitor who first used its id, so that knowing
    the id is not enough to read or stop what is asked there.
    """

    def __init__(self, app: ASGIApp, *, names: Mapping[int, str], cookie: str) -> None:
        self.app = app
        self.names = names
        self._cookie = cookie
        self._checkers = {name: checker(name) for name in HANDLERS}
        self._owners: OrderedDict[str, bytes] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check calls and requests for a page's events; pass everything else on."""
        path = scope.get("path", "")
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif path in _CALLS or _CALL.fullmatch(path):
            await self._call(scope, receive, send)
        elif self._is_of_another(scope):
            await _NOT_YOURS(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            call = await run_sync(self._understood, scope["path"], await request.body())
        except (ValidationError, LookupError, RecursionError):
            await _NOT_UNDERSTOOD(scope, receive, send)
        except HTTPException as error:  # the body is too large or does not arrive
            await (await http_exception_handler(request, error))(scope, receive, send)
        else:
            if call.session_hash is not None and not self._is_own(call.session_hash, scope):
                await _NOT_YOURS(scope, receive, send)
            else:
                await self.app(*_carrying(call.model_dump_json().encode(), scope, receive), send)

    def _understood(self, path: str, body: bytes) -> _Call:
        """Return the call; raises ValidationError or LookupError if no handler accepts it."""
        call = _Call.model_validate_json(body)
        if named := _CALL.fullmatch(path):
            if call.fn_index is not None or call.session_hash is not None:
                raise LookupError("a call by name has neither")
            name = named[1]
        else:
            if call.session_hash is None:
                raise LookupError("whose call is it?")
            name = self.names[-1 if call.fn_index is None else call.fn_index]
        self._checkers[name].validate_python(call.data)
        return call

    def _is_of_another(self, scope: Scope) -> bool:
        """Whether this asks for the events of another visitor's page."""
        if event := _EVENT.fullmatch(scope["path"]):
            return event[1] in self._owners  # where Gradio has no such event, it takes the id for a page's
        page_id = _listened_to(scope)
        return page_id is not None and not self._is_own(page_id, scope)

    def _is_own(self, page_id: str, scope: Scope) -> bool:
        """Whether a page belongs to this visitor; an unused page id is claimed by the call."""
        if not page_id:
            return False
        owner = hashlib.sha256(visitor(scope, cookie=self._cookie).encode()).digest()
        self._owners.setdefault(page_id, owner)
        self._owners.move_to_end(page_id)
        if len(self._owners) > _PAGES_KNOWN:
            self._owners.popitem(last=False)
        return self._owners[page_id] == owner


def _listened_to(scope: Scope) -> str | None:
    """Return the id of the page whose events are requested, "" if malformed; None for any other request."""
    path: str = scope["path"]
    if path.startswith(_HEARTBEAT):
        return path.removeprefix(_HEARTBEAT)
    if path == _DATA:
        named = re.fullmatch(rf"session_hash=({_ID})", scope["query_string"].decode("latin-1"))
        return named[1] if named else ""
    return None


def _carrying(body: bytes, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
    """Return a request with this body in place of the one already read."""
    headers = [(name, value) for name, value in scope["headers"] if name not in {b"content-length", b"content-type"}]
    headers += [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    read = False

    async def receive_body() -> Message:
        nonlocal read
        if read:
            return await receive()  # the disconnect
        read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return {**scope, "headers": headers}, receive_body


_NOT_UNDERSTOOD = JSONResponse({"detail": "the server does not understand this call; load the page again"}, 400)
_NOT_YOURS = JSONResponse({"detail": "this page belongs to somebody else; load it again"}, 403)
