"""What is read off a document, and what the files beside it add."""

import datetime as dt
from pathlib import Path

import pytest

from rag.documents import read_synonyms
from rag.documents.clean import exclusions, load_rules
from rag.documents.describe import Description, describe
from rag.documents.sources import Overrides, read_sources
from rag.errors import DocumentError

SEEDS = Path(__file__).parents[1] / "seeds"
RULES = load_rules()


def described(
    text: str, *, source: str = "folder/name.txt", overrides: Overrides | None = None, stated: Overrides | None = None
) -> Description:
    given = overrides or Overrides(), stated or Overrides()
    return describe(text, source, exclusions(text, RULES), *given, roles=RULES.roles)


def described_seed(number: str, *, with_overrides: bool) -> Description:
    path = next(SEEDS.glob(f"{number}_*.txt"))
    overrides = read_sources(SEEDS).of(path.name) if with_overrides else None
    return described(path.read_text(encoding="utf-8"), source=path.name, overrides=overrides)


TITLES = {
    "000": "Tokayev downplays Putin–Nazarbayev talks as personal, not political",
    "001": "Kassym-Jomart Tokayev Comments on Nazarbayev-Putin Meetings",
    "002": "Nazarbayev at the Kremlin — what signal is Moscow sending to Astana? Expert opinions on Caliber.Az",
    "003": "Putin and Nazarbayev Meet Again",
    "004": "Tokaev leads a double play trying to be a friend of both Russia and EU",
}


@pytest.mark.parametrize(
    ("number", "publisher", "date"),
    [
        ("000", None, None),
        ("001", "Times Tengri", None),  # "Jan 7", and no full date in the text that would settle the year
        ("002", None, None),
        ("003", "Times Tengri", dt.date(2025, 12, 29)),
        ("004", "Insight News Media", None),
    ],
)
def test_the_seeds_describe_themselves_as_far_as_they_state_it(
    number: str, publisher: str | None, date: dt.date | None
) -> None:
    found = described_seed(number, with_overrides=False)
    assert found == Description(TITLES[number], publisher, None, date, None, {})


@pytest.mark.parametrize(
    ("number", "publisher", "date", "inferred"),
    [
        ("000", None, None, False),
        ("001", "Times Tengri", dt.date(2026, 1, 7), True),
        ("002", "Caliber.Az", None, False),
        ("003", "Times Tengri", dt.date(2025, 12, 29), False),
        ("004", "Insight News Media", dt.date(2022, 11, 28), True),
    ],
)
def test_the_seeds_with_what_is_known_about_them(
    number: str, publisher: str | None, date: dt.date | None, inferred: bool
) -> None:
    found = described_seed(number, with_overrides=True)
    assert (found.title, found.publisher, found.author) == (TITLES[number], publisher, None)
    assert (found.date, found.language, "date" in found.inferred) == (date, "en", inferred)


def test_every_entry_of_the_seeds_sources_belongs_to_a_file() -> None:
    assert sorted(read_sources(SEEDS).documents) == sorted(path.name for path in SEEDS.glob("*.txt"))


def test_the_reasons_given_for_seed_004_quote_its_text() -> None:
    reason = read_sources(SEEDS).of("004_d94eb6847acb4473.txt").inferred["date"]
    text = (SEEDS / "004_d94eb6847acb4473.txt").read_text(encoding="utf-8")
    quotes = reason.split('"')[1::2]
    assert len(quotes) == 4
    assert all(quote in text for quote in quotes)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# A Heading #\n\nText follows here.", "A Heading"),
        ("#hashtag\nText follows here.", "#hashtag"),
        ("A plain title\nText follows here.", "A plain title"),
        ("Will it rain?\n\nText follows here.", "Will it rain?"),
        ("A first sentence.\nA second sentence.", "name"),
        ("word " * 60 + "\n\nText follows here.", "name"),
        ("# " + "word " * 60, "name"),
        ("Just one sentence.", "name"),
    ],
)
def test_a_title_is_the_heading_or_a_first_line_that_looks_like_one_or_the_name_of_the_file(
    text: str, title: str
) -> None:
    assert described(text).title == title


def test_the_author_is_read_off_the_byline() -> None:
    assert described("Title\nBy Jane Doe\n- 3 min read\n\nText follows here.").author == "Jane Doe"


