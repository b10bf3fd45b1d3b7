"""What tests of the server share: one that runs in this process, and a model that answers when it is told to."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import httpx
import uvicorn

from rag import Rag
from rag.models import PassageEvidence
from rag.web.server.auth import read_accounts
from rag.web.server.serve import _configured, application, listening

ELECTION = "Who won the early presidential election with over 81% of the vote?"
OFF_TOPIC = "What is the boiling point of tungsten?"


@contextlib.contextmanager
def served(rag: Rag) -> Iterator[str]:
    """Serve at a free port of loopback, with all that ``rag serve`` has, and return the address."""
    servers: list[uvicorn.Server] = []

    async def serve() -> None:  # Gradio makes an event loop of its own, and leaves it open, where it finds none
        accounts = read_accounts(rag.settings.auth.get_secret_value())
        app = application(rag, accounts=accounts, hosts={"127.0.0.1", "localhost"})
        servers.append(uvicorn.Server(_configured(app)))
        await servers[0].serve(sockets=[listener])

    with listening("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=asyncio.run, args=[serve()])
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            servers[0].should_exit = True
            thread.join(timeout=60)
            assert not thread.is_alive()


class Blind:
    """An evidence model that finds nothing, at once; at the model's seam, where it is no matter what is answered."""

    name = "blind"

    def read(self, question: str, candidates: Sequence[object]) -> list[PassageEvidence]:
        return []

    def warm_up(self) -> None:
        """Nothing to load."""


class Held:
    """An evidence model that keeps every question until it is released; at the model's seam."""

    name = "held"

    def __init__(self) -> None:
        self.n_asked = 0
        self.released = threading.Event()
        self._counting = threading.Lock()

    def read(self, question: str, candidates: Sequence[object]) -> list[PassageEvidence]:
        with self._counting:
            self.n_asked += 1
        assert self.released.wait(60)
        return []

    def warm_up(self) -> None:
        """Nothing to load."""


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait until something has happened in a thread of the server."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("it did not happen")


def chat(url: str, question: str = ELECTION, **more: object) -> httpx.Response:
    """Ask by /v1, without the official client."""
    body = {"model": "footnote", "messages": [{"role": "user", "content": question}], **more}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
