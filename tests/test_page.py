"""The page as its users meet it: served by the command, over real indexes, in a real browser."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from conftest import SEEDS, HashingEncoder
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Browser, Page, expect

from rag import Answer, Rag, Settings
from rag.encode import SentenceEncoder, Vectors
from rag.errors import IndexMissing, PortInUse
from rag.records import ask_record, search_record
from rag.web.page import converse, opening
from rag.web.server import serve

APP = Path(__file__).parents[1] / "app.py"
WAIT_MS = 60_000  # the first question of a server loads the model

ELECTION = "Who won the early presidential election with over 81% of the vote?"
OFF_TOPIC = "What is the boiling point of tungsten?"

SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
CHESS = "Who won the chess tournament of Zorblatt?"
WINNER = f"Mira Quillon won the chess tournament of Zorblatt, {SCRIPT} as [1](javascript:alert(1)) ${{alert(1)}} says."


# -- a server, a browser -----------------------------------------------------------------------------------------------


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "FOOTNOTE_"))}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


@contextlib.contextmanager
def _served(index: Path, *options: str, on_stderr: str = "") -> Iterator[str]:
    """Run ``python app.py``; it says its address, and nothing else until and when it is interrupted."""
    port = _free_port()
    with subprocess.Popen(
        [sys.executable, str(APP), "--index", str(index), "--port", str(port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
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


@pytest.fixture(scope="module")
def url(seeds_index: Path) -> Iterator[str]:
    with _served(seeds_index) as address:
        yield address


@pytest.fixture(scope="module")
def hostile_url(tmp_path_factory: pytest.TempPathFactory, encoder: SentenceEncoder) -> Iterator[str]:
    """A page over a document that tries to run scripts from its name, its title, its text and its example question."""
    folder = tmp_path_factory.mktemp("hostile")
    name = "<img src=x onerror=document.title=1>.txt"
    (folder / name).write_text(f"{SCRIPT} Zorblatt\n\nThe town is old. {WINNER} It rained.\n", encoding="utf-8")
    (folder / "sources.toml").write_text(f"['{name}']\ntitle = '''{SCRIPT} Zorblatt'''\n", encoding="utf-8")
    (folder / "questions.toml").write_text(f"questions = ['''{CHESS}''', '''{SCRIPT}''']\n", encoding="utf-8")
    rag = Rag(Settings(index_dir=folder / "index"), encoder=encoder)
    assert not rag.ingest([folder]).failed
    rag.close()
    with _served(folder / "index") as address:
        yield address


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages that must neither ask another machine for anything, nor complain, nor run what a document brings."""
    with contextlib.ExitStack() as closing:
        requested: list[str] = []
        complaints: list[str] = []

        def open_(address: str, *, width: int = 1280) -> Page:
            context = browser.new_context(viewport={"width": width, "height": 900})
            closing.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.on("request", lambda request: requested.append(request.url))
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
            page.goto(address)
            expect(page.locator(".opening")).to_be_visible(timeout=WAIT_MS)
            return page

        yield open_
    assert requested
    assert not [u for u in requested if not u.startswith(("http://127.0.0.1:", "data:", "blob:http://127.0.0.1:"))]
    assert not complaints


def ask(page: Page, question: str) -> Any:
    """Type a question, press Enter, wait for the reply; return its turn."""
    n = page.locator(".turn").count() + 1
    box = page.get_by_role("textbox", name="Question", exact=True)
    box.fill(question)
    box.press("Enter")
    turn = page.locator(f"#turn-{n}")
    expect(turn).to_have_attribute("aria-busy", "false", timeout=WAIT_MS)
    return turn


# -- in the browser ----------------------------------------------------------------------------------------------------


