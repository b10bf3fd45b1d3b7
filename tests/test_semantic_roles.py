"""Subject and object: which sentences turn round what their source says, and which only put it otherwise."""

import pytest

from rag.gate.rules.semantic_roles import turned

SOURCE = (
    "Okafor invited Solberg to Gdansk. Solberg, he added, sees him as a rival. In Oslo, Solberg refused to see "
    "Lindqvist. Halvard closed Baltic's yards, while Baltic shut Halvard's docks. On Monday Solberg met with Okafor."
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Solberg invited Okafor to Gdansk.", "Solberg"),
        ("Okafor was invited by Solberg.", "Solberg"),
        ("Lindqvist refused to see Solberg.", "Lindqvist"),
        ("Baltic closed Halvard's yards.", "Baltic"),
        ("Halvard's yards were quickly closed by Baltic.", "Baltic"),
        ("Halvard shut Baltic's docks.", "Halvard"),
    ],
)
def test_a_deed_that_is_turned_round_is_found(text: str, name: str):
    assert turned(text, SOURCE) == name


def test_who_is_a_pronoun_in_the_source_cannot_act_on_who_acts_there():
    assert turned("Okafor sees Solberg as a rival.", "Solberg sees him as a rival.") == "Okafor"


@pytest.mark.parametrize(
    "text",
    [
        "Okafor invited Solberg.",
        "Solberg was invited by Okafor.",
        "Solberg has refused to see Lindqvist in Oslo.",
        "Baltic's yards were closed by Halvard.",
        "Okafor met Solberg on Monday.",
        "Okafor met with Solberg on Monday.",
        "As Okafor sees it, Solberg is a rival.",
        "Solberg came from Gdansk.",
        "",
    ],
)
def test_what_is_put_otherwise_is_not_turned_round(text: str):
    assert turned(text, SOURCE) is None


REDUCED = (
    "Baltic, acquired by Halvard in 2012, builds ferries. Gdynia, a yard bought by Lindqvist, was founded in 1931 by "
    "Solberg."
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Halvard acquired Baltic in 2012.", None),
        ("Baltic was acquired by Halvard in 2012.", None),
        ("Baltic, acquired by Halvard, builds ferries.", None),
        ("Lindqvist bought Gdynia.", None),
        ("Solberg founded Gdynia.", None),
        ("Baltic acquired Halvard in 2012.", "Baltic"),
        ("Halvard was acquired by Baltic in 2012.", "Baltic"),
        ("Gdynia bought Lindqvist.", "Gdynia"),
    ],
)
def test_a_passive_needs_no_auxiliary(text: str, name: str | None):
    assert turned(text, REDUCED) == name


def test_who_stands_before_a_verb_acts_by_whatever_means():
    source = "Halvard quickly closed by decree Baltic. He who acquired by force Gdynia was Solberg."
    assert turned("Halvard closed Baltic.", source) is None
    assert turned("Baltic closed Halvard.", source) == "Baltic"
