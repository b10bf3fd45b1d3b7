"""Serves Footnote: one port for readers and programs, with limits and a login.

    request -> host, origin -> known route -> size of the body -> login -> /v1 (rag.web.server.completions)
                                                                        -> /upload (rag.web.server.uploads)
                                                                        -> known call -> the page (Gradio)

SECURITY.md describes what this guarantees.
"""

import errno
import ipaddress
import logging
import os
import socket
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse, Response
from starlette.middleware import Middleware
from uvicorn.protocols.http.h11_impl import H11Protocol

from rag.engine import Rag
from rag.errors import PortInUse, RagError
from rag.web.page import build, handlers_of
from rag.web.server import auth
from rag.web.server.auth import Accounts, read_accounts
from rag.web.server.completions import completions
from rag.web.server.guard import BodyLimit, KnownAddress, Restrained
from rag.web.server.limits import AT_ONCE, BUSY, RETRY_AFTER_S, WAITING
from rag.web.server.routes import KnownCalls, KnownRoutes
from rag.web.server.sessions import Entrance
from rag.web.server.uploads import uploads

_CONNECTIONS = 512  # a reader's tab holds two; further connections get 503 before anything is read
_REQUEST_LINE_S = 10  # from connecting to the end of the headers
_HEADER_BYTES = 32 * 1024
_FAREWELL_S = 1  # grace period when the server stops; streams to open pages never end by themselves

_log = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def serve(rag: Rag) -> None:
    """Serve at the configured address until interrupted; raises PortInUse and SettingsError."""
    host, port = rag.settings.host, rag.settings.port
    accounts = read_accounts(rag.settings.auth.get_secret_value())
    logging.getLogger(auth.__name__).setLevel(logging.WARNING)  # log password guessing even if all else is quiet
    listener, address = _listen(host, port)
    with listener:
        if not (address.is_loopback or accounts):
            sys.stderr.write(f"rag: {host} can be reached from other machines, and the page has no login\n")
        app = application(rag, accounts=accounts, hosts=_names(host) if address.is_loopback else None)
        threading.Thread(target=_warm_up, args=(rag,), daemon=True).start()  # while the first question is typed
        with suppress(KeyboardInterrupt), _reticent():
            # The socket already listens, so connections made from now on wait until they are served.
            sys.stdout.write(f"Footnote: http://{_in_url(host, address)}:{port}\n")
            sys.stdout.flush()
            uvicorn.Server(_configured(app)).run(sockets=[listener])


def application(rag: Rag, *, accounts: Accounts, hosts: Collection[str] | None) -> FastAPI:
    """Return the complete ASGI application; hosts as in ``KnownAddress``."""
    script, cookie = _asset("page.js"), f"footnote-{rag.settings.port}"  # browsers share cookies across ports
    page = build(rag, has_login=bool(accounts))
    app = FastAPI(
        openapi_url=None,
        middleware=[
            Middleware(Restrained, scripts=[script]),
            Middleware(KnownAddress, hosts=hosts),
            Middleware(KnownRoutes),
            Middleware(BodyLimit, max_file_mb=rag.settings.max_file_mb),
            Middleware(Entrance, accounts=accounts, cookie=cookie),
            Middleware(KnownCalls, names=handlers_of(page), cookie=cookie),
        ],
    )
    app.mount("/v1", completions(rag, accounts=accounts))
    app.include_router(uploads(rag))
    page.queue(default_concurrency_limit=AT_ONCE, max_size=WAITING, api_open=False)
    served: FastAPI = gr.mount_gradio_app(
        app,
        page,
        path="/",
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        run_history=False,  # otherwise the browser would store every question
        enable_monitoring=False,
        show_error=False,
        footer_links=[],
        app_kwargs={"openapi_url": None, "exception_handlers": {HTTPException: _told}},
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        head=f"<style>{_asset('style.css')}</style><script>{script}</script>",
    )
    return served


async def _told(request: Request, error: HTTPException) -> Response:
    """Answer like FastAPI, but replace Gradio's own message for a full queue."""
    if error.status_code == 503:
        return JSONResponse({"detail": BUSY}, 503, {"Retry-After": str(RETRY_AFTER_S)})
    return await http_exception_handler(request, error)


class _Punctual(H11Protocol):
    """Closes connections whose headers do not arrive in time; uvicorn would wait forever."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(_REQUEST_LINE_S, self._end_unless_begun, None)

    def on_response_complete(self) -> None:
        done = self.cycle
        super().on_response_complete()  # begins the next request if it has arrived whole
        if self.cycle is done:
            self.loop.call_later(_REQUEST_LINE_S, self._end_unless_begun, done)

    def _end_unless_begun(self, last: Any) -> None:
        if self.cycle is last and not self.transport.is_closing():
            self.transport.close()


def _configured(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Punctual,
        ws="none",
        log_config=None,
        log_level=None if _log.isEnabledFor(logging.DEBUG) else "critical",  # a client leaving is not an error
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_FAREWELL_S,
    )


@contextmanager
def _reticent() -> Iterator[None]:
    """Suppress what Gradio prints, because it dumps the data of failed calls. Logging is not affected."""
    if _log.isEnabledFor(logging.DEBUG):
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        yield


def _listen(host: str, port: int) -> tuple[socket.socket, Address]:
    """Return a listening socket and the address of the host name."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = listening(str(address[0]), port, family=family)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    return listener, ipaddress.ip_address(str(address[0]).partition("%")[0])


def listening(host: str, port: int, *, family: int = socket.AF_INET) -> socket.socket:
    """Return a listening socket whose connections send data immediately (TCP_NODELAY).

    asyncio sets this option only on sockets with an explicit protocol, which ``create_server`` does not give. Without
    it, every response sent in two parts waited some 40 ms for the client to acknowledge the first.
    """
    listener = socket.create_server((host, port), family=family, backlog=128)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _names(host: str) -> set[str]:
    return {"localhost", "127.0.0.1", "::1", host.lower()}


def _in_url(host: str, address: Address) -> str:
    if address.is_unspecified:
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _warm_up(rag: Rag) -> None:
    with suppress(RagError):  # the first question hits the same error and shows it to the reader
        rag.warm_up()


def _cannot_listen(host: str, port: int, error: OSError) -> PortInUse:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"{host}:{port}: another program listens there; choose another port with --port or RAG_PORT")
    return PortInUse(
        f"{host}:{port}: cannot listen there ({error.strerror}); choose another address with --host and --port"
    )


def _asset(name: str) -> str:
    return files("rag.web").joinpath("static", name).read_text(encoding="utf-8")
