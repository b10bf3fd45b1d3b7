"""A conversation in the browser: asking, stopping, changing one's mind, keeping, exporting, coming back."""

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from browsing import (
    ELECTION,
    OFF_TOPIC,
    SEVERAL,
    WAIT_MS,
    OpenPage,
    ask,
    question_box,
    replied,
    served,
)
from llm_server import LlmServer, fails, says
from markdown_it import MarkdownIt
from playwright.sync_api import Page, expect

from rag import Answer, Rag, Settings
from rag.models import SentenceEncoder
from rag.records import ask_record


def downloaded(page: Page, button: str) -> str:
    with page.expect_download() as started:
        page.get_by_role("button", name=button).click()
    return Path(started.value.path()).read_text(encoding="utf-8")


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "trace": {**record["trace"], "timings_ms": {}}}


# -- asking ------------------------------------------------------------------------------------------------------------


def test_stages_are_shown_while_the_answer_is_in_the_making(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    page.evaluate("""() => {
        window.seen = [];
        new MutationObserver(() => window.seen.push(
            ...[...document.querySelectorAll("#pending .stage, [role=status]")].map((stage) => stage.textContent)
        )).observe(document.body, { childList: true, subtree: true, characterData: true });
    }""")
    turn = ask(page, ELECTION)
    seen = set(page.evaluate("window.seen"))
    assert "searching 5 documents…" in seen
    assert any(stage.startswith("reading ") for stage in seen)
    expect(page.get_by_text("The answer is there.")).to_be_attached()  # for who does not see it
    expect(turn.locator(".stage")).to_have_count(0)


def test_an_example_question_is_asked_by_a_click(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    page.get_by_role("button", name=ELECTION).click()
    expect(replied(page, 1).locator(".question")).to_have_text(ELECTION)
    expect(page.locator("#turn-1 .answer")).to_be_visible()


def test_a_follow_up_shows_the_question_it_was_asked_as(url: str, open_page: OpenPage, seeds: Rag) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    turn = ask(page, "And where?")
    before = seeds.ask(ELECTION)
    assert isinstance(before, Answer)
    after = seeds.ask("And where?", history=[(ELECTION, before.text)])
    assert after.standalone_question != after.question
    expect(turn.locator(".asked-as q")).to_have_text(after.standalone_question)
    expect(page.locator("#turn-1 .asked-as")).to_have_count(0)


def test_shift_and_enter_write_another_line(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    box = question_box(page)
    box.fill("One")
    box.press("Shift+Enter")
    box.press_sequentially("two")
    expect(box).to_have_value("One\ntwo")
    expect(page.locator(".turn")).to_have_count(0)


def test_a_question_can_be_edited_or_asked_again_in_its_place(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    ask(page, ELECTION)
    ask(page, OFF_TOPIC)
    page.locator("#turn-1").get_by_role("button", name="Edit").click()
    expect(question_box(page)).to_be_focused()
    expect(question_box(page)).to_have_value(ELECTION)
    expect(page.locator(".turn.replaced")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator(".turn.replaced")).to_have_count(0)
    expect(question_box(page)).to_have_value("")
    page.locator("#turn-1").get_by_role("button", name="Edit").click()
    question_box(page).fill(SEVERAL)
    page.keyboard.press("Enter")
    expect(page.locator("#conversation .turn .question")).to_have_text([SEVERAL], timeout=WAIT_MS)
    replied(page, 1).evaluate("turn => turn.id = 'before'")  # what is in work may be over before anybody looks
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("#before")).to_have_count(0)
    replied(page, 1)
    expect(page.locator("#conversation .turn .question")).to_have_text([SEVERAL])


def test_filters_narrow_the_documents_and_the_answer_says_so(url: str, open_page: OpenPage, seeds: Rag) -> None:
    page = open_page(url)
    titles = [listed.title for listed in seeds.listing()]
    page.locator(".choice summary").click()
    select = page.get_by_role("combobox", name="Document")
    assert select.locator("option").all_text_contents() == ["All documents", *titles]
    select.select_option(label=titles[0])
    turn = ask(page, ELECTION)
    expect(turn.locator(".asked-as")).to_contain_text(f"source {seeds.listing()[0].source}")
    assert set(page.locator(".nearest code").all_text_contents()) == {seeds.listing()[0].source}
    page.locator(".choice").get_by_role("button", name="All documents").click()
    page.get_by_label("until").fill("1999-12-31")
    expect(page.locator(".choice summary")).to_have_text("until 1999-12-31")
    expect(ask(page, ELECTION).locator(".reason")).to_contain_text("until 1999-12-31")
    page.get_by_label("Dated from").fill("2001-01-01")
    question_box(page).fill(ELECTION)
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("no day is in between")
    expect(question_box(page)).to_have_value(ELECTION)


# An evidence model that keeps its n-th question until there is a file of the name n; at the model's seam.
HELD = """
import sys, time
from pathlib import Path
from rag import Rag, Settings
from rag.web.server.serve import serve

class Held:
    name = "held"
    asked = 0
    def read(self, question, candidates):
        self.asked += 1
        release = Path(str(self.asked))
        while not release.exists():
            time.sleep(0.05)
        return []
    def warm_up(self):
        pass

serve(Rag(Settings(index_dir=sys.argv[2], port=int(sys.argv[4])), evidence=Held()))
"""


def test_a_question_can_be_stopped_and_asked_again(seeds_index: Path, tmp_path: Path, open_page: OpenPage) -> None:
    with served(seeds_index, program=("-c", HELD)) as address:
        page = open_page(address)
        question_box(page).fill(ELECTION)
        page.keyboard.press("Enter")
        expect(page.locator("#pending .stage")).to_contain_text("reading")
        expect(page.get_by_role("button", name="Ask", exact=True)).to_be_hidden()
        question_box(page).fill("And another?")  # while one is answered, the next can be typed
        page.get_by_role("button", name="Stop").click()
        turn = replied(page, 1)
        expect(turn.locator(".problem")).to_contain_text("Stopped before the answer was there.")
        expect(question_box(page)).to_have_value("And another?")
        turn.get_by_role("button", name="Ask again").click()  # the model still has the one that was stopped
        expect(page.locator("#pending .stage")).to_contain_text("reading")
        (tmp_path / "2").touch()
        expect(replied(page, 1).locator(".abstention")).to_be_visible()
        expect(page.locator("#conversation .turn")).to_have_count(1)
        question_box(page).fill("And another?")
        (tmp_path / "1").touch()  # what was stopped ends last, and changes nothing
        page.locator("[data-wire=search_for]").click()
        expect(page.locator(".found")).to_be_visible()
        expect(page.locator("#pending .turn")).to_have_count(0)
        expect(question_box(page)).to_have_value("And another?")


def test_what_is_done_with_a_turn_while_the_next_one_is_answered_stays(
    seeds_index: Path, tmp_path: Path, open_page: OpenPage
) -> None:
    shutil.copytree(seeds_index, tmp_path / "index")  # verdicts are kept in it
    (tmp_path / "1").touch()
    with served(tmp_path / "index", program=("-c", HELD)) as address:
        page = open_page(address)
        first = ask(page, ELECTION)
        question_box(page).fill(SEVERAL)
        page.keyboard.press("Enter")
        expect(page.locator("#pending .stage")).to_contain_text("reading")
        first.get_by_role("button", name="Right").click()
        expect(page.locator("#toast")).to_contain_text("Thank you")
        first.locator("[data-wire=search_for]").click()
        expect(page.locator("#turn-1-evidence .found")).to_be_attached()
        expect(page.locator("#pending .turn")).to_have_count(1)
        (tmp_path / "2").touch()
        replied(page, 2)
        (tmp_path / "3").touch()
        ask(page, OFF_TOPIC)
        expect(page.locator("#conversation .turn .question")).to_have_text([ELECTION, SEVERAL, OFF_TOPIC])
        expect(first.get_by_role("button", name="Right")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#turn-1-evidence .found")).to_be_attached()


def test_with_a_language_model_answers_can_be_written_and_show_what_was_taken_out(
    tmp_path: Path, encoder: SentenceEncoder, llm_server: LlmServer, open_page: OpenPage
) -> None:
    won, invented = "Mira Quillon won the chess tournament of Zorblatt in May.", "Mira Quillon won 90 medals."
    (tmp_path / "a.txt").write_text(f"The tournament\n\n{won} The town is old.\n", encoding="utf-8")
    rag = Rag(Settings(index_dir=tmp_path / "index"), encoder=encoder)
    rag.ingest([tmp_path / "a.txt"])
    rag.close()
    llm_server.behave = says(f"{won} [1] {invented} [1]")
    with served(tmp_path / "index", RAG_LLM_BASE_URL=llm_server.url, RAG_LLM_MODEL="m") as address:
        page = open_page(address)
        expect(page.locator("#health")).to_have_text("The language model answers.")
        question = "Who won the chess tournament of Zorblatt?"
        expect(page.get_by_label("written by the model")).to_be_checked()
        turn = ask(page, question)
        expect(turn.locator(".statement")).to_have_text([won])
        expect(turn.locator(".said-by")).to_have_count(0)
        expect(turn.locator("del")).to_be_hidden()
        turn.get_by_text("1 sentence not supported by the documents, taken out").click()
        expect(turn.locator("del")).to_have_text(invented)
        expect(turn.locator(".fault")).to_contain_text("wrong number")
        page.get_by_label("in quotes").check()
        ask(page, question)
        expect(page.locator("#turn-2 .removed")).to_have_count(0)
        llm_server.behave = fails(401)
        page.reload()
        expect(page.locator("#health .bad")).to_be_visible()


# -- the address -------------------------------------------------------------------------------------------------------


def test_the_address_asks_its_question_and_follows_the_conversation(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/?q={quote(ELECTION)}")
    expect(replied(page, 1).locator(".answer")).to_be_visible()
    expect(page.locator("#turn-1 .question")).to_have_text(ELECTION)
    ask(page, OFF_TOPIC)
    assert parse_qs(urlsplit(page.url).query) == {"q": [OFF_TOPIC]}
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".opening")).to_be_visible()
    assert not urlsplit(page.url).query


def test_an_address_cannot_ask_more_than_a_question_may_have(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/?q={'w' * 4000}")
    turn = replied(page, 1)
    assert len(str(turn.locator(".question").text_content())) == 2000


# -- copies and files --------------------------------------------------------------------------------------------------


def test_an_answer_is_copied_with_its_footnotes(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    turn = ask(page, ELECTION)
    turn.get_by_role("button", name="Copy").click()
    expect(page.locator("#toast")).to_have_text("Copied, with its footnotes.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"{turn.locator('.statement').first.text_content()} [^1-1]" in copied
    assert f"[^1-1]: “{page.locator('#turn-1-note-1 mark').text_content()}”" in copied


def test_a_conversation_is_exported_as_records_and_as_markdown(url: str, open_page: OpenPage, seeds: Rag) -> None:
    page = open_page(url)
    expect(page.get_by_role("button", name="Export as JSON")).to_be_hidden()
    ask(page, ELECTION)
    ask(page, OFF_TOPIC)
    records = json.loads(downloaded(page, "Export as JSON"))
    answer = seeds.ask(ELECTION)
    refusal = seeds.ask(OFF_TOPIC, history=[(ELECTION, answer.text)])  # type: ignore[union-attr]
    assert list(map(comparable, records)) == [comparable(ask_record(result)) for result in (answer, refusal)]
    rendered = MarkdownIt().render(downloaded(page, "Export as Markdown"))
    assert [ELECTION in rendered, OFF_TOPIC in rendered, "No answer." in rendered] == [True] * 3


# -- kept in the browser -----------------------------------------------------------------------------------------------


def test_a_conversation_comes_back_after_a_reload_and_goes_on(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    said = ask(page, ELECTION).locator(".answer").text_content()
    card = page.locator("#turn-1-note-1").text_content()
    page.reload()
    expect(page.locator("#turn-1 .answer")).to_have_text(str(said))
    expect(page.locator("#turn-1-note-1")).to_have_text(str(card))
    page.locator("#turn-1-marker-1").click()
    expect(page.get_by_role("dialog").locator("mark.chosen").first).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(ask(page, "And where?").locator(".asked-as")).to_be_visible()


def test_earlier_conversations_can_be_opened_and_forgotten(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    for question in (ELECTION, OFF_TOPIC):
        ask(page, question)
        page.get_by_role("button", name="New conversation").click()
        expect(page.locator(".opening")).to_be_visible()
    earlier = page.locator(".earlier .link")
    expect(earlier).to_have_text([OFF_TOPIC, ELECTION])
    earlier.last.click()
    expect(page.locator("#turn-1 .answer")).to_be_visible()
    other = open_page(url, page_of=page)  # another tab begins anew
    expect(other.locator(".earlier .link")).to_have_count(2)
    other.get_by_role("button", name=f"Forget: {OFF_TOPIC}").click()
    expect(other.locator(".earlier .link")).to_have_text([ELECTION])
    other.get_by_role("button", name="Forget all").click()
    expect(other.locator(".earlier .link")).to_have_count(0)
    other.reload()
    expect(other.locator(".examples")).to_be_visible()
    expect(other.locator(".earlier .link")).to_have_count(0)


def test_what_the_browser_keeps_is_limited(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    ask(page, OFF_TOPIC)
    page.evaluate("""() => {
        const [kept] = JSON.parse(localStorage.getItem("footnote.conversations"));
        const many = Array.from({ length: 60 }, (_, id) => ({ ...kept, id: String(id) }));
        localStorage.setItem("footnote.conversations", JSON.stringify(many));
    }""")
    ask(page, OFF_TOPIC)
    assert page.evaluate("JSON.parse(localStorage.getItem('footnote.conversations')).length") == 30


@pytest.mark.parametrize("broken", ["not json", "[{}]", '[{"id": "x", "at": "y", "turns": [{"record": {}}]}]'])
def test_a_broken_store_does_not_keep_the_page_from_opening(url: str, open_page: OpenPage, broken: str) -> None:
    page = open_page(url)
    page.evaluate("broken => localStorage.setItem('footnote.conversations', broken)", broken)
    page.reload()
    expect(page.locator(".examples")).to_be_visible()
    expect(ask(page, ELECTION).locator(".answer")).to_be_visible()
