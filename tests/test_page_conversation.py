"""The conversation of an open page: one question at a time, and nothing lost of what is done meanwhile."""

import asyncio
import copy
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from browsing import ELECTION, OFF_TOPIC
from conftest import HashingEncoder
from gradio.state_holder import StateHolder

from rag import Rag
from rag.errors import UsageError
from rag.models import Vectors
from rag.records import ask_record
from rag.values import Abstention, Trace
from rag.web.conversation import STOPPED, Conversation, PendingQuestion
from rag.web.feedback import Judgement
from rag.web.page import Talk, begin_anew, build, converse, restore, search_for, stop_asking, take_feedback
from rag.web.server.handlers import Kept, Nothing, TurnNumber
from rag.web.turn import Turn, Turns


def done(question: str) -> Turn:
    return Turn(question, result=Abstention(question, "Nothing says so.", (), Trace("0" * 12, None, {}, 1, {})))


def begun(conversation: Conversation, question: str, choice: str = "") -> PendingQuestion:
    asking = conversation.begin(question, choice)
    assert asking
    return asking


def questions(turns: Turns) -> list[str]:
    return [turn.question for turn in turns]


# -- the object --------------------------------------------------------------------------------------------------------


def test_one_question_is_answered_at_a_time_and_the_next_one_after_it() -> None:
    conversation = Conversation()
    first = begun(conversation, " One? ")
    assert conversation.begin("Two?", "") is None
    assert conversation.grow(first, Turn("One?"))
    assert conversation.is_answering
    assert conversation.grow(first, done("One?"))
    assert questions(begun(conversation, "Two?").before) == questions(conversation.turns) == ["One?"]


def test_a_choice_that_makes_no_sense_leaves_the_next_question_free() -> None:
    conversation = Conversation()
    for choice in ("not json", '{"since": "2001-01-01", "until": "1999-12-31"}'):
        with pytest.raises(UsageError):
            conversation.begin("One?", choice)
    assert not conversation.is_answering


def test_a_question_asked_anew_takes_the_place_of_its_turn_and_of_all_after_it() -> None:
    conversation = Conversation((done("One?"), done("Two?"), done("Three?")))
    asking = begun(conversation, "Other?", '{"replaces": 2}')
    conversation.grow(asking, done("Other?"))
    assert questions(conversation.turns) == ["One?", "Other?"]


def test_a_stopped_question_stays_as_that_and_takes_nothing_in_any_more() -> None:
    conversation = Conversation()
    asking = begun(conversation, "One?")
    conversation.stop()
    assert not conversation.grow(asking, done("One?"))
    conversation.stop()
    assert conversation.turns == (Turn("One?", problem=STOPPED),)


def test_a_question_that_ends_late_does_not_end_the_same_one_asked_again() -> None:
    conversation = Conversation()
    late = begun(conversation, "One?")
    conversation.restart()
    again = begun(conversation, "One?")
    conversation.stop(late)
    assert conversation.grow(again, done("One?"))


def test_an_amended_turn_keeps_what_else_was_changed_of_it() -> None:
    conversation = Conversation((done("One?"), Turn("Two?", problem=STOPPED), done("Three?")))
    one, two, three = conversation.turns
    asking = begun(conversation, "Four?")
    conversation.amend(one, verdict="up")
    conversation.grow(asking, four := done("Four?"))
    conversation.amend(one, found=())
    assert conversation.turns == (replace(one, verdict="up", found=()), two, three, four)


def test_a_turn_that_is_gone_is_not_amended_and_not_found() -> None:
    conversation = Conversation((done("One?"),))
    (gone,) = conversation.turns
    conversation.restart((done("One?"), Turn("Two?", problem=STOPPED)))
    conversation.amend(gone, verdict="up")
    assert conversation.turns[0].verdict is None
    assert conversation.at(1) == ((), conversation.turns[0])
    for number in (-1, 0, 2, 3):  # the second has no result
        with pytest.raises(UsageError, match="not in the conversation any more"):
            conversation.at(number)


