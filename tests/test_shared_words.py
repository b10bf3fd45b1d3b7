"""How much of a sentence others have, and numbers that were moved."""

import pytest

from rag.gate.rules.quantities import Amount
from rag.gate.rules.shared_words import moved, n_shared, overlap, root

TERMS = "The president’s term expires in 2029, and the parliament’s term ends in 2028."
TRADE = (
    "Trade had reached $11 billion in the first eight months and was expected to reach $18 billion by the year's end."
)


def test_irregular_verbs_share_a_root_with_their_infinitive():
    assert root("met") == root("meeting")
    assert root("taken") == root("took") == root("takes")


@pytest.mark.parametrize(
    ("text", "source", "share"),
    [
        ("The treaty was dismissed.", "His dismissal of the treaty", 1.0),
        ("The government fell.", "They governed until its fall.", 1.0),
        ("The ship sank in 1931.", "In 1931 the ship was built.", 2 / 3),
        ("Solberg said it sank.", "It sank, Okafor said.", 1.0),
        ("The ship sank.", "A bridge was built.", 0.0),
        ("So it was.", "So it was.", 0.0),
    ],
)
def test_the_share_counts_words_of_meaning_and_quantities(text: str, source: str, share: float):
    assert overlap(text, source, names=["Solberg"]) == pytest.approx(share)


def test_the_words_that_two_texts_share_are_counted():
    assert n_shared("The ship sank near Oslo.", "Near Oslo a ship had its home.") == 2


@pytest.mark.parametrize(
    ("text", "source", "value"),
    [
        ("Parliament's term ends in 2029.", TERMS, "2029"),
        ("The president's term expires in 2028, that of the parliament later.", TERMS, "2028"),
        ("Trade had reached $18 billion in the first eight months.", TRADE, "18000000000"),
    ],
)
def test_a_number_of_another_statement_was_moved(text: str, source: str, value: str):
    found = moved(text, source)
    assert isinstance(found, Amount)
    assert found.value == value


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("The term of the president ends in 2029 and that of the parliament in 2028.", TERMS),
        ("Trade was $11 billion, and $18 billion were expected by the end of the year.", TRADE),
        ("In 2029 the president's term ends.", TERMS),
        ("It ended.", TERMS),
    ],
)
def test_a_number_in_its_own_statement_was_not(text: str, source: str):
    assert moved(text, source) is None


def test_a_title_in_short_is_spelt_out():
    text = "Ada Lind is the CEO of Orion."
    assert overlap(text, "Ada Lind is the chief executive of Orion.", names=["Ada", "Lind", "Orion"]) == 1
    assert overlap(text, "Ada Lind is the CFO of Orion.", names=["Ada", "Lind", "Orion"]) == 0.5
