"""What tests of the page share: a served page, a browser that must not be made to run or request anything, asking."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

APP = Path(__file__).parents[1] / "app.py"
WAIT_MS = 60_000  # the first question of a server loads the model

ELECTION = "Who won the early presidential election with over 81% of the vote?"
SEVERAL = "When did Putin and Nazarbayev meet in Moscow in December 2025?"  # two sources answer
OFF_TOPIC = "What is the boiling point of tungsten?"

OpenPage = Callable[..., Page]

expect.set_options(timeout=30_000)  # a busy machine is slow, not broken


def environment() -> dict[str, str]:
    """The environment without settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "FOOTNOTE_"))}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


@contextlib.contextmanager
def served(
    index: Path, *options: str, on_stderr: str = "", program: Sequence[str] = (str(APP),), **settings: str
) -> Iterator[str]:
    """Run ``python app.py``, or another; it says its address, and nothing else until and when it is interrupted.

    settings: by the names of their variables.
    """
    port = _free_port()
    with subprocess.Popen(
        [sys.executable, *program, "--index", str(index), "--port", str(port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment(), **settings},
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - before any thread of its own
    ) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            host = "localhost" if options else "127.0.0.1"
            assert line == f"Footnote: http://{host}:{port}\n", line or server.communicate()[1]
            yield line.split()[1]
        finally:
            server.send_signal(signal.SIGINT)
            try:
                out, err = server.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                raise
    assert (server.returncode, out, err) == (0, "", on_stderr)


@contextlib.contextmanager
def reading(browser: Browser) -> Iterator[OpenPage]:
    """Open pages that must neither ask another machine for anything, nor complain, nor run what a document brings."""
    requested: list[str] = []
    complaints: list[str] = []
    with contextlib.ExitStack() as closing:

        def open_(address: str, *, width: int = 1280, scheme: str = "light", page_of: Page | None = None) -> Page:
            """Open an address in a browser of its own, or in that of another page, whose storage it then shares."""
            context = page_of.context if page_of else _context(browser, width, scheme)
            if not page_of:
                closing.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.on("request", lambda request: requested.append(request.url))
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
            page.goto(address)
            expect(page.locator(".opening, .turn").first).to_be_visible(timeout=WAIT_MS)
            return page

        yield open_
    assert requested
    assert not [u for u in requested if not u.startswith(("http://127.0.0.1:", "data:", "blob:http://127.0.0.1:"))]
    assert not complaints, complaints


def _context(browser: Browser, width: int, scheme: str):
    return browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        permissions=["clipboard-read", "clipboard-write"],
    )


def question_box(page: Page) -> Locator:
    """The box that a question is typed into."""
    return page.get_by_role("textbox", name="Question", exact=True)


def ask(page: Page, question: str) -> Locator:
    """Type a question, press Enter, wait for the reply; return its turn."""
    n = page.locator("#conversation .turn").count() + 1
    box = question_box(page)
    box.fill(question)
    box.press("Enter")
    return replied(page, n)


def replied(page: Page, number: int) -> Locator:
    """Wait until the turn of this number is done, and return it."""
    turn = page.locator(f"#turn-{number}")
    expect(turn).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("#pending .turn")).to_have_count(0)
    return turn
