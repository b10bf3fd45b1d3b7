import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import COMPANY, PAPER

from rag.retrieval import condense
from rag.retrieval.followups import MAX_CARRIED_CHARS, MAX_FOLLOW_UP_CHARS
from rag.text.names import Names, learn_names
from rag.values import History

SEEDS = Path(__file__).parent.parent / "seeds"


def sentences(text: str) -> list[str]:
    return [s for line in text.split("\n\n") for s in re.split(r"(?<=[.!?”])\s+", " ".join(line.split())) if s]


@pytest.fixture(scope="module")
def names() -> Names:
    seeds = [line for path in sorted(SEEDS.glob("*.txt")) for line in path.read_text("utf-8").splitlines()]
    return learn_names([s for text in (*seeds, COMPANY, PAPER) for s in sentences(text)])


NAMES = learn_names(sentences(COMPANY) + sentences(PAPER))

LED = ("Who led Kazakhstan for nearly three decades?", "Nursultan Nazarbayev ruled the state for three decades. [1]")
SAID = ("What did Tokayev say about the meeting?", "Tokayev said it took place at Nazarbayev’s request. [1][2]")
STRIPPED = ("Did Tokayev strip Nazarbayev of his posts?", "Tokayev swiftly stripped Nazarbayev of all his posts. [1]")
CEO = ("Who becomes CEO of Halvard Marine?", "The board said on Monday that Ingrid Solberg would become CEO. [1]")
NOTHING = "The documents do not answer this question."

