"""What outlives a conversation: verdicts beside the index, records in the browser, Markdown in a file."""

import json
import threading
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browsing import ELECTION, OFF_TOPIC, SEVERAL, OpenPage, ask, question_box, served
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from playwright.sync_api import expect
from pydantic import ValidationError

from evals.feedback import drafts
from rag import Answer, Rag, Settings
from rag.errors import IndexUnusable, UsageError
from rag.models import SentenceEncoder
from rag.records import Record, ask_record
from rag.values import Citation, Claim, Span, Trace
from rag.web.export import turn_markdown
from rag.web.feedback import FILE, Judgement, store
from rag.web.restore import restored
from rag.web.server.handlers import checker
from rag.web.turn import Turn

QUESTIONS = (ELECTION, SEVERAL, OFF_TOPIC, "Hello!")


@pytest.fixture(scope="module")
def records(seeds: Rag) -> dict[str, Record]:
    return {question: ask_record(seeds.ask(question)) for question in QUESTIONS}


# -- verdicts ----------------------------------------------------------------------------------------------------------


def test_a_verdict_is_a_line_that_the_evaluation_reads(records: dict[str, Record], tmp_path: Path) -> None:
    store(tmp_path, verdict="up", comment=" ", history=[], record=records[ELECTION])
    store(tmp_path, verdict="down", comment="It does.\n", history=[(ELECTION, "He did.")], record=records[OFF_TOPIC])
    found = drafts(tmp_path / FILE)
    assert found.complaints == []
    assert [entry["question"] for entry in found.entries] == [ELECTION, OFF_TOPIC]
    assert found.entries[1]["history"] == [[ELECTION, "He did."]]
    assert "“It does.”" in found.entries[1]["note"]
    first, _ = map(json.loads, (tmp_path / FILE).read_text(encoding="utf-8").splitlines())
    assert (first["record"], first["comment"]) == (records[ELECTION], None)