@pytest.mark.parametrize(
    "line",
    ["- Jan 7, 2025", "7 January 2025", "2025-01-07", "January 7, 2025", "Published on Jan. 7 2025", "- 7 Jan 2025"],
)
def test_dates_are_read_in_the_usual_forms(line: str) -> None:
    found = described(f"Title\n{line}\n\nText follows here.")
    assert (found.date, found.inferred) == (dt.date(2025, 1, 7), {})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("It happened on December 27, 2025, not on 1 May 2020.", dt.date(2026, 1, 7)),
        ("It happened on January 7, 2025.", dt.date(2025, 1, 7)),
        ("It happened on January 8, 2025.", None),  # a year before the next January 7: too long to be sure
        ("It happened on September 1, 2025.", None),
        ("It happened on February 30, 2025.", None),
        ("It happened in December 2025.", None),
    ],
)
def test_a_missing_year_is_inferred_only_where_the_text_settles_it(body: str, expected: dt.date | None) -> None:
    found = described(f"Title\n- Some Press\n- Jan 7\n\n{body}")
    assert found.date == expected
    assert ("date" in found.inferred) == (expected is not None)
    if expected:
        assert expected.isoformat() in found.inferred["date"]


def test_an_inferred_leap_day_has_to_exist() -> None:
    assert described("Title\n- Feb 29\n\nIt happened on February 1, 2023.").date is None
    assert described("Title\n- Feb 29\n\nIt happened on February 1, 2024.").date == dt.date(2024, 2, 29)


def test_an_override_wins_and_takes_the_inference_with_it() -> None:
    text = "Title\n- Some Press\n- Jan 7\n\nIt happened on December 27, 2025."
    found = described(text, overrides=Overrides(publisher="Other Press", date=dt.date(2020, 1, 7)))
    assert found == Description("Title", "Other Press", None, dt.date(2020, 1, 7), None, {})


def test_a_folder_without_files_beside_the_documents_says_nothing(tmp_path: Path) -> None:
    assert read_sources(tmp_path).ignore == ()
    assert read_sources(tmp_path).of("any.txt") == Overrides()
    assert read_synonyms(tmp_path) == ()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("ignore = [", "TOML"),
        ("ignore = 'README.md'", "'ignore'"),
        ("ignore = [3]", "'ignore'"),
        ("ignore = ['']", "'ignore'"),
        ("ignore = ['.']", "'ignore'"),
        ("ignored = ['README.md']", "'ignored'"),
        ('["a.txt"]\ntitel = "x"', "'titel'"),
        ('["a.txt"]\ntitle = 3', "title"),
        ('["a.txt"]\ntitle = " "', "title"),
        ('["a.txt"]\ndate = "2025-12-29"', "date"),
        ('["a.txt"]\ndate = 2025-12-29T10:00:00', "date"),
        ('["a.txt"]\ninferred = "x"', "inferred"),
        ('["a.txt"]\ninferred = { date = "x" }', "'date'"),
    ],
)
def test_a_faulty_sources_file_is_one_line_that_names_file_and_key(tmp_path: Path, content: str, named: str) -> None:
    (tmp_path / "sources.toml").write_text(content, encoding="utf-8")
    with pytest.raises(DocumentError, match=named) as caught:
        read_sources(tmp_path)
    assert str(tmp_path / "sources.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_seeds_synonyms_are_groups_of_names() -> None:
    groups = read_synonyms(SEEDS)
    assert ("Astana", "Nur-Sultan") in groups
    assert all(len(group) >= 2 for group in groups)


@pytest.mark.parametrize(
    "content", ["groups = 3", "groups = ['a']", "groups = [['a']]", "groups = [['a', 3]]", "x = 1"]
)
def test_a_faulty_synonyms_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "synonyms.toml").write_text(content, encoding="utf-8")
    with pytest.raises(DocumentError, match=r"synonyms\.toml"):
        read_synonyms(tmp_path)


def test_what_a_file_states_wins_over_its_text_and_loses_against_an_override() -> None:
    text = "A Heading\n\nby John Doe\n\nSome text."
    stated = Overrides(title="Stated", publisher="The Gull", date=dt.date(2023, 5, 9))
    found = described(text, stated=stated, overrides=Overrides(publisher="The Archive"))
    assert (found.title, found.publisher, found.date) == ("Stated", "The Archive", dt.date(2023, 5, 9))
    assert found.inferred == {}
