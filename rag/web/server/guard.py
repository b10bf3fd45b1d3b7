"""ASGI middleware that every request and response passes through.

Each class does one thing: refuse requests from other origins, limit the size and time of bodies, and forbid the browser
whatever the page does not need.
"""

import base64
import hashlib
import re
import time
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

import anyio
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.web.server.limits import MAX_BODY_MB, MAX_CHAT_MB, MAX_UPLOAD_FILES

_API = "/gradio_api/"  # events
_UPLOADS = "/upload"
_SLOWEST_BYTES_S = 1000  # on average; a byte now and then would hold a connection for days
_SILENCE_S = 20.0  # how long a client may pause while sending a request
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers without frame-ancestors
    "Referrer-Policy": "same-origin",  # URLs may contain a question; "no-referrer" would remove a form's origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# What Gradio 6.31 needs, tested one by one in Chromium: it compiles the templates of gr.HTML ('unsafe-eval'), sets
# inline styles, and sets the base URL. It does not need inline scripts or handlers, so document text that became markup
# by mistake could not run anything.
_PAGE = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_OTHER = "default-src 'none'; frame-ancestors 'none'; sandbox"  # a file opened by its URL cannot run anything


class KnownAddress:
    """Refuses requests from pages of other origins, and those made through DNS rebinding.

    hosts: host names that Footnote answers to, without ports; None allows any, for an address that others may reach by
    names unknown to us.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] | None) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on requests without an origin, as from programs, or whose origin matches their host."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.hosts is not None and _name(host) not in self.hosts:
            return _refused(421, f"Footnote does not answer as {host[:80]!r}; open the address that it printed")
        if origin is not None and origin.partition("://")[2] != host:
            return _refused(403, "a page of another origin asked; open Footnote's own")
        return None


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # an unclosed bracket
        return ""


def _refused(status: int, message: str) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status)


class BodyLimit:
    """Rejects a request as soon as its body turns out to be too large, too slow or to have too many files.

    The exception is raised where the body is read, so that the page and programs each get their own form of error.
    """

    def __init__(self, app: ASGIApp, *, max_file_mb: int) -> None:
        self.app = app
        self.max_file_mb = max_file_mb

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a ``receive`` that checks the body."""
        if scope["type"] == "http":
            receive = _Body(receive, Headers(scope=scope), max_mb=self._max_mb(scope["path"])).receive
        await self.app(scope, receive, send)

    def _max_mb(self, path: str) -> int:
        if path == _UPLOADS:
            return self.max_file_mb * MAX_UPLOAD_FILES
        return MAX_CHAT_MB if path.startswith("/v1/") else MAX_BODY_MB


class _Body:
    """The incoming body of one request."""

    def __init__(self, receive: Receive, headers: Headers, *, max_mb: int) -> None:
        _, options = parse_options_header(headers.get("content-type", ""))
        self._receive = receive
        self._max_mb = max_mb
        self._n_bytes = int(headers.get("content-length", "0"))  # uvicorn has checked that it is a number
        self._n_read = 0
        self._since = time.monotonic()
        self._between = b"--" + options.get(b"boundary", b"") if b"boundary" in options else b""
        self._n_between = 0
        self._end = b""  # tail of what was read, which may contain the beginning of a boundary
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()  # the disconnect, which has no time limit
        self._check()
        message = await _in_time(self._receive)
        self._count(message.get("body", b""))
        self._check()
        self._is_whole = not message.get("more_body", False)
        return message

    def _count(self, body: bytes) -> None:
        self._n_read += len(body)
        if self._between:
            seen = self._end + body
            self._n_between += seen.count(self._between)
            self._end = seen[-len(self._between) + 1 :]

    def _check(self) -> None:
        if max(self._n_bytes, self._n_read) > self._max_mb * 1024 * 1024:
            raise HTTPException(413, f"the request is larger than {self._max_mb} MB; send less at once")
        if time.monotonic() > self._since + _SILENCE_S + self._n_read / _SLOWEST_BYTES_S:
            raise HTTPException(408, f"fewer than {_SLOWEST_BYTES_S:,} bytes a second came; send the request again")
        if self._n_between > MAX_UPLOAD_FILES + 1:  # one boundary before each file and one at the end
            raise HTTPException(413, f"these are more than {MAX_UPLOAD_FILES} files; send fewer at once")


async def _in_time(receive: Receive) -> Message:
    try:
        with anyio.fail_after(_SILENCE_S):
            return await receive()
    except TimeoutError:
        raise HTTPException(408, f"nothing came for {_SILENCE_S:.0f} seconds; send the request again") from None


class Restrained:
    """Adds headers to every response that forbid the browser whatever Footnote does not need.

    The policy of the page allows scripts by hash: those in its HTML and ``scripts``, which Gradio inserts later. For
    this the page is buffered and sent uncompressed. An uploaded file never counts as a page, whatever its type.
    """

    def __init__(self, app: ASGIApp, *, scripts: Iterable[str]) -> None:
        self.app = app
        self.scripts = [_hash(script.encode()) for script in scripts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add headers to the response."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            scripts = None if scope["path"].startswith(_API) else self.scripts
            await self.app(_uncompressed(scope), receive, _Restraining(send, scripts).send)


def _uncompressed(scope: Scope) -> Scope:
    if "text/html" not in Headers(scope=scope).get("accept", ""):
        return scope
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]}


class _Restraining:
    """One response; the start of a page is held back until its HTML is complete. scripts: None if it is not a page."""

    def __init__(self, send: Send, scripts: list[str] | None) -> None:
        self._send = send
        self._scripts = scripts
        self._start: Message = {}
        self._html: bytes | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(_ALWAYS)
            if self._scripts is not None and headers.get("content-type", "").startswith("text/html"):
                self._start, self._html = message, b""
                return
            headers["Content-Security-Policy"] = _OTHER
        elif self._html is not None and message["type"] == "http.response.body":
            self._html += message.get("body", b"")
            if message.get("more_body"):
                return
            hashes = " ".join([*(self._scripts or ()), *map(_hash, _INLINE_SCRIPT.findall(self._html))])
            MutableHeaders(scope=self._start)["Content-Security-Policy"] = _PAGE.format(hashes=hashes)
            await self._send(self._start)
            message = {"type": "http.response.body", "body": self._html}
        await self._send(message)


def _hash(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
