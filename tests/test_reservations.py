"""Reservations: which sentences drop the "may" of their source, and which have one, or need none."""

import pytest

from rag.gate.rules.reservations import unconditioned, unreserved

SOURCES = {
    "may": "Solberg may sell the yard in Gdansk, although revenue reached 4 billion kroner last year.",
    "reportedly": "The yard in Gdansk is reportedly nearing its end; revenue grew.",
    "is planned": "A new dock is planned in Gdansk, and the yard was closed.",
    "was expected": "Revenue was expected to reach 6 billion kroner.",
    "hopes to": "Halvard Marine hopes to win the contract for the new dock.",
    "Some analysts believe": "Some analysts believe that Solberg was warning Okafor through these letters.",
}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Solberg sold the yard in Gdansk.", "may"),
        ("The yard in Gdansk is nearing its end.", "reportedly"),
        ("A new dock was built in Gdansk.", "is planned"),
        ("Revenue reached 6 billion kroner.", "was expected"),
        ("Halvard Marine has won the contract for the new dock.", "hopes to"),
        ("Analysts agree that Solberg was warning Okafor through these letters.", "Some analysts believe"),
    ],
)
def test_a_reservation_that_is_dropped_is_found(text: str, word: str):
    assert unreserved(text, SOURCES[word]) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Solberg might sell the yard in Gdansk.", "may"),
        ("Revenue reached 4 billion kroner last year.", "may"),
        ("The yard in Gdansk is said to be nearing its end, according to reports.", "reportedly"),
        ("There are plans for a new dock in Gdansk.", "is planned"),
        ("Revenue was forecast to reach 6 billion kroner.", "was expected"),
        ("Halvard Marine wants to win the contract for the new dock.", "hopes to"),
        ("Analysts believe that Solberg was warning Okafor through these letters.", "Some analysts believe"),
        ("In May 2025 Okafor left.", "may"),
        ("", "may"),
    ],
)
def test_what_keeps_the_reservation_or_is_said_without_one_is_left(text: str, word: str):
    assert unreserved(text, SOURCES[word]) is None


def test_a_comparison_is_no_reservation():
    source = "Smokers are twice as likely to develop the disease."
    assert unreserved("Smokers develop the disease twice as often.", source) is None
    assert unreserved("Smokers develop the disease.", "Smokers are likely to develop the disease.") == "likely"


@pytest.mark.parametrize(
    ("text", "source", "word"),
    [
        ("In May 2024 the company closed the plant.", "In May 2024 the company may close the plant.", "may"),
        ("The plan cuts emissions.", "The plan may cut emissions.", "may"),
        ("The claim was settled.", "The claim could be settled.", "could"),
        ("The view of the sea is blocked.", "The view of the sea might be blocked.", "might"),
        ("It plans to close the plant.", "The company may close the plant.", None),
        ("In the view of the board, the plan cuts emissions.", "The plan may cut emissions.", None),
        ("She claims that the plan cuts emissions.", "The plan may cut emissions.", None),
    ],
)
def test_a_month_or_a_plan_reserves_nothing(text: str, source: str, word: str | None):
    assert unreserved(text, source) == word


def test_a_month_is_no_reservation():
    assert unreserved("Solberg sold the yard in Gdansk.", "In May Solberg sold the yard in Gdansk.") is None


CONDITIONS = {
    "If": "If the merger closes, Halvard will cut 300 jobs in Gdansk.",
    "unless": "The yard in Gdansk will close unless orders return.",
    "whether": "The board met on Monday in Oslo to decide whether the yard in Gdansk should be sold to Baltic.",
    "rumour": "Solberg denied the rumour that Baltic had bought the yard in Gdansk.",
    "if": "Halvard sold the yard in 2020, and if orders return, the docks of Rotterdam will be built.",
}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Halvard will cut 300 jobs in Gdansk.", "If"),
        ("Halvard has cut 300 jobs in Gdansk.", "If"),
        ("The merger closes.", "If"),
        ("The yard in Gdansk closed.", "unless"),
        ("The yard in Gdansk was sold to Baltic.", "whether"),
        ("Baltic had bought the yard in Gdansk.", "rumour"),
        ("The docks of Rotterdam were built.", "if"),
    ],
)
def test_a_condition_that_is_dropped_is_found(text: str, word: str):
    assert unconditioned(text, CONDITIONS[word]) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Halvard will cut 300 jobs in Gdansk if the merger closes.", "If"),
        ("Once the merger closes, Halvard will cut 300 jobs in Gdansk.", "If"),
        ("Halvard could cut 300 jobs in Gdansk.", "If"),
        ("Few orders return.", "unless"),
        ("The board met on Monday in Oslo.", "whether"),
        ("Whether the yard in Gdansk is sold to Baltic is open.", "whether"),
        ("Solberg denied the rumour.", "rumour"),
        ("Halvard sold the yard in 2020.", "if"),
        ("", "if"),
    ],
)
def test_what_keeps_the_condition_or_does_not_hang_on_it_is_left(text: str, word: str):
    assert unconditioned(text, CONDITIONS[word]) is None


def test_a_condition_may_be_added_behind_but():
    assert (
        unconditioned("The yard of Baltic will open.", "The yard of Baltic will open, but only if orders come.") == "if"
    )


@pytest.mark.parametrize("opening", ["Even if orders return,", "If you ask her,", "Today, if not before,"])
def test_not_every_if_is_a_condition(opening: str):
    assert unconditioned("Halvard will close the yard.", f"{opening} Halvard will close the yard.") is None


def test_what_a_clause_behind_a_rumour_tells_of_somebody_is_no_rumour():
    source = (
        "It dispelled rumours of a secret deal with her, who ran Halvard for three decades before resigning in 2019."
    )
    assert unconditioned("Solberg ran Halvard for three decades.", source) is None
    assert unconditioned("There was a secret deal with her.", source) == "rumours"


def test_a_condition_behind_a_quotation_is_that_of_the_next_sentence():
    source = (
        "They tell each other: ‘the harbour is my area of responsibility.’ And if orders return, the docks will open."
    )
    assert unconditioned("The harbour is an area of responsibility.", source) is None
