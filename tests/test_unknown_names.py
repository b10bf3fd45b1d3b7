"""Which words of a sentence are names, and whether other texts know them."""

import pytest

from rag.gate.rules.unknown_names import exchanged, first_unknown, mentions


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ingrid Solberg met Okafor in Gdansk.", ["Ingrid", "Solberg", "Okafor", "Gdansk"]),
        ("Settlements were made in Rotterdam.", ["Rotterdam"]),
        ("The board met on Monday in May.", []),
        ("Revenue rose, President Okafor said.", ["Okafor"]),
        ("Sixty ships left Oslo's port.", ["Oslo"]),
        ("The Oslo–Gdansk line", ["Oslo", "Gdansk"]),
        ("Massimov quietly left.", ["Massimov"]),
        ("Wales closed the port.", ["Wales"]),
        ("The King met the Queen Ada.", ["King", "Ada"]),
        ("Ada is the CEO of Orion, and an MP.", ["Ada", "Orion"]),
        ("They met in 北京 in May.", ["北京"]),
    ],
)
def test_names_are_told_by_capitals_and_at_the_start_by_what_is_known(text: str, names: list[str]):
    assert mentions(text, ["revenue of the plant; a settlement"]) == names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Tokaev", "Tokayev left."),
        ("Syrian", "war in Syria"),
        ("French", "companies from France"),
        ("Spanish", "a port in Spain"),
        ("Kazakh", "President of Kazakhstan"),
        ("EEU", "the Eurasian Economic Union"),
        ("Müller", "Muller said"),
        ("Oldtown", "the town of Newtown"),
    ],
)
def test_a_name_is_known_in_other_spellings_and_forms(name: str, text: str):
    assert first_unknown([name], [text], synonyms=[["Oldtown", "Newtown"]]) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [("Iran", "war in Iraq"), ("Austria", "a port in Australia"), ("Okafor", "Solberg said"), ("Irish", "in Israel")],
)
def test_a_name_that_only_looks_alike_is_unknown(name: str, text: str):
    assert first_unknown([name], [text]) == name


def test_a_name_in_the_place_of_another_is_told():
    source = "In June of that year, Okafor won the contract."
    assert exchanged("In June 2019 Solberg won the contract.", source, [source]) == "Solberg"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("Okafor won the contract.", "Okafor won the contract."),
        ("Solberg won the contract.", "She won the contract from Okafor."),
        ("Solberg won the contract.", "The chief of Halvard won the contract in Oslo."),
        ("The contract was won.", "Okafor won the contract."),
    ],
)
def test_a_name_that_a_source_has_or_leaves_open_is_not_exchanged(text: str, source: str):
    assert exchanged(text, source, [source]) is None


def test_a_name_put_together_of_two_others_is_exchanged():
    source = "Polish President Ada Alpha met the Czech minister Bea Beta."
    assert exchanged("Ada Beta met Bea Alpha.", source, [source]) == "Beta"
    assert exchanged("Czech President Ada Alpha met Bea Beta.", source, [source]) == "Ada"
    assert exchanged("President Ada Alpha met Bea Beta.", source, [source]) is None


def test_nothing_is_known_where_there_is_no_text():
    assert first_unknown(["Ada"], []) == "Ada"
    assert first_unknown([], []) is None
