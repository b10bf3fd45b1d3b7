"""Words that turn a statement into its opposite, or take away what it has as given."""

import pytest

from rag.gate.rules.reversals import reverses, undone


@pytest.mark.parametrize(
    ("text", "source", "word"),
    [
        ("He failed to repeal the law.", "He repealed the law.", "failed"),
        ("She lost the vote.", "She won the vote.", "lost"),
        ("She was forced to leave.", "She left.", "forced"),
        ("They want to force her out.", "They want her to leave.", "force"),
        ("The treaty has no binding force.", "The treaty is not binding.", None),
        ("Armed forces entered the town.", "Troops entered the town.", None),
        ("She has high blood pressure.", "She has hypertension.", None),
        ("They will pressure the board.", "They met the board.", "pressure"),
        ("Oil rigs were sold.", "Platforms were sold.", None),
        ("Sales declined 5 percent.", "Sales fell 5 percent.", None),
        ("Sales declined sharply by five percent.", "Sales fell by five percent.", None),
        ("Sales declined to three tons.", "Sales fell to three tons.", None),
        ("She declined to answer.", "She answered.", "declined"),
        ("She quit.", "She resigned.", None),
        ("She quit the board.", "She stepped down from the board.", None),
        ("Baltic lost the cup.", "Baltic was beaten in the cup.", None),
        ("He left the town.", "He went from the town.", None),
        ("He refused to sign.", "He did not sign.", None),
        ("He lost his seat.", "He was stripped of his seat.", None),
        ("He signed.", "He refused to pay and signed.", None),
    ],
)
def test_a_word_of_reversal_has_to_stand_in_the_source(text: str, source: str, word: str | None):
    assert reverses(text, source) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("The law still guarantees her immunity.", "revoking"),
        ("The quarry act is in force.", "repealed"),
        ("She chairs the board and keeps the lifetime chair.", "stripping"),
        ("Her immunity was revoked.", None),
        ("She no longer has immunity.", None),
        ("They took away her immunity.", None),
        ("The former chair lost it.", None),
        ("The immunity had saved her.", None),
        ("The act protected the quarry.", None),
        ("She has a family.", None),
    ],
)
def test_what_a_source_takes_away_is_not_had(text: str, word: str | None):
    source = "They repealed the quarry act, revoking the immunity of her family, stripping her of the lifetime chair."
    assert undone(text, source) == word


def test_what_somebody_wants_to_take_away_is_still_had():
    assert undone("The tax raises 30 million.", "The party wants to repeal the tax, which raises 30 million.") is None
