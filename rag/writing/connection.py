"""The connection of one request to a language model: what is told on it, and for how long it may last."""

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
    """Yield a client for one request, whose end closes the connection, and so cancels what is still being written.

    headers: what is sent beside the plain ones. silence_s: how long words may stay out. deadline: on the clock of
    time.monotonic, when the connection is cut, whatever the server does.
    """
    import httpx  # noqa: PLC0415 - comes with the SDKs, which are imported at the first prompt

    class Watched(httpx.SyncByteStream):
        """A body that ends with a time-out where words stay out while other bytes come.

        Servers keep a connection alive by comments (": ping"). They reset the client's clock, and are no words.
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
        is_here = urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}  # a proxy must not see it
        with httpx.Client(event_hooks=hooks, trust_env=not is_here) as client:
            yield client


def _tell_nothing_else(request: "httpx.Request", headers: Mapping[str, str]) -> None:
    """Leave only these headers, the plain ones and those of HTTP itself.

    The SDKs would add this machine's system and versions, its owner's accounts, and whatever headers the environment
    has for another service. Nothing says that an answer may be compressed: it is small, and might be made to swell.
    """
    http = {"host": request.url.netloc.decode("ascii"), "content-length": str(len(request.read()))}
    sent = {**_PLAIN_HEADERS, **headers, **http}
    if request.url.userinfo:  # the user and password of the address go before the key
        sent["authorization"] = request.headers["authorization"]
    request.headers = type(request.headers)(sent)


@contextmanager
def _cut_at(deadline: float) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """Yield a listener to the events of httpcore that ends every connection they tell of at the deadline.

    A client's time-out begins anew at each byte, of a header as of an answer, so it never ends a server that drips.
    Looking up a name is not covered: it ends when the system gives up.
    """
    connected: list[socket.socket] = []
    lock = threading.Lock()  # the deadline may come while a connection is made

    def cut() -> None:
        with lock:
            for each in connected:
                with suppress(OSError):  # the server has gone already
                    each.shutdown(socket.SHUT_RDWR)

    def on_event(event: str, about: dict[str, Any]) -> None:
        if event.endswith("connect_tcp.complete"):
            with lock:  # a second handle, since TLS takes the first one over
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