def test_verdicts_given_at_once_are_all_kept(records: dict[str, Record], tmp_path: Path) -> None:
    def give() -> None:
        for _ in range(10):
            store(tmp_path, verdict="up", comment="", history=[], record=records[SEVERAL])

    threads = [threading.Thread(target=give) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["up"] * 40


def test_a_line_that_was_cut_off_spoils_no_later_one(records: dict[str, Record], tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'{"at": "2026')
    store(tmp_path, verdict="up", comment="", history=[], record=records[ELECTION])
    assert [entry["question"] for entry in drafts(tmp_path / FILE).entries] == [ELECTION]


def test_a_verdict_that_cannot_be_stored_says_so(records: dict[str, Record], tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(IndexUnusable, match="not stored"):
        store(tmp_path, verdict="up", comment="", history=[], record=records[ELECTION])


def test_a_verdict_in_the_browser_is_kept_with_its_comment(
    tmp_path: Path, encoder: SentenceEncoder, open_page: OpenPage
) -> None:
    (tmp_path / "a.txt").write_text("Mira Quillon won the chess tournament of Zorblatt.\n", encoding="utf-8")
    rag = Rag(Settings(index_dir=tmp_path / "index"), encoder=encoder)
    rag.ingest([tmp_path / "a.txt"])
    rag.close()
    with served(tmp_path / "index") as address:
        page = open_page(address)
        ask(page, "Who won the chess tournament of Zorblatt?")
        turn = ask(page, OFF_TOPIC)
        expect(turn.get_by_label("Why?")).to_be_hidden()
        turn.get_by_role("button", name="Wrong").click()
        expect(page.locator("#toast")).to_contain_text("Thank you")
        expect(turn.get_by_role("button", name="Wrong")).to_have_attribute("aria-pressed", "true")
        turn.get_by_label("Why?").fill("Tungsten is")
        page.locator("#turn-1 .question").click()
        ask(page, "Who won the chess tournament of Zorblatt?")
        comment = page.locator("#turn-2").get_by_label("Why?")
        expect(comment).to_have_value("Tungsten is")  # what is being written outlives the next answer
        expect(question_box(page)).to_be_focused()
        turn = page.locator("#turn-2")
        comment.fill("Tungsten is a metal.")
        turn.get_by_role("button", name="Send").click()
        expect(turn.get_by_label("Why?")).to_be_hidden()
        page.reload()
        expect(page.locator("#turn-2 .thumb.down")).to_have_attribute("aria-pressed", "true")
    lines = [json.loads(line) for line in (tmp_path / "index" / FILE).read_text(encoding="utf-8").splitlines()]
    assert [(line["verdict"], line["comment"]) for line in lines] == [("down", None), ("down", "Tungsten is a metal.")]
    assert lines[1]["record"]["question"] == OFF_TOPIC
    assert [asked for asked, _ in lines[1]["history"]] == ["Who won the chess tournament of Zorblatt?"]
    assert len(drafts(tmp_path / "index" / FILE).entries) == 1


@pytest.mark.parametrize("message", [{}, {"turn": 0, "verdict": "up"}, {"turn": 1, "verdict": "sideways"}])
def test_a_verdict_that_is_none_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Judgement.model_validate(message)


def test_a_comment_is_limited() -> None:
    with pytest.raises(ValueError, match="at most 2000"):
        Judgement(turn=1, verdict="up", comment="x" * 2001)


# -- restored ----------------------------------------------------------------------------------------------------------


def test_what_was_kept_comes_back_as_it_was(seeds: Rag, records: dict[str, Record]) -> None:
    kept = [{"record": record, "scope": "source x", "verdict": "up"} for record in records.values()]
    turns = restored(seeds, json.loads(json.dumps({"turns": kept})))
    assert [ask_record(turn.result) for turn in turns if turn.result] == list(records.values())
    assert {(turn.scope, turn.verdict, turn.lost) for turn in turns} == {("source x", "up", frozenset())}
    answer, asked = turns[0].result, seeds.ask(ELECTION)
    assert isinstance(answer, Answer)
    assert isinstance(asked, Answer)
    assert answer.citations == asked.citations
    assert all(hit.passage.span.covers(c.span) for hit, c in zip(answer.hits, answer.citations, strict=True))


def test_a_quote_that_no_longer_stands_there_is_lost(open_rag: Callable[..., Rag], records: dict[str, Record]) -> None:
    kept = {"turns": [{"record": records[SEVERAL]}, {"record": records[OFF_TOPIC]}]}
    answer, refusal = restored(open_rag(), kept)  # there is no index at all
    assert answer.lost == {citation["marker"] for citation in records[SEVERAL]["citations"]}
    assert {hit.passage.doc_id for hit in refusal.result.nearest} == {""}  # type: ignore[union-attr]


def broken(record: Record, **changes: object) -> dict[str, Any]:
    return {"turns": [{"record": {**record, **changes}}]}


def test_what_was_tampered_with_is_refused_by_a_line(seeds: Rag, records: dict[str, Record]) -> None:
    record, refusal = records[ELECTION], records[OFF_TOPIC]
    citation, near = record["citations"][0], refusal["nearest"][0]
    for kept in (
        None,
        {},
        {"turns": [{}]},
        {"turns": [{"record": record}] * 201},
        broken(record, citations=[]),
        broken(record, claims=[{"text": "Anything.", "citations": []}]),
        broken(record, claims=[]),  # neither an answer nor a reason
        broken(record, citations=[{**citation, "quote": "short"}]),
        broken(record, citations=[{**citation, "start": -1}]),
        broken(record, mode="dreamt"),
        *(broken(refusal, nearest=[{**near, "score": score}]) for score in (float("nan"), "1e999", 7.3, -1)),
        broken(refusal, nearest=[{**near, "sentence": {"start": near["end"], "end": near["end"] + 5}}]),
    ):
        with pytest.raises(UsageError, match="cannot be read any more"):
            restored(seeds, kept)


def test_a_forged_quote_of_the_right_length_is_lost(seeds: Rag, records: dict[str, Record]) -> None:
    citation = records[ELECTION]["citations"][0]
    forged = {**citation, "quote": "x" * len(citation["quote"])}
    (turn,) = restored(seeds, broken(records[ELECTION], citations=[forged]))
    assert turn.lost == {citation["marker"]}


# -- Markdown ----------------------------------------------------------------------------------------------------------


class _Text(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def a_turn(text: str) -> Turn:
    citation = Citation(1, "d", f"{text}.txt", text, text, None, Span(0, len(text)), text)
    trace = Trace("0" * 12, None, {}, 1, {})
    return Turn(text, scope=text, result=Answer(text, (Claim(text, (citation,)),), (), trace, text + "?"))


_line = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1).map(lambda t: f"{t} a")


@given(_line | st.sampled_from("*a* _b_ `c` [d](javascript:e) <script> &lt; | # - + = 1. 2) ~~f~~ ![g](h) $i$".split()))
def test_markdown_shows_foreign_text_as_its_characters(text: str) -> None:
    page = _Text(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(turn_markdown(a_turn(text), 1)))
    assert page.tags <= {"h2", "p"}
    words = " ".join(text.split())
    assert " ".join(page.text.split()) == (
        f"{words} Asked as: {words}? Only {words} {words} [^1-1] "
        f"[^1-1]: “{words}” {words}, {words}, undated; {words}.txt, characters 0–{len(text)}"
    )


def test_turns_can_be_put_together_in_one_file(seeds: Rag) -> None:
    turns = [Turn(question, result=seeds.ask(question)) for question in (ELECTION, SEVERAL)]
    text = "\n".join(turn_markdown(turn, number) for number, turn in enumerate(turns, start=1))
    labels = [line.partition("]:")[0] for line in text.splitlines() if line.startswith("[^")]
    assert len(labels) == len(set(labels)) >= 2
    assert all(f"{label}]" in text.replace(f"{label}]:", "") for label in labels)


def test_a_verdict_on_more_than_an_answer_is_refused_and_nothing_stored(tmp_path: Path) -> None:
    """A page may bring back any conversation: a call of a hundred bytes must not fill the disk with it."""
    with pytest.raises(UsageError, match="larger than 512 KB"):
        store(tmp_path, verdict="up", comment="", history=[], record={"text": "x" * 512 * 1024})
    assert not (tmp_path / FILE).exists()


def test_a_kept_conversation_has_an_end() -> None:
    assert checker("restore").validate_python(["x" * 4 * 1024 * 1024, None])
    with pytest.raises(ValidationError, match="string_too_long"):
        checker("restore").validate_python(["x" * (4 * 1024 * 1024 + 1), None])
