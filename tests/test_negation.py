"""What contradicts what, by words of denial."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.gate.rules.negation import contradicts


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("The treaty is binding.", "This treaty is not binding."),
        ("The treaty is not binding.", "This treaty is binding."),
        ("They didn't meet.", "They met in May."),
        ("He never revoked it.", "He was revoking it."),
        ("He was concerned.", "He was unconcerned."),
        ("It is a permanent member.", "It is a non-permanent member."),
        ("It is a permanent member.", "It is a non\u2011permanent member."),
        ("EU citizens need a visa.", "Non-EU citizens need a visa."),
        ("It is an accurate map.", "It is an inaccurate map."),
        ("The members agree.", "The members disagree."),
        ("He resigned involuntarily.", "He voluntarily resigned."),
        ("It directly affects them.", "It affects them indirectly."),
        ("It is uncommon.", "It is not uncommon."),
        ("Decisions were taken.", "No decisions were taken."),
        ("It can be ignored.", "It cannot be ignored."),
        ("It is still concealed.", "It is no longer being concealed."),
        ("It was political calculation.", "It was loyalty rather than political calculation."),
        ("It was a trap and not a coincidence.", "It was not a trap but a coincidence."),
        ("He considers it realistic.", "He does not consider it realistic."),
    ],
)
def test_what_one_denies_and_the_other_affirms_is_a_contradiction(text: str, source: str):
    assert contradicts(text, source)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("The treaty is not binding.", "This treaty isn't binding."),
        ("The treaty has no binding force.", "This treaty is not binding."),
        ("He not only signed, he read it.", "He signed and read it."),
        ("It did not concern him.", "He was unconcerned."),
        ("It is common.", "It is not uncommon."),
        ("It was loyalty, not calculation.", "It was loyalty rather than calculation."),
        ("He resigned in June.", "He did not resign in May, but resigned in June."),
        ("He expects no merger.", "He does not expect a merger."),
        ("They lack resources.", "They do not have resources."),
        ("He left, and no one followed.", "He left."),
        ("It was important.", "It was of importance."),
        ("He increasingly agrees.", "He agrees."),
        ("The board was informed.", "The board was formed."),
        ("It improved the yard.", "It proved the yard safe."),
        ("They discovered coal.", "Snow covers coal."),
        ("It imports steel.", "Ships with steel reach the ports."),
        ("It disclosed the sale.", "It closed the sale."),
        ("The yard is independent.", "Prices depend on the yard."),
    ],
)
def test_double_hedged_and_agreeing_denials_contradict_nothing(text: str, source: str):
    assert contradicts(text, source) is None


@given(
    text=st.text(max_size=80)
    | st.lists(st.sampled_from("he not no never un only able unable did , . met".split())).map(" ".join)
)
def test_no_text_contradicts_itself(text: str):
    assert contradicts(text, text) is None


def test_what_a_source_does_not_believe_is_not_said():
    source = "I do not believe that the board has serious resources to buy the yard."
    assert contradicts("The board has serious resources to buy the yard.", source)
    assert contradicts("She doubts that the board has serious resources.", source) is None
    assert contradicts("The board does not have serious resources.", source) is None
