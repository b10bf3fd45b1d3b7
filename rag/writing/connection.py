"""The HTTP connection for one request to a language model: what is sent and how long it may last."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

_PLAIN_HEADERS = {"accept": "application/json", "content-type": "application/json", "user-agent": "footnote-rag"}


@contextmanager
def connection(
    base_url: str, *, headers: Mapping[str, str], silence_s: float, deadline: float
) -> "Iterator[httpx.Client]":
    """Yield a client for one request; leaving the context closes the connection, which cancels a running answer.

    headers: sent in addition to the plain ones. silence_s: how long the server may send no words. deadline: when the
    connection is cut, whatever the server does, on the time.monotonic clock.
    """
    import httpx  # noqa: PLC0415 - comes with the SDKs, which are imported at the first prompt

    class Watched(httpx.SyncByteStream):
        """A response body that times out if only bytes without words arrive.

        Servers keep connections alive with comments (": ping"), which reset the client's timer but carry no words.
        """

        def __init__(self, body: Any) -> None:
            self._body = body

        def __iter__(self) -> Iterator[bytes]:
            heard = time.monotonic()
            for chunk in self._body:
                now = time.monotonic()
                events = filter(bytes.strip, chunk.replace(b"\r", b"").split(b"\n\n"))
                if not all(event.lstrip().startswith((b":", b"event: ping")) for event in events):
                    heard = now
                if now > heard + silence_s:
                    raise httpx.ReadTimeout("no words")
                yield chunk

        def close(self) -> None:
            self._body.close()

    def watch(response: httpx.Response) -> None:
        response.stream = Watched(response.stream)

    with _cut_at(deadline) as on_event:

        def prepare(request: httpx.Request) -> None:
            _tell_nothing_else(request, headers)
            request.extensions["trace"] = on_event

        hooks: Any = {"request": [prepare], "response": [watch]}
        is_here = urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}  # bypass proxies
        with httpx.Client(event_hooks=hooks, trust_env=not is_here) as client:
            yield client


def _tell_nothing_else(request: "httpx.Request", headers: Mapping[str, str]) -> None:
    """Strip all headers except the given ones, the plain ones and those that HTTP needs.

    The SDKs would add this machine's system and versions, its owner's accounts, and any headers that the environment
    sets for another service. Compression is not offered: answers are small, and a compressed one could be a bomb.
    """
    http = {"host": request.url.netloc.decode("ascii"), "content-length": str(len(request.read()))}
    sent = {**_PLAIN_HEADERS, **headers, **http}
    if request.url.userinfo:  # a user and password in the address take precedence over the key
        sent["authorization"] = request.headers["authorization"]
    request.headers = type(request.headers)(sent)


@contextmanager
def _cut_at(deadline: float) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Yield an httpcore trace listener that cuts every connection it hears of at the deadline.

    A client's timeout restarts with each byte, of headers and body alike, so it never stops a server that drips.
    Name lookups are not covered: they end when the system gives up.
    """
    connected: list[socket.socket] = []
    lock = threading.Lock()  # the deadline may pass while connecting

    def cut() -> None:
        with lock:
            for each in connected:
                with suppress(OSError):  # already closed by the server
                    each.shutdown(socket.SHUT_RDWR)

    def on_event(event: str, about: dict[str, Any]) -> None:
        if event.endswith("connect_tcp.complete"):
            with lock:  # duplicate the handle, since TLS takes over the original
                connected.append(about["return_value"].get_extra_info("socket").dup())
            if time.monotonic() >= deadline:
                cut()

    timer = threading.Timer(deadline - time.monotonic(), cut)
    timer.daemon = True
    timer.start()
    try:
        yield on_event
    finally:
        timer.cancel()
        with lock:
            for each in connected:
                each.close()
            connected.clear()
