"""Numbers, amounts and dates that are the same however they are written, and those that are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.gate.rules.quantities import (
    Amount,
    Date,
    bounds,
    misplaced_first,
    missing,
    quantities,
    quantities_with_years,
    wording,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 decades", {Amount("3", "decade")}),
        ("three decades", {Amount("3", "decade")}),
        ("81%", {Amount("81", "%")}),
        ("eighty-one per cent", {Amount("81", "%")}),
        ("81 percentage points", {Amount("81", "point")}),
        ("$11 billion", {Amount("11000000000", "dollar")}),
        ("11bn dollars", {Amount("11000000000", "dollar")}),
        ("US$11,000,000,000", {Amount("11000000000", "dollar")}),
        ("eleven billion US dollars", {Amount("11000000000", "dollar")}),
        ("half a million tons", {Amount("500000", "ton")}),
        ("two-thirds of the vote", {Amount("two thirds", "of it")}),
        ("they met once.", {Amount("1")}),
        ("they met twice", {Amount("2", "", "times")}),
        ("81 people", {Amount("81", "", "people")}),
        ("a dozen ships", {Amount("12", "", "ships")}),
        ("-5 degrees", {Amount("-5", "degree")}),
        ("the 15th forum", {Amount("15", "ordinal")}),
        ("the fifteenth forum", {Amount("15", "ordinal")}),
        ("their second meeting", {Amount("2", "ordinal")}),
        ("5 to 7 percent", {Amount("5", "%"), Amount("7", "%")}),
        ("1500 to 2000 dollars", {Amount("1500", "dollar"), Amount("2000", "dollar")}),
        ("in 2023 to 40 million euros", {Amount("2023"), Amount("40000000", "euro")}),
        ("the 1990s", {Amount("1990", "decade")}),
        ("an 83-year-old", {Amount("83", "year")}),
        ("less than a week", {Amount("1", "week")}),
        ("tens of thousands of men", {Amount("tens of thousands", "vague")}),
        ("on a Saturday", {Amount("saturday", "weekday")}),
        ("9,000 companies", {Amount("9000", "", "companies")}),
        ("December 27, 2025", {Date(2025, 12, 27)}),
        ("Dec. 27, 2025", {Date(2025, 12, 27)}),
        ("27 December 2025", {Date(2025, 12, 27)}),
        ("the 27th of December, 2025", {Date(2025, 12, 27)}),
        ("2025-12-27", {Date(2025, 12, 27)}),
        ("27.12.2025", {Date(2025, 12, 27)}),
        ("Dec 27", {Date(None, 12, 27)}),
        ("12/2025", {Date(2025, 12)}),
        ("May 2020", {Date(2020, 5)}),
        ("in June", {Date(None, 6)}),
        ("in 2018", {Amount("2018")}),
    ],
)  # fmt: skip
def test_what_a_text_counts_and_dates(text: str, found: set[object]):
    assert quantities(text) == found


@pytest.mark.parametrize(
    "text", ["one of them", "the first time", "the two presidents", "both", "it may be", "no one", "F-16", "a sentence"]
)
def test_words_that_are_seldom_numbers_count_nothing(text: str):
    assert {a for a in quantities(text) if isinstance(a, Date) or a.value != "16"} == set()


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("Dec 27", "27 December 2025"),
        ("27 December 2025", "It was 2025; they met on Dec 27."),
        ("in 2025", "on December 27, 2025"),
        ("in December 2025", "on December 27, 2025"),
        ("18 were expected", "18% were expected"),
        ("60 projects", "60 large-scale investment projects"),
        ("three decades", "nearly 3 decades"),
        ("1991 to 2019", "from 1991 until 2019"),
    ],
)
def test_what_is_known_in_other_words_is_not_missing(said: str, known: str):
    assert missing(quantities(said), quantities(known)) == []


@pytest.mark.parametrize(
    ("said", "known", "lost"),
    [
        ("thirty years", "three decades", "30 year"),  # nothing is computed
        ("27 December 2024", "27 December 2025 and 13 December 2024", "27 December 2024"),
        ("27 November", "27 December", "27 November"),
        ("March 2019", "June 2019 and March 2018", "March 2019"),
        ("81 votes", "81% of the vote", "81 votes"),
        ("18%", "$18 billion", "18 %"),
        ("$10 million", "$10 billion", "10000000 dollar"),
        ("11 dollars", "11 euros", "11 dollar"),
        ("Sunday", "Saturday", "sunday weekday"),
        ("hundreds of thousands", "tens of thousands", "hundreds of thousands vague"),
        ("the 16th forum", "the 15th forum", "16 ordinal"),
        ("-5 degrees", "5 degrees", "-5 degree"),
        ("two decades", "decades", "2 decade"),
    ],
)
def test_what_another_number_unit_or_date_says_is_missing(said: str, known: str, lost: str):
    assert missing(quantities(said), quantities(known)) == [lost]


def test_a_number_of_any_length_is_one():
    assert missing(quantities("9" * 6000), quantities("in 1931")) != []
    assert missing(quantities("May 1931"), quantities(f"in May, {'9' * 6000}")) == ["May 1931"]


def test_a_date_without_a_year_has_the_nearest_before_it_or_that_of_its_document():
    text = "In May 2019 he left. In June she came, and on 7 July 2021 he returned."
    assert Date(2019, 6) in quantities_with_years(text, before="in 2018", year=2025)
    assert quantities_with_years("On May 29 they met.", before="It was 2024.", year=2025) == {Date(2024, 5, 29)}
    assert quantities_with_years("On May 29 they met.", before="", year=2025) == {Date(2025, 5, 29)}
    assert quantities_with_years("On May 29 they met.", before="", year=None) == {Date(None, 5, 29)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("under 81 % of the vote", {"under"}),
        ("fewer than sixty ships", {"under"}),
        ("no more than $60", {"under"}),
        ("at least 60, and almost three decades", {"over", "nearly"}),
        ("exactly one ship in precisely 3 days", {"exactly"}),
        ("under the treaty of 1991, more than ever", set()),
    ],
)
def test_how_numbers_are_bounded(text: str, found: set[str]):
    assert bounds(text) == found


def test_who_met_for_the_second_time_met_twice_and_no_share_is_taken_for_another():
    assert missing(quantities("they met twice"), quantities("their second meeting")) == []
    assert missing(quantities("half of the vote"), quantities("a third of the vote")) == ["half of it"]


def test_the_wording_of_a_text_is_what_remains_without_its_quantities():
    assert wording("It rose by sixty-three percent on 5 May 2020.").split() == ["It", "rose", "by", "on", "."]


@given(
    text=st.text(max_size=80) | st.lists(st.sampled_from("5 - % $ . , May 3rd 20 of bn ten two".split())).map(" ".join)
)
def test_any_text_has_quantities_and_holds_its_own(text: str):
    found = quantities(text)
    assert missing(found, found) == []


@pytest.mark.parametrize(
    ("text", "source", "found"),
    [
        ("This was their first meeting.", "It was the second meeting this year.", "first meeting"),
        ("The first and only meeting was short.", "The 3rd meeting was short.", "first meeting"),
        ("Their first meeting was short.", "The first short meeting went before the second meeting.", None),
        ("She was the first president.", "It was the second meeting.", None),
        ("It is the second meeting.", "It is the second meeting.", None),
    ],
)
def test_the_first_of_a_kind_is_not_a_later_one(text: str, source: str, found: str | None):
    assert misplaced_first(text, source) == found
