"""What every request passes before anything answers it, and what every response carries.

ASGI middleware, each doing one thing: requests of foreign pages are refused, bodies are limited in size and time,
responses forbid the browser what the page does not need.
"""

import base64
import hashlib
import re
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
_SILENCE_S = 20.0  # how long a client may send nothing while it owes the rest of its request
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # frame-ancestors, for browsers that do not know it
    "Referrer-Policy": "same-origin",  # the address may hold a question; without any, a form has no origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# What Gradio 6.31 needs, tried in Chromium one by one: it makes functions of the templates of gr.HTML ('unsafe-eval'),
# puts styles on elements, and sets the base of its links. Inline scripts and handlers it does not need: document text
# that became markup by mistake would run nothing.
_PAGE = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' {hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_OTHER = "default-src 'none'; frame-ancestors 'none'; sandbox"  # a file opened by its address runs nothing


class KnownAddress:
    """Refuses what a page of elsewhere sends: by its own name, or by one that it made lead here (DNS rebinding).

    hosts: names under which Footnote answers, without ports; None is any, for an address that others reach by names
    which nobody has told us.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] | None) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass what names no origin, as programs do, or that of the address it was sent to."""
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
    except ValueError:  # a bracket that does not close
        return ""


def _refused(status: int, message: str) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status)


class BodyLimit:
    """Ends a request whose body is too large, too slow or of too many files, before it is read or as soon as it shows.

    The exception is raised where the body is read, so that page and programs are told in their own form.
    """

    def __init__(self, app: ASGIApp, *, max_file_mb: int) -> None:
        self.app = app
        self.max_file_mb = max_file_mb

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a ``receive`` that looks at what comes."""
        if scope["type"] == "http":
            receive = _Body(receive, Headers(scope=scope), max_mb=self._max_mb(scope["path"])).receive
        await self.app(scope, receive, send)

    def _max_mb(self, path: str) -> int:
        if path == _UPLOADS:
            return self.max_file_mb * MAX_UPLOAD_FILES
        return MAX_CHAT_MB if path.startswith("/v1/") else MAX_BODY_MB


class _Body:
    """The body of one request as it comes in."""

    def __init__(self, receive: Receive, headers: Headers, *, max_mb: int) -> None:
        _, options = parse_options_header(headers.get("content-type", ""))
        self._receive = receive
        self._max_mb = max_mb
        self._n_bytes = int(headers.get("content-length", "0"))  # uvicorn has seen that it is a number
        self._n_read = 0
        self._between = b"--" + options.get(b"boundary", b"") if b"boundary" in options else b""
        self._n_between = 0
        self._end = b""  # of what was read, in which the beginning of a boundary may stand
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()  # that the client has left, which may take as long as it likes
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
        if self._n_between > MAX_UPLOAD_FILES + 1:  # one stands before each file, and one at the end
            raise HTTPException(413, f"these are more than {MAX_UPLOAD_FILES} files; send fewer at once")


async def _in_time(receive: Receive) -> Message:
    try:
        with anyio.fail_after(_SILENCE_S):
            return await receive()
    except TimeoutError:
        raise HTTPException(408, f"nothing came for {_SILENCE_S:.0f} seconds; send the request again") from None


class Restrained:
    """Sends headers with every response that forbid the browser whatever Footnote does not need.

    The page names the scripts that may run by their hashes: those it is sent with and ``scripts``, which Gradio inserts
    later. It is held back for that, and comes uncompressed. A file that somebody uploaded is no page, whatever it is.
    """

    def __init__(self, app: ASGIApp, *, scripts: Iterable[str]) -> None:
        self.app = app
        self.scripts = [_hash(script.encode()) for script in scripts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the response is looked at on its way."""
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
    """One response; the start of a page is held back until its HTML is whole. scripts: None where no page is."""

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
