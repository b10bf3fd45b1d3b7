import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import COMPANY, PAPER

from rag.text.names import Names, learn_names

SEEDS = Path(__file__).parent.parent / "seeds"
GERMAN = """
Der Vorstand der Halvard AG hat in Berlin den Vertrag mit Frau Sommer verlängert. Nach Angaben von Peter Kurz steigt der
Umsatz in Hamburg. Die Analysten in Frankfurt erwarten für das Jahr mehr Wachstum, sagte Kurz.
"""


def sentences(text: str) -> list[str]:
    return [s for line in text.split("\n\n") for s in re.split(r"(?<=[.!?”])\s+", " ".join(line.split())) if s]


@pytest.fixture(scope="module")
def names() -> Names:
    seeds = [line for path in sorted(SEEDS.glob("*.txt")) for line in path.read_text("utf-8").splitlines()]
    return learn_names([s for text in (*seeds, COMPANY, PAPER) for s in sentences(text)])


def test_names_are_words_that_the_corpus_capitalises_inside_sentences(names: Names) -> None:
    assert all(names.is_name(w) for w in ("Nazarbayev", "nazarbayev", "MOSCOW", "Solberg", "TinyNet"))
    assert not any(names.is_name(w) for w in ("meeting", "the", "president", "January", "revenue", ""))


@pytest.mark.parametrize("name", ["Tokayev", "Kazbek Beisebayev", "putin", "Solberg", "Ingrid Solberg", "Okafor"])
def test_persons_are_told_by_titles_and_by_what_they_say(name: str, names: Names) -> None:
    assert names.kind(name) == "person"


@pytest.mark.parametrize("name", ["Moscow", "Kazakhstan", "astana", "Rotterdam", "Zurich", "Gdansk"])
def test_places_are_told_by_what_happens_in_them(name: str, names: Names) -> None:
    assert names.kind(name) == "place"


@pytest.mark.parametrize("name", ["TinyNet", "GLUE", "Ak Orda", "Unheard Of", ""])
def test_the_kind_of_a_name_without_cues_is_other(name: str, names: Names) -> None:
    assert names.kind(name) == "other"


def test_a_surname_tells_the_kind_of_an_unknown_full_name(names: Names) -> None:
    assert names.kind("Henrik Solberg") == "person"


def test_a_place_is_not_told_by_its_owner() -> None:
    assert learn_names(["It was wrong in Okafor's view, and we said so."]).kind("Okafor") == "other"


def test_contradicting_cues_leave_the_kind_open() -> None:
    learnt = learn_names(["We met Mr Jordan there.", "We met in Jordan."])
    assert learnt.is_name("Jordan")
    assert learnt.kind("Jordan") == "other"


def test_in_other_languages_names_are_found_by_their_capitals() -> None:
    german = learn_names(sentences(GERMAN))
    assert german.is_name("Kurz")
    assert german.is_name("Halvard")
    assert german.kind("Kurz") == "other"


def test_a_heading_in_title_case_makes_no_names() -> None:
    learnt = learn_names(
        ["Quarterly Revenue Outlook Beats Modest Expectations", "The outlook and the revenue beat it."]
    )
    assert learnt == Names()


_TEXTS = st.text(max_size=80) | st.lists(
    st.sampled_from("in the Putin Tokayev Zurich said Mr President of 's , . ? : 2022 über a Bank to".split()),
    max_size=12,
).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(_TEXTS, max_size=8))
def test_learning_names_takes_any_text_and_no_order(texts: list[str]) -> None:
    assert learn_names(texts) == learn_names(list(reversed(texts)))
