"""A server that speaks the protocols of language models, as well or as badly as a test asks for.

    server.behave = says("Tokayev won. [1]")                     # the same for every request
    server.behave = says(lambda request: answer_to(request))     # scripted: the prompt is in prompt_of(request)
    server.behave = first(fails(500), says("Tokayev won. [1]"))  # one behaviour a request, the last one for all others

Chat completions at ``<url>/chat/completions`` and Anthropic's messages at ``/v1/messages``, streaming only. What came
is in ``server.requests``, its headers in ``server.headers``; ``server.left`` is set when a client went in mid-answer.
"""

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = dict[str, Any]


class Exchange(BaseHTTPRequestHandler):
    """One request and what is answered; a behaviour drives it."""

    protocol_version = "HTTP/1.1"
    server: "LlmServer"
    timeout = 60
    comment = ""  # put before everything sent

    def do_POST(self) -> None:
        self.request_body: Request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(self.request_body)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.is_anthropic = self.path.endswith("/v1/messages")
        self.close_connection = True
        try:
            self.server.behave(self)
        except (BrokenPipeError, ConnectionResetError):
            self.server.left.set()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def respond(self, status: int, content_type: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.is_anthropic:
            message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "m"}
            usage = {"input_tokens": 1, "output_tokens": 1}
            self._event({"type": "message_start", "message": {**message, "usage": usage}})
            self._event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})

    def words(self, text: str) -> None:
        if self.is_anthropic:
            self._event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
        else:
            self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]})

    def end(self, reason: str = "stop") -> None:
        if self.is_anthropic:
            self._event({"type": "content_block_stop", "index": 0})
            ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
            self._event(ended)
            self._event({"type": "message_stop"})
        else:
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
            self.raw("data: [DONE]\n\n")
        self.end_chunks()

    def end_chunks(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def raw(self, text: str) -> None:
        data = (self.comment + text).encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def wait(self, seconds: float) -> bool:
        """Wait, at most until the client has gone or the test is over; return whether it is still there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.server.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                self.server.left.set()
                return False
        return not self.server.closing.is_set()

    def _event(self, event: dict[str, Any]) -> None:
        if self.is_anthropic:
            self.raw(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
        else:
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", **event}
            self.raw(f"data: {json.dumps(chunk)}\n\n")


Behaviour = Callable[[Exchange], None]


class LlmServer(ThreadingHTTPServer):
    """The server; ``url`` is what RAG_LLM_BASE_URL takes."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.behave: Behaviour = says("")
        self.requests: list[Request] = []
        self.headers: list[dict[str, str]] = []
        self.left, self.closing = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def running() -> Iterator[LlmServer]:
    with LlmServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def prompt_of(request: Request) -> str:
    """Return what the last message of a request says, in either protocol."""
    content = request["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def pieces(text: str) -> list[str]:
    """Cut a text into words as a model's tokens come: the space belongs to what follows."""
    return [word if n == 0 else f" {word}" for n, word in enumerate(text.split(" "))]


# -- behaviours --------------------------------------------------------------------------------------------------------


def says(answer: str | Callable[[Request], str], *, pause_s: float = 0.0, comment: str = "") -> Behaviour:
    """Answer in full, word by word, with a pause before each, and a comment in the same piece."""

    def behave(exchange: Exchange) -> None:
        exchange.comment = comment
        text = answer if isinstance(answer, str) else answer(exchange.request_body)
        exchange.begin()
        for word in pieces(text):
            if pause_s and not exchange.wait(pause_s):
                return
            exchange.words(word)
        exchange.end()

    return behave


def first(*behaviours: Behaviour) -> Behaviour:
    """Behave in turn, and then on as the last."""
    left = list(behaviours)
    lock = threading.Lock()

    def behave(exchange: Exchange) -> None:
        with lock:
            now = left.pop(0) if len(left) > 1 else left[0]
        now(exchange)

    return behave


def fails(status: int, message: str = "no", **headers: str) -> Behaviour:
    """Refuse with a status."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    return lambda exchange: exchange.respond(status, "application/json", body, **headers)


def sends(body: bytes, content_type: str = "text/event-stream") -> Behaviour:
    """Answer with any bytes and status 200."""
    return lambda exchange: exchange.respond(200, content_type, body)


def hangs(after: str = "", *, every_s: float = 0.0) -> Behaviour:
    """Say something, or nothing, and then no more; ``every_s``: send comments meanwhile, as servers do."""

    def behave(exchange: Exchange) -> None:
        if after or every_s:
            exchange.begin()
        if after:
            exchange.words(after)
        while exchange.wait(every_s or 60.0):
            exchange.raw(": ping\n\n")

    return behave


def drips(headers: bytes, then: bytes = b"", *, every_s: float) -> Behaviour:
    """Send the beginning of a response, and then its headers or whatever follows for ever, byte by byte."""

    def behave(exchange: Exchange) -> None:
        exchange.wfile.write(headers)
        while exchange.wait(every_s):
            exchange.wfile.write(then or b"x")

    return behave


def breaks_off(after: str, *, cleanly: bool) -> Behaviour:
    """End in mid-answer: with the end mark of HTTP, or by a closed connection."""

    def behave(exchange: Exchange) -> None:
        exchange.begin()
        exchange.words(after)
        if cleanly:
            exchange.end_chunks()

    return behave


def hangs_up(exchange: Exchange) -> None:
    """Close the connection without a word."""
    exchange.connection.shutdown(socket.SHUT_RDWR)


def reports_an_error(after: str) -> Behaviour:
    """Say something and then, inside the stream, that it went wrong."""

    def behave(exchange: Exchange) -> None:
        exchange.begin()
        exchange.words(after)
        kind = {"type": "overloaded_error", "message": "out of memory"}
        exchange.raw(f"event: error\ndata: {json.dumps({'type': 'error', 'error': kind})}\n\n")
        exchange.end_chunks()

    return behave
