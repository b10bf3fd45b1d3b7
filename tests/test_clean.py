"""Which lines are left out, and that nothing else is."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.documents.clean import exclusions, lines, load_rules
from rag.errors import SettingsError

SEEDS = Path(__file__).parents[1] / "seeds"
RULES = load_rules()
PROSE = "The talks went on for a second day, and neither side said what they were about."
LONG = f"{PROSE} Then they met once more, in a smaller room, and without the press."


def left_out(text: str) -> list[tuple[str, str]]:
    return [(found.rule, found.span.cut(text)) for found in exclusions(text, RULES)]


def seed(number: str) -> str:
    return next(SEEDS.glob(f"{number}_*.txt")).read_text(encoding="utf-8")


SEED_LINES = {
    "000": [
        ("repeated-title", 3),
        ("caption", 4),
        ("credit-after-caption", 5),
        ("page-furniture", 39),
    ],
    "001": [("header-publisher", 2), ("header-date", 3), ("reading-time", 4), ("page-furniture", 29)],
    "002": [("repeated-paragraph", 18), ("repeated-paragraph", 19)],
    "003": [("header-publisher", 2), ("header-date", 3), ("reading-time", 4), ("page-furniture", 43)],
    "004": [
        ("read-also", 51),
        ("read-also-continued", 52),
        ("follow-publisher", 54),
        ("page-furniture", 55),
    ],
}


@pytest.mark.parametrize("number", SEED_LINES)
def test_exactly_these_lines_of_the_seeds_are_left_out(number: str) -> None:
    text = seed(number)
    by_number = {line.start: line.number + 1 for line in lines(text)}
    found = [(exclusion.rule, by_number[exclusion.span.start]) for exclusion in exclusions(text, RULES)]
    assert found == SEED_LINES[number]


def test_the_repeated_paragraphs_stay_once() -> None:
    text = seed("002")
    for found in exclusions(text, RULES):
        assert text.index(found.span.cut(text)) < found.span.start


@pytest.mark.parametrize(
    "text",
    [
        f"Title\n\n{PROSE}\n\nComments were sparse that day.",
        f"Title\n\n{PROSE}\n\nTags were sewn into every coat.",
        f"Title\n\n{PROSE}\n\nShare prices fell by 3.5 percent.",
        f"Title\n\n{PROSE}\n\nRead also the fine print.",
        f"Title\nBy the end of May, everything had changed.\n{PROSE}",
        f"Title\n- Apples\n- Pears\n- Plums\n{PROSE}",
        f"Title\nMay 5\n{PROSE}",
        f"Title\n{PROSE}\nThe Labour Party (left) won 30 seats in the vote of May 2020, and lost them.",
        "Comments",
        f"Comments\n\n{PROSE}",
        f"Tags\n\n{PROSE}\n" + "Another line of text.\n" * 12,
        "Row, row, row your boat\nGently down the stream\n" * 3,
        f"A refrain\n{PROSE}\nA refrain\nMore text.\nA refrain",
    ],
)
def test_sentences_and_lists_that_resemble_page_furniture_stay(text: str) -> None:
    assert left_out(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Title\nBy Jane Doe and Émile van Damme\n{PROSE}", [("byline", "By Jane Doe and Émile van Damme")]),
        (f"Title\nPublished: 7 January 2025\n{PROSE}", [("header-date", "Published: 7 January 2025")]),
        (f"Title\n2025-01-07\n{PROSE}", [("header-date", "2025-01-07")]),
        (f"Title\n{PROSE}\nReuters/Jane Doe\n{PROSE}", [("photo-credit", "Reuters/Jane Doe")]),
        (f"Title\n{PROSE}\nPhoto: Getty Images\n{PROSE}", [("photo-credit", "Photo: Getty Images")]),
        (f"Title\n{PROSE}\nTags: politics, trade", [("tag-list", "Tags: politics, trade")]),
        (f"Title\n{PROSE}\n 12 Comments ", [("page-furniture", " 12 Comments ")]),
    ],
)
def test_furniture_is_left_out_with_its_rule(text: str, expected: list[tuple[str, str]]) -> None:
    assert left_out(text) == expected


def test_a_credit_needs_its_caption_directly_above() -> None:
    caption = "Ann (left) meets Ben (right) in Rome, March 10, 2020."
    assert left_out(f"Title\n{caption}\nForeign Ministry\n{PROSE}") == [
        ("caption", caption),
        ("credit-after-caption", "Foreign Ministry"),
    ]
    assert left_out(f"Title\n{caption}\n\nForeign policy\n{PROSE}") == [("caption", caption)]


def test_a_short_line_inside_a_repeated_stretch_goes_with_it() -> None:
    stretch = f"{LONG}\nAnd so on.\n{LONG} Twice.\n"
    text = f"Title\n{stretch}{PROSE}\n{stretch}And so on.\nEnd of it."
    assert [found.span.cut(text) for found in exclusions(text, RULES)] == stretch.rstrip().split("\n")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
            st.sampled_from(["Tags", "Title", "- Jan 7", "- Some Press", "Read also: this (", "and that (", LONG, " "]),
        ),
        max_size=25,
    ).map("\n".join)
)
def test_exclusions_are_sorted_whole_lines_that_do_not_overlap(text: str) -> None:
    found = exclusions(text, RULES)
    end = -1
    for exclusion in found:
        start = exclusion.span.start
        assert start > end
        end = exclusion.span.end
        assert start == 0 or text[start - 1] == "\n"
        assert end == len(text) or text[end] == "\n"
        assert "\n" not in exclusion.span.cut(text)
        assert exclusion.rule
        assert exclusion.reason


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[[rule", "not a readable"),
        ("lines = 3", "'lines'"),
        ("rule = 3", r"\[\[rule\]\]"),
        ("head_lines = -1", "head_lines"),
        ('[[rule]]\nreason = "r"\npattern = "p"', "name"),
        ('[[rule]]\nname = "a"\npattern = "p"', "'a' needs a reason"),
        ('[[rule]]\nname = "a"\nreason = "r"', "pattern or a matcher"),
        ('[[rule]]\nname = "a"\nreason = "r"\npattern = "("', "'a' is broken"),
        ('[[rule]]\nname = "a"\nreason = "r"\npattern = "p"\nwhere = "top"', "'top'"),
        ('[[rule]]\nname = "a"\nreason = "r"\npattern = "p"\nrole = "editor"', "'editor'"),
        ('[[rule]]\nname = "a"\nreason = "r"\npattern = "p"\nmax = 3', "'max'"),
        ('[[rule]]\nname = "a"\nreason = "r"\npattern = "p"\nmax_chars = "3"', "max_chars"),
        ('[[rule]]\nname = "a"\nreason = "r"\npattern = 3', "pattern of rule 'a'"),
        ('[[rule]]\nname = "a"\nreason = "r"\nmatcher = "magic"', "'magic'"),
        ('[[rule]]\nname = "a"\nreason = "r"\npattern = "p"\nfollows = "b"', "follows"),
        ('[[rule]]\nname = "a"\nreason = "r"\npattern = "p"\nfollows = ["b"]', "'b'"),
        ('[[rule]]\nname = "a"\nreason = "r"\npattern = "p"\n' * 2, "two rules"),
    ],
)
def test_a_broken_rule_file_is_one_line_that_names_file_and_fault(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=named) as caught:
        load_rules(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rules_name_nothing_of_the_corpus() -> None:
    shipped = (Path(__file__).parents[1] / "rag" / "documents" / "clean_rules.toml").read_text(encoding="utf-8").lower()
    for name in ("tengri", "caliber", "insight news", "kazakh", "tokayev", "putin", "nazarbayev", "moscow", "kremlin"):
        assert name not in shipped