def test_an_answer_is_shown_with_the_exact_characters_of_its_source(url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(url)
    turn = ask(page, ELECTION)
    expect(turn.locator(".answer")).to_contain_text("81%")
    expect(page.get_by_role("textbox", name="Question", exact=True)).to_have_value("")
    cards = page.locator(".card")
    assert cards.count() == turn.locator("a.marker").count() >= 1
    for card in cards.all():
        source = str(card.locator(".place code").text_content())
        start, end = str(card.locator(".place").text_content()).split(" characters ")[1].split("–")
        text = (SEEDS / source).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        assert card.locator("mark").text_content() == text[int(start) : int(end)]
        assert str(card.locator("blockquote").text_content()) in text


def test_a_refusal_looks_different_and_lists_the_nearest_passages(url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(url)
    turn = ask(page, OFF_TOPIC)
    expect(turn.locator(".abstention .reason")).to_contain_text("passages")
    expect(turn.locator(".answer")).to_have_count(0)
    expect(page.locator(".card mark")).to_have_count(0)
    expect(page.locator(".nearest")).to_have_count(5)
    nearest = page.locator(".nearest").first
    expect(nearest.locator("blockquote")).to_be_hidden()
    nearest.locator("summary").click()
    expect(nearest.locator("blockquote")).to_be_visible()


def test_stages_are_shown_while_the_answer_is_in_the_making(url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(url)
    page.evaluate("""() => {
        window.seen = [];
        new MutationObserver(() => window.seen.push(
            ...[...document.querySelectorAll("#conversation .stages li")].map((stage) => stage.textContent)
        )).observe(document.body, { childList: true, subtree: true, characterData: true });
    }""")
    turn = ask(page, ELECTION)
    seen = set(page.evaluate("window.seen"))
    assert "searching 5 documents…" in seen
    assert any(stage.startswith("reading ") for stage in seen)
    expect(turn.locator(".stages")).to_have_count(0)


def test_a_follow_up_shows_the_question_it_was_asked_as(url: str, open_page: Callable[..., Page], seeds: Rag) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    turn = ask(page, "And where?")
    before = seeds.ask(ELECTION)
    assert isinstance(before, Answer)
    after = seeds.ask("And where?", history=[(ELECTION, before.text)])
    assert after.standalone_question != after.question
    expect(turn.locator(".asked-as q")).to_have_text(after.standalone_question)
    expect(page.locator("#turn-1 .asked-as")).to_have_count(0)


def test_a_marker_lights_its_card_and_leads_there_and_back_by_keyboard(
    url: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(url, width=360)
    ask(page, ELECTION)
    marker, card = page.locator("#turn-1-marker-1"), page.locator("#turn-1-note-1")
    marker.hover()
    expect(card).to_have_class("card lit")
    page.mouse.move(0, 0)
    expect(card).to_have_class("card")
    marker.focus()
    expect(card).to_have_class("card lit")
    page.keyboard.press("Enter")
    expect(card).to_be_focused()
    expect(card).to_be_in_viewport()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(marker).to_be_focused()


def test_a_marker_of_an_earlier_answer_unfolds_its_evidence(url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    ask(page, OFF_TOPIC)
    card = page.locator("#turn-1-note-1")
    expect(card).to_be_hidden()
    page.locator("#turn-1-marker-1").click()
    expect(card).to_be_visible()
    expect(card).to_be_focused()


def test_clear_begins_a_new_conversation(url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".opening")).to_be_visible()
    expect(page.locator(".card")).to_have_count(0)
    turn = ask(page, "And where?")
    expect(turn).to_have_id("turn-1")
    expect(turn.locator(".asked-as")).to_have_count(0)


def test_shift_and_enter_write_another_line(url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(url)
    box = page.get_by_role("textbox", name="Question", exact=True)
    box.fill("One")
    box.press("Shift+Enter")
    box.press_sequentially("two")
    expect(box).to_have_value("One\ntwo")
    expect(page.locator(".turn")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_is_wider_than_the_window(url: str, open_page: Callable[..., Page], width: int) -> None:
    page = open_page(url, width=width)
    ask(page, ELECTION)
    ask(page, "w" * 300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    talk, evidence = page.locator("#talk").bounding_box(), page.locator("#sources").bounding_box()
    assert talk
    assert evidence
    assert (evidence["x"] > talk["x"]) == (width == 1440), "evidence is beside the conversation, or below it"


def test_a_hostile_document_runs_nothing(hostile_url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(hostile_url)
    turn = ask(page, CHESS)
    expect(turn.locator(".statement")).to_have_text(WINNER)
    expect(page.locator(".card mark")).to_have_text(WINNER)
    expect(page.locator(".card h3")).to_have_text(f"{SCRIPT} Zorblatt")
    turn = ask(page, "<svg onload='alert(1)'> What is the boiling point of tungsten?")
    expect(turn.locator(".abstention")).to_be_visible()
    expect(page.locator(".nearest code").first).to_contain_text("<img src=x")
    assert page.locator("#columns :is(img, script, iframe, a:not([href^='#turn-']))").count() == 0
    assert page.title() == "Footnote"


def test_an_example_question_is_asked_by_a_click(hostile_url: str, open_page: Callable[..., Page]) -> None:
    page = open_page(hostile_url)
    expect(page.locator(".example")).to_have_text([CHESS, SCRIPT])
    page.get_by_role("button", name=CHESS).click()
    expect(page.locator("#turn-1 .question")).to_have_text(CHESS)
    expect(page.locator("#turn-1 .answer")).to_be_visible(timeout=WAIT_MS)


# -- without a browser -------------------------------------------------------------------------------------------------


def test_events_become_stages_then_claims_then_the_result(seeds: Rag) -> None:
    shown = [(talk, turns) for _, talk, _, turns in converse(seeds, ELECTION, ())]
    stages = [talk.count("<li>") for talk, _ in shown if "stages" in talk]
    assert stages[:2] == [1, 1]  # that it was heard, then the first stage
    assert stages == sorted(stages)
    assert stages[-1] >= 3
    assert all("claim" in talk for talk, _ in shown[len(stages) :])
    assert all(turns == gr.skip() for _, turns in shown[:-1])
    (turn,) = shown[-1][1]
    assert ask_record(turn.result)["claims"] == ask_record(seeds.ask(ELECTION))["claims"]


def test_an_empty_question_changes_nothing(seeds: Rag) -> None:
    assert list(converse(seeds, " \n", ())) == [(gr.skip(),) * 4]


def test_without_an_index_the_page_says_what_to_run(open_rag: Callable[..., Rag]) -> None:
    rag = open_rag()
    assert "run rag ingest" in opening(rag)
    *_, (_, talk, _, turns) = converse(rag, ELECTION, ())
    assert "run rag ingest" in talk
    with pytest.raises(IndexMissing, match=turns[0].problem.split("/")[-1]):
        rag.ask(ELECTION)


def test_an_unforeseen_error_is_one_line_without_its_content(
    open_rag: Callable[..., Rag], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(HashingEncoder):
        def encode(self, texts: Any) -> Vectors:
            raise RuntimeError("secret of a document")

    (tmp_path / "a.txt").write_text("The sky is blue today. The grass is green.\n", encoding="utf-8")
    assert not open_rag().ingest([tmp_path / "a.txt"]).failed
    rag = open_rag(encoder=Failing())
    *_, (_, talk, _, turns) = converse(rag, "Which colour has the sky?", ())
    assert turns[0].problem in talk
    assert "secret" not in talk + caplog.text
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize("written", ["questions = 'no list'", "questions = [1]", "not toml", "\ud800"])
def test_a_broken_file_of_examples_does_not_keep_the_page_from_opening(
    open_rag: Callable[..., Rag], tmp_path: Path, written: str
) -> None:
    (tmp_path / "questions.toml").write_text(written, encoding="utf-8", errors="surrogatepass")
    (tmp_path / "a.txt").write_text("The sky is blue today. The grass is green.\n", encoding="utf-8")
    rag = open_rag()
    rag.ingest([tmp_path / "a.txt"])
    assert "1 document" in opening(rag)
    assert "To begin with" not in opening(rag)


# -- for programs ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    client = Client(url, verbose=False)
    yield client
    client.close()


def _comparable(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "trace": {**record["trace"], "timings_ms": {}}}


def test_ask_gives_a_program_what_the_engine_gives(client: Client, seeds: Rag) -> None:
    for question, history in [(ELECTION, []), ("And where?", [(ELECTION, "Tokayev. [1]")]), (OFF_TOPIC, [])]:
        record = client.predict(question, history=[list(turn) for turn in history], api_name="/ask")
        assert _comparable(record) == _comparable(ask_record(seeds.ask(question, history=history)))


def test_ask_filters_by_source_and_date(client: Client, seeds: Rag) -> None:
    source = client.predict(ELECTION, api_name="/ask")["citations"][0]["source"]
    other = next(path.name for path in sorted(SEEDS.glob("*.txt")) if path.name != source)
    assert {hit["source"] for hit in client.predict(ELECTION, source=other, api_name="/ask")["nearest"]} <= {other}
    assert not client.predict(ELECTION, until="1999-12-31", api_name="/ask")["answered"]


def test_search_gives_a_program_what_the_engine_gives(client: Client, seeds: Rag) -> None:
    assert client.predict(ELECTION, 3, api_name="/search") == search_record(ELECTION, seeds.search(ELECTION, top_k=3))
    assert len(client.predict(ELECTION, api_name="/search")["hits"]) == Settings().top_k


@pytest.mark.parametrize(
    ("name", "given", "line"),
    [
        ("/ask", {"question": ELECTION, "since": "yesterday"}, "write it as YYYY-MM-DD"),
        ("/ask", {"question": ELECTION, "history": [["alone"]]}, "pairs, oldest first"),
        ("/ask", {"question": 7}, "give a text"),
        ("/search", {"question": ELECTION, "top_k": 0}, "from 1 to 100"),
    ],
)
def test_a_programs_mistake_is_answered_with_one_line(
    client: Client, name: str, given: dict[str, Any], line: str
) -> None:
    with pytest.raises(AppError, match=line) as caught:
        client.predict(**given, api_name=name)
    assert "\n" not in str(caught.value)


def test_programs_see_two_endpoints_and_nothing_of_the_page(client: Client) -> None:
    described = client.view_api(return_format="dict", print_info=False)
    assert set(described["named_endpoints"]) == {"/ask", "/search"}
    assert not described["unnamed_endpoints"]


# -- serving -----------------------------------------------------------------------------------------------------------


def test_a_taken_port_is_one_line_that_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        ran = subprocess.run(
            [sys.executable, APP, "--index", tmp_path, "--port", str(port)],
            capture_output=True,
            text=True,
            env=_environment(),
            timeout=120,
            check=False,
        )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"rag: 127.0.0.1:{port}: another program listens there; choose another port with --port or RAG_PORT\n"
    )


def test_an_address_that_others_can_reach_is_warned_of(tmp_path: Path) -> None:
    warning = "rag: 0.0.0.0 can be reached from other machines, and the page has no login\n"
    with _served(tmp_path / "none", "--host", "0.0.0.0", on_stderr=warning):
        pass


def test_an_address_of_no_machine_here_is_one_line(open_rag: Callable[..., Rag]) -> None:
    with pytest.raises(PortInUse, match="cannot listen there"):
        serve(open_rag(host="192.0.2.1"))  # reserved for documentation: RFC 5737
