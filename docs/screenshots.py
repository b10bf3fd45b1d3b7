"""Pictures of the page over the seeds, at three widths, light and dark: ``make screenshots`` renews those in docs/.

Needs the development tools, and a Chromium on the path. Pictures are reduced to 64 colours, which a page of text loses
nothing by, so that they stay small in the repository.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "screenshots"
README_PICTURE = ROOT / "docs" / "page.png"
WINDOWS = {360: 740, 768: 960, 1440: 900}  # width -> height: a phone, a tablet, a desk
N_COLOURS = 64
WAIT_MS = 120_000  # the first question loads the models

ANSWERED = "Who won the early presidential election with over 81% of the vote?"
SEVERAL = "When did Putin and Nazarbayev meet in Moscow in December 2025?"
REFUSED = "What is the boiling point of tungsten?"


def main() -> None:
    """Serve the seeds, take every picture, and say how large they are together."""
    OUT.mkdir(exist_ok=True)
    with _served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width, height in WINDOWS.items():
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                page = context.new_page()
                page.set_default_timeout(WAIT_MS)
                page.goto(address)
                for name, show in VIEWS.items():
                    show(page)
                    _save(page, OUT / f"{name}-{width}-{scheme}.png")
                context.close()
        browser.close()
    shutil.copy(OUT / "answer-1440-light.png", README_PICTURE)
    n_bytes = sum(path.stat().st_size for path in OUT.glob("*.png"))
    sys.stdout.write(f"{len(list(OUT.glob('*.png')))} pictures in {OUT}, {n_bytes / 1024:,.0f} KiB\n")


def _answer(page: Page) -> None:
    _ask(page, ANSWERED)
    _ask(page, SEVERAL)


def _document(page: Page) -> None:
    page.locator("#turn-1-marker-1").click()
    page.locator("dialog[open] mark.chosen").first.wait_for()


def _refusal(page: Page) -> None:
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="hidden")
    page.get_by_role("button", name="New conversation").click()
    page.locator(".opening").wait_for()
    _ask(page, REFUSED)


def _library(page: Page) -> None:
    page.get_by_role("tab", name="Library").click()
    page.locator(".library table").wait_for()


VIEWS: dict[str, Callable[[Page], None]] = {
    "answer": _answer,
    "document": _document,
    "refusal": _refusal,
    "library": _library,
}


def _ask(page: Page, question: str) -> None:
    n = page.locator("#conversation .turn").count() + 1
    page.get_by_role("textbox", name="Question", exact=True).fill(question)
    page.keyboard.press("Enter")
    page.locator(f"#turn-{n}").wait_for()
    page.locator("#pending .turn").wait_for(state="detached")


def _save(page: Page, path: Path) -> None:
    page.wait_for_timeout(300)  # fonts and scrolling settle
    taken = Image.open(BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    taken.quantize(N_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


@contextlib.contextmanager
def _served() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = str(held.getsockname()[1])
    rag = str(Path(sys.executable).with_name("rag"))
    with tempfile.TemporaryDirectory() as index:
        subprocess.run([rag, "ingest", str(ROOT / "seeds"), "--index", index], check=True)
        with subprocess.Popen(
            [rag, "serve", "--index", index, "--port", port], stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout
                yield server.stdout.readline().split()[-1]
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