REWRITES = [
    # he, she, they
    ([LED], "And when did he step down?", "When did Nursultan Nazarbayev step down?"),
    ([LED], "and when did he step down", "When did Nursultan Nazarbayev step down"),
    ([LED], "What happened to his family?", "What happened to Nursultan Nazarbayev's family?"),
    ([LED], "What did Putin tell him?", "What did Putin tell Nursultan Nazarbayev?"),
    ([STRIPPED], "When was he elected?", "When was Tokayev elected?"),
    (
        [("Who stripped Nazarbayev of his posts?", "Tokayev swiftly stripped Nazarbayev of all his posts.")],
        "When was he elected?",
        "When was Tokayev elected?",
    ),
    ([("What did Putin say about Tokayev?", "")], "Did he meet Putin?", "Did Tokayev meet Putin?"),
    ([("when did nazarbayev resign", NOTHING)], "who replaced him?", "Who replaced nazarbayev?"),
    ([CEO], "When does she start?", "When does Ingrid Solberg start?"),
    (
        [CEO],
        "What did analysts say about her appointment?",
        "What did analysts say about Ingrid Solberg's appointment?",
    ),
    ([("Who ran the ablation?", "Professor Lina Farouk ran it.")], "Who is she?", "Who is Lina Farouk?"),
    (
        [("Who is Kazbek Beisebayev?", NOTHING), ("What does he say about Moscow?", NOTHING)],
        "And what is his profession?",
        "What is Kazbek Beisebayev's profession?",
    ),
    ([("Where did Putin and Tokayev meet?", "")], "What did they sign?", "What did Putin and Tokayev sign?"),
    ([("Did Putin meet Nazarbayev in Moscow?", "")], "When did they meet?", "When did Putin and Nazarbayev meet?"),
    (
        [("What do analysts think of the treaty?", "")],
        "Do they expect a vote?",
        "Do they expect a vote? (What do analysts think of the treaty?)",
    ),
    (
        [("How often did Putin meet with Nazarbayev?", "")],
        "What is their relationship like?",
        "What is Putin and Nazarbayev's relationship like?",
    ),
    # it, its, there, this, the
    ([("What did the declaration say about Russia?", "")], "Is it binding?", "Is the declaration binding?"),
    ([("Who signed the joint declaration?", "")], "When was it signed?", "When was the joint declaration signed?"),
    ([("What is ReLoRA?", "")], "How does it compare with AdaFactor?", "How does ReLoRA compare with AdaFactor?"),
    ([("What is the policy of Kazakhstan?", "")], "Who are its partners?", "Who are Kazakhstan's partners?"),
    (
        [("How did Halvard Marine do in 2023?", "")],
        "And its debt?",
        "Halvard Marine's debt? (How did Halvard Marine do in 2023?)",
    ),
    ([("When did Putin visit Almaty?", "In 2017.")], "What happened there?", "What happened in Almaty?"),
    ([("Did Putin go to Moscow?", "")], "Who was there?", "Who was in Moscow?"),
    ([("Where is the plant?", "The plant in Rotterdam.")], "Who works there?", "Who works in Rotterdam?"),
    (
        [("What was the meeting between Putin and Nazarbayev about?", "")],
        "When did this meeting take place?",
        "When did this meeting take place? (What was the meeting between Putin and Nazarbayev about?)",
    ),
    (
        [("What was the meeting between Putin and Nazarbayev about?", "")],
        "When did it end?",
        "When did the meeting between Putin and Nazarbayev end?",
    ),
    ([("What did the Bank of England say?", "")], "When was it founded?", "When was the Bank of England founded?"),
    (
        [("What did Russia do to Kazakhstan's oil exports?", "It closed them.")],
        "When did it reopen them?",
        "When did Russia reopen Kazakhstan's oil exports?",
    ),
    (
        [("How many Russian companies operate there?", "9,000")],
        "Who owns them?",
        "Who owns them? (How many Russian companies operate there?)",
    ),
    ([("What is Kazakhstan's foreign policy?", "")], "Is it new?", "Is Kazakhstan's foreign policy new?"),
    ([("Did Nazarbayev keep his posts?", "")], "Who took them over?", "Who took Nazarbayev's posts over?"),
    ([("Did Nazarbayev keep his immunity?", "")], "Is it still in force?", "Is Nazarbayev's immunity still in force?"),
    (
        [("Is Kazakhstan planning a new power plant?", "")],
        "Who else is bidding?",
        "Who else is bidding? (Is Kazakhstan planning a new power plant?)",
    ),
    (
        [("What did Russia do in July 2022?", "")],
        "How did Astana react?",
        "How did Astana react? (What did Russia do in July 2022?)",
    ),
    ([SAID], "Did Putin say it too?", f"Did Putin say it too? ({SAID[0]})"),
    ([LED], "Compare him with Putin.", "Compare Nursultan Nazarbayev with Putin."),
    # a part exchanged
    ([("Did revenue grow in 2023?", "")], "And profit?", "Profit? (Did revenue grow in 2023?)"),
    ([("What is the accuracy of TinyNet?", "")], "What about recall?", "Recall? (What is the accuracy of TinyNet?)"),
    ([("Who met on December 27, 2025?", "")], "And on May 29?", "Who met on May 29, 2025?"),
    ([SAID], "What about Putin?", "What did Putin say about the meeting?"),
    ([SAID], "And Putin?", "What did Putin say about the meeting?"),
    ([SAID], "putin?", "What did putin say about the meeting?"),
    ([SAID], "And about the treaty?", "What did Tokayev say about the treaty?"),
    ([("What did Astana gain from Putin?", "")], "How about Moscow?", "What did Moscow gain from Putin?"),
    (
        [("Did Nazarbayev lose his immunity?", "")],
        "What about his family?",
        "Nazarbayev's family? (Did Nazarbayev lose his immunity?)",
    ),
    ([("What did Tokayev say about Putin?", "")], "And about Nazarbayev?", "What did Tokayev say about Nazarbayev?"),
    ([("What was the revenue in 2023?", "")], "And in 2022?", "What was the revenue in 2022?"),
    ([("What was the revenue in Q2 2023?", "")], "In Q3?", "What was the revenue in Q3 2023?"),
    (
        [("What was the debt at Halvard Marine in 2018?", "")],
        "And 2019?",
        "What was the debt at Halvard Marine in 2019?",
    ),
    ([STRIPPED], "And in January 2022?", "Did Tokayev strip Nazarbayev of his posts in January 2022?"),
    ([("What happened to the plant in Rotterdam?", "")], "And in Gdansk?", "What happened to the plant in Gdansk?"),
    ([("How does TinyNet do on GLUE?", "")], "And on ImageNet?", "How does TinyNet do on ImageNet?"),
    (
        [("What happened at the first meeting?", "")],
        "And the second one?",
        "The second one? (What happened at the first meeting?)",
    ),
    # nothing but a question word
    ([STRIPPED], "Why?", "Why did Tokayev strip Nazarbayev of his posts?"),
    ([STRIPPED], "When was that?", "When did Tokayev strip Nazarbayev of his posts?"),
    ([STRIPPED], "Why did he do it?", "Why did Tokayev strip Nazarbayev of his posts?"),
    ([STRIPPED], "Really?", f"Really? ({STRIPPED[0]})"),
    ([STRIPPED], "Tell me more", f"Tell me more ({STRIPPED[0]})"),
    ([SAID], "And?", f"And? ({SAID[0]})"),
    ([SAID], "Where?", "What did Tokayev say about the meeting, and where?"),
    ([LED], "Who is he?", "Who is Nursultan Nazarbayev?"),
    ([LED], "And the Bank of England?", "Who led the Bank of England for nearly three decades?"),
    ([("Where did Putin go?", "To Moscow.")], "What did he do there?", "What did Putin do in Moscow?"),
    ([STRIPPED], "Did he?", f"Did Tokayev? ({STRIPPED[0]})"),
    ([("Why did Nazarbayev resign?", "")], "Why?", "Why did Nazarbayev resign?"),
    ([("When did Nazarbayev resign?", "")], "And why?", "Why did Nazarbayev resign?"),
    ([SAID], "And why?", "What did Tokayev say about the meeting, and why?"),
    ([LED], "Since when?", "Who led Kazakhstan for nearly three decades, and since when?"),
    ([("Is the code public?", "")], "Since when?", "Since when is the code public?"),
    ([("Did revenue grow?", "")], "By how much?", "Did revenue grow, and by how much?"),
    ([("Was the plant sold?", "")], "To whom?", "Was the plant sold, and to whom?"),
    ([("Who commented on the margin?", "")], "Who else?", "Who else? (Who commented on the margin?)"),
    ([STRIPPED], "What does that mean?", f"What does that mean? ({STRIPPED[0]})"),
    ([SAID], "Does Russia agree with this?", f"Does Russia agree with this? ({SAID[0]})"),
    ([SAID], "Did Putin say the same?", f"Did Putin say the same? ({SAID[0]})"),
    ([SAID], "Where was the one before?", f"Where was the one before? ({SAID[0]})"),
    ([SAID], "And what did the others say?", f"What did the others say? ({SAID[0]})"),
    ([SAID], "Same question for the whole year?", f"Same question for the whole year? ({SAID[0]})"),
    ([STRIPPED], "What happened next?", f"What happened next? ({STRIPPED[0]})"),
]

