"""Who is said to say something, and whether the source has them say it."""

import pytest

from rag.gate.rules.speakers import misattributed, speakers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ingrid Solberg said she was ready.", ["Solberg"]),
        ("“We are ready,” said Solberg.", ["Solberg"]),
        ('"We are ready", President Solberg said.', ["Solberg"]),
        ("According to the analyst Okafor, margins are weak.", ["Okafor"]),
        ("Okafor, in turn, has emphasised the margin.", ["Okafor"]),
        ("In Okafor's view the margin is weak.", ["Okafor"]),
        ("The margin was called weak by Okafor.", ["Okafor"]),
        ("As Solberg described it, they were ready.", ["Solberg"]),
        ("Solberg once publicly questioned the plan.", ["Solberg"]),
        ("The plant in Rotterdam was closed.", []),
        ("The board said so.", []),
    ],
)
def test_speakers_stand_before_and_behind_words_of_speech(text: str, found: list[str]):
    assert speakers(text) == found


BEFORE = "Analyst Peter Okafor said the margin was weak."


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("Okafor said the margin was weak.", BEFORE),
        ("Okafor said it would fall.", "He added that it would fall."),
        ("Okafor believes it will fall.", "“I think it will fall,” the analyst said."),
        ("The margin is weak.", BEFORE),
        ("Okaffor said the margin was weak.", BEFORE),
        ("Halvard Press reports that it fell.", "It fell."),
    ],
)
def test_a_statement_may_be_said_of_its_speaker(text: str, source: str):
    assert misattributed(text, source, before=BEFORE, around=BEFORE + source, publishers="Halvard Press") is None


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("Solberg said the margin was weak.", BEFORE),
        ("Solberg said it would fall.", "He added that it would fall."),
        ("Solberg believes it will fall.", "“I think it will fall,” the analyst said."),
        ("Solberg warned Okafor that it would fall.", "While Okafor said it was fine, he warned Solberg."),
    ],
)
def test_a_statement_of_another_is_misattributed(text: str, source: str):
    assert misattributed(text, source, before=BEFORE, around=BEFORE + source) == "Solberg"


@pytest.mark.parametrize("source", ["The margin fell.", "Some analysts believe that “the margin fell”."])
def test_one_named_near_says_nothing_that_is_told_or_believed_by_a_crowd(source: str):
    assert misattributed("Okafor thinks the margin fell.", source, before="", around=BEFORE + source) == "Okafor"
    is_his = misattributed("Okafor thinks it fell.", "It fell.", before="", around=BEFORE, is_quoted=True)
    assert is_his is None


def test_who_is_praised_by_somebody_does_not_speak():
    assert speakers("Solberg was highly praised by Okafor.") == ["Okafor"]
