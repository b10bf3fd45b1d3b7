"""Whether what stands in quotation marks stands word for word in a text, and where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.gate.rules.quotations import find_quotation, first_unquoted, quotations

TEXT = (
    'He said: “We hope to build\na just — and “orderly” — country.” It was the founder\'s ﬁrst word, "not interested".'
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('He said "we hope".', [("we hope",)]),
        ("He said “we hope,” and “we wait”.", [("we hope",), ("we wait",)]),
        ("He said 'we hope', didn't he?", [("we hope",)]),
        ("Er sagte „wir hoffen“.", [("wir hoffen",)]),
        ("「We hope」 and ``we wait''", [("We hope",), ("we wait",)]),
        ("«Nous espérons», dit-il.", [("Nous espérons",)]),
        ('"We hope … a country"', [("We hope", "a country")]),
        ('"We hope [...] a country"', [("We hope", "a country")]),
        ('He said "we hope', [("we hope",)]),  # the mark that is missing hides nothing
        ('and a country."', [("and a country",)]),
        ("The leaders' talks and Tom's book", []),
        ('""', []),
        ('"…"', []),
    ],
)
def test_the_quotations_of_a_text(text: str, found: list[tuple[str, ...]]):
    assert quotations(text) == found


@pytest.mark.parametrize(
    "quoted",
    ["we hope to build a just", "We hope to build", "just - and 'orderly'".replace("'", '"'), "founder’s first word",
     "[w]e hope", "Not interested"],
)  # fmt: skip
def test_marks_spaces_ligatures_and_the_first_letter_may_differ(quoted: str):
    places = find_quotation((quoted,), TEXT)
    assert places is not None
    ((start, end),) = places
    assert TEXT[start].lower() == quoted.strip("[").lower()[0]
    assert len(TEXT[start:end].split()) == len(quoted.split())


@pytest.mark.parametrize(
    "quoted", ["we hoped to build", "hope to build a country", "ope to build", "uninterested", "We Hope", "interest"]
)
def test_another_word_or_half_of_one_is_not_found(quoted: str):
    assert find_quotation((quoted,), TEXT) is None


def test_the_pieces_of_an_ellipsis_stand_in_their_order():
    assert find_quotation(("We hope", "country"), TEXT)
    assert find_quotation(("country", "We hope"), TEXT) is None


def test_the_first_quotation_that_no_source_has_is_named():
    assert first_unquoted('"we hope" and "we wait … here"', [TEXT, "elsewhere"]) == "we wait … here"
    assert first_unquoted('"we hope" and "elsewhere"', [TEXT, "elsewhere"]) is None


@given(text=st.text(max_size=60), start=st.integers(0, 60), size=st.integers(1, 30))
def test_whole_words_cut_from_any_text_are_found_where_they_are(text: str, start: int, size: int):
    quoted = text[start : start + size]
    places = find_quotation((quoted,), text) if any(map(str.isalnum, quoted)) else None
    for begin, end in places or []:
        assert 0 <= begin < end <= len(text)


@given(words=st.lists(st.text(st.characters(categories=["Ll", "Lu"]), min_size=1, max_size=6), min_size=3, max_size=8))
def test_neighbouring_words_are_found(words: list[str]):
    text = " ".join(words)
    quoted = " ".join(words[1:-1])
    places = find_quotation((quoted,), text)
    assert places is not None
    assert text[places[0][0] : places[0][1]].casefold() == quoted.casefold()
