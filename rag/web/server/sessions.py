"""Sessions: a cookie for each browser and, if there are accounts, a login that expires.

The login is Footnote's own and protects everything but /v1, which requires the password with each request.
"""

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Callable
from importlib.resources import files
from string import Template
from urllib.parse import parse_qs

from fastapi.exception_handlers import http_exception_handler
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.web.server.auth import Accounts, TooManyGuesses
from rag.web.views.markup import problem

LOGIN_S = 12 * 60 * 60  # a working day; then the password is required again
_FORM_BYTES = 8 * 1024  # for a user name and a password
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

_log = logging.getLogger(__name__)


def visitor(scope: Scope, *, cookie: str) -> str:
    """Return the cookie that identifies this browser, or "" for a program without cookies."""
    token = Request(scope).cookies.get(cookie, "")
    return token if _TOKEN.fullmatch(token) else ""


class Entrance:
    """Gives each browser a cookie and, if there are accounts, admits only visitors who have logged in.

    A login always sets a new cookie, so that nobody can have planted it. The cookie becomes invalid after ``LOGIN_S``,
    on logout, and when the server stops.
    """

    def __init__(
        self, app: ASGIApp, *, accounts: Accounts, cookie: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.app = app
        self._accounts = accounts
        self._cookie = cookie
        self._clock = clock
        self._until: dict[str, float] = {}  # hash of a login's cookie -> when it ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, setting a cookie with the page, or answer it here."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/v1/"):
            await self.app(scope, receive, send)
        elif path in {"/login", "/logout"}:
            answer = self._log_in if path == "/login" and self._accounts else self._log_out
            await (await answer(Request(scope, receive)))(scope, receive, send)
        elif self._accounts and not self._is_in(visitor(scope, cookie=self._cookie)):
            await _closed(path)(scope, receive, send)
        else:
            is_new = path == "/" and not visitor(scope, cookie=self._cookie)
            await self.app(scope, receive, self._with_cookie(scope, send) if is_new else send)

    def _with_cookie(self, scope: Scope, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                giver = Response()
                self._give(giver, secrets.token_urlsafe(32), scope)
                MutableHeaders(scope=message).append("set-cookie", giver.headers["set-cookie"])
            await send(message)

        return sending

    def _give(self, response: Response, token: str, scope: Scope) -> None:
        response.set_cookie(self._cookie, token, httponly=True, samesite="lax", secure=scope["scheme"] == "https")

    async def _log_in(self, request: Request) -> Response:
        is_browser = "text/html" in request.headers.get("accept", "")
        try:
            user, password = await _credentials(request)
            if not self._accounts.admit(user, password, address=_address(request)):
                return _form("The name or the password is wrong.", 401) if is_browser else _closed("")
        except TooManyGuesses as error:
            retry = {"Retry-After": str(error.wait_s)}
            return _form(str(error), 429, retry) if is_browser else JSONResponse({"detail": str(error)}, 429, retry)
        except HTTPException as error:
            return await http_exception_handler(request, error)
        token = secrets.token_urlsafe(32)
        now = self._clock()
        self._until = {known: end for known, end in self._until.items() if end > now} | {_hash(token): now + LOGIN_S}
        answer = RedirectResponse("./", 303) if is_browser else JSONResponse({"success": True})
        self._give(answer, token, request.scope)
        return answer

    async def _log_out(self, request: Request) -> Response:
        self._until.pop(_hash(visitor(request.scope, cookie=self._cookie)), None)
        answer = RedirectResponse("./", 303, {"Clear-Site-Data": '"storage"'})  # the next to log in is somebody else
        answer.delete_cookie(self._cookie, httponly=True, samesite="lax")
        return answer

    def _is_in(self, token: str) -> bool:
        return self._until.get(_hash(token), 0.0) > self._clock()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()  # looking up a hash leaks nothing through timing


async def _credentials(request: Request) -> tuple[str, str]:
    """Return user and password from the form sent by the login page or by gradio_client."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_BYTES:
            raise HTTPException(413, "this is more than a name and a password")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=8)
    except ValueError:
        raise HTTPException(400, "send username and password as a form") from None
    return fields.get("username", [""])[0], fields.get("password", [""])[0]


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _closed(path: str) -> Response:
    """Return the login page for a request of the page, else a JSON refusal for programs."""
    return (
        _form("", 401)
        if path == "/"
        else JSONResponse({"detail": "not logged in, or the login has ended; load the page again"}, 401)
    )


def _form(line: str, status: int, headers: dict[str, str] | None = None) -> Response:
    page = Template(files("rag.web").joinpath("static/login.html").read_text(encoding="utf-8"))
    return HTMLResponse(page.substitute(line=problem(line) if line else ""), status, headers)
