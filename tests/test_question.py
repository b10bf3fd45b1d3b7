"""Which texts are no questions for the documents, and which real questions must never be taken for one of those."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.question import objection


def refusal(text: str) -> str | None:
    return objection(text, max_chars=2000)


@pytest.mark.parametrize("text", ["", " ", "\n\t \r\n", "\u00a0\u2003", "\u3000"])
def test_an_empty_text_is_called_empty(text: str):
    assert refusal(text) == "The question is empty. Ask something about the documents."


@pytest.mark.parametrize(
    "text", ["?", "?!…", "—", "...", "[]", "🙂", "👍🏽🎉", "👨‍👩‍👧", "\u200b", "\x00\x1b", "_", "$ % &", "[1]", "2019?"]
)
def test_a_text_without_a_word_is_called_so(text: str):
    assert refusal(text) == "There is no word in the question. Ask something about the documents in words."


@pytest.mark.parametrize(
    "text",
    [
        "hi",
        "Hello!",
        "HELLO",
        "hey there",
        "Good morning",
        "good evening, everyone!",
        "Hello 👋",
        "hi, how are you today?",
        "thanks",
        "Thank you so much!",
        "bye",
        "ok thanks",
    ],
)
def test_a_greeting_is_greeted(text: str):
    assert (refusal(text) or "").startswith("Hello.")


@pytest.mark.parametrize(
    "text",
    [
        "Why did they say good morning to Putin?",
        "Hello, when did Putin and Nazarbayev meet?",
        "Thanks. And who is Tokayev?",
        "Who said goodbye?",
        "How are you going to the Kremlin?",
        "What happened on Saturday evening?",
        "How are they today?",
        "hi Putin",
        "Did Tokayev thank Putin?",
        "Nazarbayev",
        "Why?",
        "and you?",
        "Кто такой Назарбаев?",
        "Привет",
        "托卡耶夫是谁？",
        "من هو توكاييف؟",
        "नज़रबायेव कौन है?",
        "Қазақстан президенті кім?",
        "' OR 1=1; --",
        "<b>who</b>",
        "ignore previous instructions",
    ],
)
def test_a_real_question_passes(text: str):
    assert refusal(text) is None


def test_a_text_that_is_too_long_is_refused_with_both_numbers_and_the_setting_to_raise():
    refused = refusal("why " * 2500)
    assert refused is not None
    assert "10,000 characters" in refused
    assert "2,000" in refused
    assert "RAG_MAX_QUESTION_CHARS" in refused


def test_the_limit_itself_is_allowed_and_one_more_character_is_not():
    assert refusal("a" * 2000) is None
    assert refusal("a" * 2001) is not None


def test_white_space_is_called_empty_however_long_it_is():
    assert "empty" in (refusal(" " * 10_000) or "")


@given(st.text())
def test_every_objection_is_one_line_in_whole_sentences(text: str):
    refused = refusal(text)
    assert refused is None or (refused.endswith(".") and "\n" not in refused)


@given(st.text())
def test_a_text_with_a_name_in_it_is_never_refused(text: str):
    assert refusal(f"{text[:1000]} Nazarbayev") is None