def test_pages_begin_alike_and_share_nothing() -> None:
    first = Conversation()
    one, other = copy.deepcopy(first), copy.deepcopy(first)
    one.grow(begun(one, "One?"), done("One?"))
    asking = begun(other, "Two?")
    assert (questions(one.turns), other.turns, first.turns) == (["One?"], (), ())
    assert not one.is_answering
    assert not one.grow(asking, done("Two?"))


@pytest.fixture
def _switching_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_switching_often")
def test_nothing_is_lost_of_what_comes_at_once() -> None:
    conversation = Conversation(tuple(done(f"{n}?") for n in range(8)))

    def amend(turn: Turn) -> None:
        for n in range(200):
            conversation.amend(turn, verdict="down" if n % 2 else "up")
        conversation.amend(turn, found=())

    def ask(question: str) -> None:
        while not (asking := conversation.begin(question, "")):
            pass
        assert conversation.grow(asking, done(question))

    works = [(amend, turn) for turn in conversation.turns] + [(ask, f"new {n}?") for n in range(8)]
    threads = [threading.Thread(target=work, args=(what,)) for work, what in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    old, new = conversation.turns[:8], conversation.turns[8:]
    assert {(turn.verdict, turn.found) for turn in old} == {("down", ())}
    assert sorted(questions(new)) == [f"new {n}?" for n in range(8)]


# -- in Gradio ---------------------------------------------------------------------------------------------------------


def test_gradio_keeps_one_for_each_open_page_and_drops_it_after_that_was_closed(seeds: Rag) -> None:
    async def check() -> None:
        page, sessions = build(seeds), StateHolder()
        page.state_session_capacity = 2
        sessions.set_blocks(page)
        one, other = sessions["one"], sessions["other"]
        (key,) = (number for number, block in page.blocks.items() if isinstance(block, gr.State))
        (stop,) = (handler for handler in page.fns.values() if handler.name == "stop_asking")
        conversation = one[key]
        begun(conversation, "One?")
        await page.process_api(stop, [None], state=one)
        assert one[key] is conversation
        assert (questions(one[key].turns), other[key].turns) == (["One?"], ())
        one.is_closed, one.STATE_TTL_WHEN_CLOSED = True, -1
        sessions.delete_all_expired_state()
        assert (one[key].turns, key in other) == ((), True)

    with ThreadPoolExecutor(1) as thread:  # the browser's loop may run in this one
        thread.submit(lambda: asyncio.run(check())).result()


# -- the handlers ------------------------------------------------------------------------------------------------------


def test_events_become_stages_then_claims_then_the_result(seeds: Rag) -> None:
    *made, answered, last = converse(seeds, ELECTION, "", conversation := Conversation())
    stages = [shown.pending.split('class="stage">')[1].split("<")[0] for shown in made]
    assert stages[:2] == ["asking…", "searching 5 documents…"]
    assert [shown.box for shown in made[:2]] == ["", Talk().box]  # emptied once
    assert "claim" not in made[0].pending
    assert "claim" in made[-1].pending
    assert (answered.pending, "claim" in answered.conversation, last) == ("", True, Talk())
    (turn,) = conversation.turns
    assert turn.result
    assert ask_record(turn.result)["claims"] == ask_record(seeds.ask(ELECTION))["claims"]


def test_an_empty_question_changes_nothing(seeds: Rag) -> None:
    assert list(converse(seeds, " \n", "", conversation := Conversation())) == [Talk()]
    assert not conversation.is_answering


def test_a_question_is_taken_as_soon_as_the_answer_before_it_is_there_and_not_earlier(seeds: Rag) -> None:
    conversation = Conversation()
    for shown in converse(seeds, ELECTION, "", conversation):
        while_answered = [*converse(seeds, OFF_TOPIC, "", conversation)]
        if shown.evidence != Talk().evidence:
            break  # Gradio has not heard yet that this was all
        assert while_answered == [Talk()]
    assert questions(conversation.turns) == [ELECTION, OFF_TOPIC]


def test_a_stopped_question_is_not_answered_any_more(seeds: Rag) -> None:
    conversation = Conversation()
    shown = converse(seeds, ELECTION, "", conversation)
    next(shown)
    assert STOPPED in stop_asking(conversation).conversation
    following = converse(seeds, OFF_TOPIC, "", conversation)
    assert next(following).box == ""
    assert list(shown) == [Talk()] * 2  # what the next one shows is left as it is
    list(following)
    assert [bool(turn.problem) for turn in conversation.turns] == [True, False]


def test_what_arrives_after_a_stop_is_taken_away_again(seeds: Rag) -> None:
    conversation = Conversation()
    shown = converse(seeds, ELECTION, "", conversation)
    next(shown)
    begin_anew(seeds, {}, conversation)
    assert list(shown) == [Talk(pending=""), Talk()]
    assert conversation.turns == ()


def test_a_reader_who_left_finds_the_question_stopped(seeds: Rag) -> None:
    conversation = Conversation()
    shown = converse(seeds, ELECTION, "", conversation)
    next(shown)
    shown.close()
    assert conversation.turns == (Turn(ELECTION, problem=STOPPED),)


class Interrupted(HashingEncoder):
    """Does something else before it encodes, once."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def encode(self, texts: Sequence[str]) -> Vectors:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return super().encode(texts)


@pytest.fixture
def interrupted() -> Interrupted:
    return Interrupted()


@pytest.fixture
def small(open_rag: Callable[..., Rag], interrupted: Interrupted, tmp_path: Path) -> Rag:
    (tmp_path / "a.txt").write_text("The sky is blue today. The grass is green.\n", encoding="utf-8")
    rag = open_rag(encoder=interrupted)
    rag.ingest([tmp_path / "a.txt"])
    return rag


def test_a_verdict_given_while_the_next_question_is_answered_stays(small: Rag) -> None:
    conversation = Conversation((done("Who won?"),))
    shown = converse(small, OFF_TOPIC, "", conversation)
    next(shown)
    line = take_feedback(small, Judgement(turn=1, verdict="up"), conversation).line
    *_, answered, _ = shown
    assert "Thank you" in line
    assert answered.conversation.count('aria-pressed="true"') == 1
    assert [turn.verdict for turn in conversation.turns] == ["up", None]


def test_a_search_that_ends_after_the_next_answer_takes_nothing_of_it(small: Rag, interrupted: Interrupted) -> None:
    conversation = Conversation((done("Which colour has the sky?"),))
    shown = converse(small, "Which colour has the grass?", "", conversation)
    next(shown)
    interrupted.meanwhile = lambda: list(shown)
    evidence = search_for(small, TurnNumber(turn=1), conversation).evidence
    assert "Found by searching: 1 passage." in evidence
    assert "Which colour has the grass?" in evidence
    assert questions(conversation.turns) == ["Which colour has the sky?", "Which colour has the grass?"]


def test_a_search_for_a_turn_that_went_away_changes_nothing(small: Rag, interrupted: Interrupted) -> None:
    conversation = Conversation((done("Which colour has the sky?"),))
    interrupted.meanwhile = lambda: begin_anew(small, Nothing(), conversation)
    assert "Found by searching" not in search_for(small, TurnNumber(turn=1), conversation).evidence
    assert conversation.turns == ()
    with pytest.raises(UsageError, match="not in the conversation any more"):
        search_for(small, TurnNumber(turn=1), conversation)
    with pytest.raises(UsageError, match="not in the conversation any more"):
        take_feedback(small, Judgement(turn=1, verdict="up"), conversation)


def test_a_conversation_that_cannot_be_read_leaves_the_question_in_work(small: Rag) -> None:
    conversation = Conversation()
    shown = converse(small, OFF_TOPIC, "", conversation)
    next(shown)
    with pytest.raises(UsageError, match="cannot be read any more"):
        restore(small, Kept(turns=[{}]), conversation)
    assert list(shown)
    assert questions(conversation.turns) == [OFF_TOPIC]
