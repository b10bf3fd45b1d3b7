"""The page as its users meet it: served by the command, over real indexes, in a real browser."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import (
    APP,
    ELECTION,
    OFF_TOPIC,
    SEVERAL,
    OpenPage,
    ask,
    environment,
    question_box,
    served,
)
from conftest import SEEDS, HashingEncoder
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Locator, expect

from rag import Rag, Settings
from rag.errors import IndexMissing, PortInUse
from rag.models import SentenceEncoder, Vectors
from rag.records import ask_record, search_record
from rag.web.conversation import Conversation
from rag.web.page import converse, documents, opening
from rag.web.server.serve import serve

TWO_IN_ONE = f"{ELECTION[:-1]}, and which countries did he name in his inaugural speech?"
SCRIPT = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
CHESS = "Who won the chess tournament of Zorblatt?"
WINNER = f"Mira Quillon won the chess tournament of Zorblatt, {SCRIPT} as [1](javascript:alert(1)) ${{alert(1)}} says."


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
    with served(folder / "index") as address:
        yield address


def seed_text(source: str) -> str:
    return (SEEDS / source).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")


# -- answers and their evidence ----------------------------------------------------------------------------------------


def test_an_answer_is_shown_with_the_exact_characters_of_its_source(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    turn = ask(page, ELECTION)
    expect(turn.locator(".answer")).to_contain_text("81%")
    expect(question_box(page)).to_have_value("")
    cards = page.locator(".card")
    assert cards.count() == turn.locator(".marker").count() >= 1
    for card in cards.all():
        source = str(card.locator(".place code").text_content())
        start, end = str(card.locator(".place").text_content()).split(" characters ")[1].split("–")
        text = seed_text(source)
        assert card.locator("mark").text_content() == text[int(start) : int(end)]
        assert str(card.locator("blockquote").text_content()) in text
    expect(cards.first.locator("h3")).not_to_be_empty()
    expect(cards.first.locator(".about")).to_contain_text("2022")


def test_a_marker_lights_its_card_and_the_card_leads_back(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    marker, card = page.locator("#turn-1-marker-1"), page.locator("#turn-1-note-1")
    marker.hover()
    expect(card).to_have_class("card lit")
    page.mouse.move(0, 0)
    expect(card).to_have_class("card")
    marker.focus()
    expect(card).to_have_class("card lit")
    card.locator("a.number").focus()
    page.keyboard.press("Enter")
    expect(marker).to_be_focused()


WIDTHS_WITH_A_LONELY_MARKER = """claim => {
  const words = document.createRange();
  words.selectNodeContents(claim.querySelector(".statement"));
  claim.querySelector(".markers").append(claim.querySelector("sup").cloneNode(true));  // as of one that sources share
  const markers = [...claim.querySelectorAll(".marker")];
  return Array.from({length: 200}, (_, i) => 160 + 2 * i).filter(width => {
    claim.style.width = `${width}px`;
    const end = [...words.getClientRects()].at(-1).right;
    return markers.some(marker => end > marker.getBoundingClientRect().right);
  });
}"""


def test_no_marker_begins_a_line(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    claims = ask(page, SEVERAL).locator(".claim")
    assert claims.count() > 1
    for claim in claims.all():
        assert claim.evaluate(WIDTHS_WITH_A_LONELY_MARKER) == []


def test_space_on_a_marker_opens_the_document_as_on_any_button(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    page.locator("#turn-1-marker-1").press("Space")
    expect(page.get_by_role("dialog")).to_be_visible()


def open_from(opener: Locator) -> Locator:
    opener.click()
    dialog = opener.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def test_a_marker_opens_the_document_at_its_quote(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    marker, card = page.locator("#turn-1-marker-1"), page.locator("#turn-1-note-1")
    dialog = open_from(marker)
    expect(dialog.get_by_role("heading")).to_have_text(str(card.locator("h3").text_content()))
    expect(dialog.get_by_role("heading")).to_be_focused()
    chosen = dialog.locator("mark.chosen")
    expect(chosen.first).to_be_in_viewport()
    assert "".join(chosen.all_text_contents()) == card.locator("mark").text_content()
    assert dialog.locator("mark strong").count() == card.locator("mark strong").count()
    source = str(card.locator(".place code").text_content())
    lines = [line for line in seed_text(source).split("\n") if line.strip()]
    assert dialog.locator(".text p").all_text_contents() == lines
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(marker).to_be_focused()


def test_the_quotes_of_a_document_are_stepped_through(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    ask(page, TWO_IN_ONE)
    dialog = open_from(page.locator("#turn-1-marker-2"))
    quotes = [str(card.text_content()) for card in page.locator(".card mark").all()]

    def chosen() -> str:  # in parts where a short answer is marked within
        return "".join(dialog.locator("mark.chosen").all_text_contents())

    expect(dialog.locator("output")).to_have_text("2 of 2")
    assert chosen() == quotes[1]
    expect(dialog.locator("mark.quote:not(.chosen)").first).to_be_attached()  # the other is lit more faintly
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.locator("output")).to_have_text("1 of 2")
    assert chosen() == quotes[0]
    expect(dialog.locator("mark.chosen").first).to_be_in_viewport()
    dialog.get_by_role("button", name="Previous").click()
    expect(dialog.locator("output")).to_have_text("2 of 2")
    assert chosen() == quotes[1]


def test_a_card_opens_the_document_and_close_gives_the_focus_back(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    opener = page.locator("#turn-1-note-1 button")
    dialog = open_from(opener)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
    expect(open_from(opener).locator("mark.chosen").first).to_be_in_viewport()  # and again


def test_lines_that_were_left_out_are_dimmed_and_say_why(url: str, open_page: OpenPage, seeds: Rag) -> None:
    page = open_page(url)
    document = next(entry for entry in seeds.documents() if entry.excluded)
    dialog = open_from(page.get_by_role("button", name=document.document.title))
    dimmed = dialog.locator(".excluded")
    assert dimmed.all_text_contents() == [x.span.cut(document.document.text) for x in document.excluded]
    assert document.excluded[0].rule in str(dimmed.first.get_attribute("title"))
    dialog.locator("summary").click()
    expect(dialog.locator(".left-out li").first).to_contain_text(document.excluded[0].reason)


def test_sources_stand_side_by_side_with_publisher_and_date(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    turn = ask(page, SEVERAL)
    expect(turn.locator(".answer.beside")).to_be_visible()
    first, second = (claim.bounding_box() for claim in turn.locator(".claim").all())
    assert first
    assert second
    assert first["x"] + first["width"] <= second["x"]
    assert first["y"] == second["y"]
    expect(turn.locator(".said-by").last).to_have_text("Times Tengri, 29 December 2025")


def test_a_marker_of_an_earlier_answer_is_still_at_work(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    ask(page, OFF_TOPIC)
    expect(page.locator("#turn-1-note-1")).to_be_hidden()
    expect(open_from(page.locator("#turn-1-marker-1")).locator("mark.chosen").first).to_be_in_viewport()


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_refusal_looks_different_and_lists_the_nearest_passages(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    turn = ask(page, OFF_TOPIC)
    expect(turn.locator(".abstention")).to_contain_text("No sure answer in the documents.")
    expect(turn.locator(".abstention .reason")).to_contain_text("passages")
    expect(turn.locator(".answer")).to_have_count(0)
    expect(page.locator(".card mark")).to_have_count(5)
    expect(page.locator(".nearest.card")).to_have_count(5)
    nearest = page.locator(".nearest.card").first
    expect(nearest.locator("blockquote")).to_be_hidden()
    nearest.locator("summary").click()
    expect(nearest.locator("blockquote")).to_be_visible()
    sentence = str(nearest.locator("mark").text_content())
    dialog = open_from(nearest.get_by_role("button", name="Open the document of this passage"))
    marked = "".join(dialog.locator("mark").all_text_contents())
    assert marked == sentence


def test_a_refused_question_can_be_searched_for(url: str, open_page: OpenPage, seeds: Rag) -> None:
    page = open_page(url)
    turn = ask(page, OFF_TOPIC)
    turn.get_by_role("button", name="Search the documents for it").click()
    found = page.locator("#turn-1-evidence")
    expect(found).to_contain_text("Found by searching: 10 passages")
    expect(found).to_be_focused()
    hits = seeds.search(OFF_TOPIC)
    assert found.locator("blockquote").all_text_contents() == [hit.passage.text for hit in hits]


# -- safety ------------------------------------------------------------------------------------------------------------


def test_a_hostile_document_runs_nothing(hostile_url: str, open_page: OpenPage) -> None:
    page = open_page(hostile_url)
    turn = ask(page, CHESS)
    expect(turn.locator(".statement")).to_have_text(WINNER)
    expect(page.locator(".card mark")).to_have_text(WINNER)
    expect(page.locator(".card h3")).to_have_text(f"{SCRIPT} Zorblatt")
    dialog = open_from(turn.locator(".marker"))
    assert "".join(dialog.locator("mark.chosen").all_text_contents()) == WINNER
    expect(dialog.get_by_role("heading")).to_have_text(f"{SCRIPT} Zorblatt")
    assert not dialog.locator(":is(img, script, iframe, a)").count()
    page.keyboard.press("Escape")
    turn = ask(page, "<svg onload='alert(1)'> What is the boiling point of tungsten?")
    expect(turn.locator(".abstention")).to_be_visible()
    expect(page.locator(".nearest code").first).to_contain_text("<img src=x")
    page.get_by_role("tab", name="Library").click()
    expect(page.locator(".library code")).to_have_text("<img src=x onerror=document.title=1>.txt")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text(SCRIPT)
    page.reload()
    expect(page.locator("#turn-2")).to_be_visible()
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".earlier .link")).to_have_text(CHESS)
    assert page.locator("#tabs :is(img, script, iframe, a:not([href^='#turn-']))").count() == 0
    assert page.title() == "Footnote"


# -- without a browser -------------------------------------------------------------------------------------------------


def test_without_an_index_the_page_says_what_to_run(open_rag: Callable[..., Rag]) -> None:
    rag = open_rag()
    assert "run rag ingest" in opening(rag)
    *_, answered, _ = converse(rag, ELECTION, "", conversation := Conversation())
    assert "run rag ingest" in answered.conversation
    with pytest.raises(IndexMissing, match=conversation.turns[0].problem.split("/")[-1]):
        rag.ask(ELECTION)


def test_an_index_of_other_settings_is_a_line_everywhere(open_rag: Callable[..., Rag], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The sky is blue today. The grass is green.\n", encoding="utf-8")
    open_rag().ingest([tmp_path / "a.txt"])
    conversation, _, shelf = documents(open_rag(max_passage_tokens=64), Conversation())
    assert "RAG_MAX_PASSAGE_TOKENS=200" in conversation
    assert "RAG_MAX_PASSAGE_TOKENS=200" in shelf


def test_an_unforeseen_error_is_one_line_without_its_content(
    open_rag: Callable[..., Rag], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(HashingEncoder):
        def encode(self, texts: Any) -> Vectors:
            raise RuntimeError("secret of a document")

    (tmp_path / "a.txt").write_text("The sky is blue today. The grass is green.\n", encoding="utf-8")
    assert not open_rag().ingest([tmp_path / "a.txt"]).failed
    rag = open_rag(encoder=Failing())
    *_, answered, _ = converse(rag, "Which colour has the sky?", "", conversation := Conversation())
    assert conversation.turns[0].problem in answered.conversation
    assert "secret" not in answered.conversation + caplog.text
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
            env=environment(),
            timeout=120,
            check=False,
        )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"rag: 127.0.0.1:{port}: another program listens there; choose another port with --port or RAG_PORT\n"
    )


def test_an_address_that_others_can_reach_is_warned_of(tmp_path: Path) -> None:
    warning = "rag: 0.0.0.0 can be reached from other machines, and the page has no login\n"
    with served(tmp_path / "none", "--host", "0.0.0.0", on_stderr=warning):
        pass


def test_an_address_of_no_machine_here_is_one_line(open_rag: Callable[..., Rag]) -> None:
    with pytest.raises(PortInUse, match="cannot listen there"):
        serve(open_rag(host="192.0.2.1"))  # reserved for documentation: RFC 5737