STANDING = [
    "Which question did Putin refuse to answer?",
    "What else is Kazakhstan planning besides a power plant?",
    "What did Tokayev say about his visit?",
    "Why did Putin say he was pleased?",
    "Did Putin and Nazarbayev say that they met?",
    "Is it true that Putin met Nazarbayev?",
    "Did Tokayev say that Russia closed its export routes?",
    "What did Russia do after Kazakhstan said it would not help?",
    "How many meetings were there in 2018?",
    "Is there a nuclear power plant in Kazakhstan?",
    "Which companies bid for the nuclear power plant?",
    "What is the capital of Kazakhstan?",
    "And when did Nazarbayev resign?",
    "What about the relationship between Putin and Nazarbayev in December 2024?",
    "What is this report about?",
    "Who is the one who resigned?",
    "What did Putin say on the one hand?",
    "Who is the CEO of Halvard Marine?",
    "Does TinyNet beat its baseline on ImageNet?",
    "nuclear power plant",
    "How do analysts explain their forecast?",
    "What did Putin and Tokayev say about their talks?",
    "What happened this year in Kazakhstan?",
    "Thanks!",
    "Warum?",
    "  What did Putin say about Tokayev?  \n",
    "¿Qué he dicho?",
    "Und warum ist das so?",
    "他什么时候辞职的?",
    "🙂?",
    "",
    "   ",
    "???",
]


@pytest.mark.parametrize(("history", "question", "expected"), REWRITES)
def test_a_follow_up_becomes_a_question_that_stands_alone(
    history: History, question: str, expected: str, names: Names
) -> None:
    assert condense(question, history, names=names) == expected


@pytest.mark.parametrize(("history", "question", "_expected"), REWRITES)
def test_condensing_again_changes_nothing(history: History, question: str, _expected: str, names: Names) -> None:
    once = condense(question, history, names=names)
    assert condense(once, history, names=names) == once


@pytest.mark.parametrize("question", STANDING)
def test_a_question_that_stands_alone_is_returned_as_it_is(question: str, names: Names) -> None:
    for history in ([LED], [SAID], [STRIPPED], [CEO], [LED, SAID]):
        assert condense(question, history, names=names) == question


@pytest.mark.parametrize("question", [question for _, question, _ in REWRITES])
def test_without_a_history_nothing_changes(question: str, names: Names) -> None:
    assert condense(question, [], names=names) == question
    assert condense(question, [("", "")], names=names) == question


def test_a_pronoun_without_a_candidate_stays_and_the_previous_question_follows_in_brackets(names: Names) -> None:
    born = condense("When was he born?", [("What is inflation?", NOTHING)], names=names)
    assert born == "When was he born? (What is inflation?)"
    assert condense("Is he here?", [("Where is Moscow?", NOTHING)], names=names) == "Is he here? (Where is Moscow?)"


def test_brackets_are_not_put_into_brackets(names: Names) -> None:
    history = [SAID, ("Did Putin say it too?", "")]
    assert condense("Why?", history, names=names) == f"Why did Putin say it too? ({SAID[0]})"


def test_markers_of_earlier_answers_are_not_carried(names: Names) -> None:
    history = [("Who met?", "Putin [1] and Tokayev [2] met. [3]")]
    assert condense("Where did they meet?", history, names=names) == "Where did Putin and Tokayev meet?"


def test_earlier_follow_ups_are_condensed_before_they_are_referred_to(names: Names) -> None:
    history = [LED, ("And when did he step down?", "In 2019.")]
    assert condense("And why?", history, names=names) == "Why did Nursultan Nazarbayev step down?"
    assert condense("And in Moscow?", history, names=names) == "When did Nursultan Nazarbayev step down in Moscow?"


def test_names_in_lower_case_are_known_from_the_corpus(names: Names) -> None:
    history = [("what did tokayev say about the meeting", "")]
    assert condense("what about putin", history, names=names) == "What did putin say about the meeting?"


def test_without_kinds_the_first_name_is_carried() -> None:
    unknown = Names()
    assert condense("And when did he resign?", [STRIPPED], names=unknown) == "When did Tokayev resign?"


def test_a_turn_with_a_huge_question_or_answer_is_read_in_part(names: Names) -> None:
    history = [("Did Putin " + "really " * 10_000 + "resign?", "Putin said " + "no " * 50_000 + " " * 50_000 + "[1]")]
    for question in ("Why?", "When did he go?", "What does that mean?"):
        assert len(condense(question, history, names=names)) <= len(question) + MAX_CARRIED_CHARS


def test_a_question_as_long_as_a_document_is_left_alone(names: Names) -> None:
    question = "Did he " + "really " * MAX_FOLLOW_UP_CHARS + "go?"
    assert condense(question, [LED], names=names) == question


# --- Properties --------------------------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    "And but why when did he she his her him it its they their there that this these those the same one second former "
    "latter what about how who was is Putin Tokayev Solberg solberg Rotterdam in 2022 Zurich TinyNet of meeting meet "
    "said say , ? . 's … (Did [1] 🙂 über what's it's then so do".split()
)
_PHRASES = st.lists(_WORDS, max_size=12).map(" ".join)
_FREE = st.text(max_size=60)
_HISTORIES = st.lists(st.tuples(_PHRASES | _FREE, _PHRASES | _FREE), max_size=4)
_FOLLOW_UPS = st.sampled_from([question for _, question, _ in REWRITES])
_KNOWN_HISTORIES = st.lists(st.sampled_from([turn for history, _, _ in REWRITES for turn in history]), max_size=4)


@settings(max_examples=300, deadline=None)
@given(question=_PHRASES | _FREE | _FOLLOW_UPS, history=_HISTORIES | _KNOWN_HISTORIES)
def test_any_input_gives_a_capped_question_that_stays_the_same(question: str, history: History) -> None:
    once = condense(question, history, names=NAMES)
    assert history or once == question
    assert len(once) <= len(question) + MAX_CARRIED_CHARS
    assert bool(once.strip()) == bool(question.strip())
    assert condense(once, history, names=NAMES) == once
