"""Sentences and passages: what they are on the seeds, and what holds for any text."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.documents.clean import exclusions, lines, load_rules
from rag.documents.split import split
from rag.errors import InvalidValue, ModelUnavailable
from rag.text import tokens
from rag.text.sentences import sentences
from rag.text.tokens import Limit, token_limit
from rag.values import Document, Exclusion, Passage, Span

SEEDS = Path(__file__).parents[1] / "seeds"
RULES = load_rules()
TOKENS = token_limit(200)


def document(text: str, title: str = "") -> Document:
    return Document(id="d", source="d.txt", title=title, publisher=None, author=None, date=None, text=text, sha256="")


def passages_of_seed(number: str) -> tuple[Document, tuple[Passage, ...]]:
    text = next(SEEDS.glob(f"{number}_*.txt")).read_text(encoding="utf-8")
    seed = document(text, text.split("\n", 1)[0])
    return seed, split(seed, exclusions(text, RULES), limits=[TOKENS], overlap_sentences=1)


def characters(maximum: int) -> Limit:
    return Limit("characters", len, maximum)


def texts_of(text: str) -> list[str]:
    return [span.cut(text) for span in sentences(text, Span(0, len(text)))]


def headings_of(text: str) -> list[str]:
    found = split(document(text), (), limits=[characters(10_000)], overlap_sentences=0)
    return [passage.heading for passage in found]


HEADINGS = {
    "000": [
        "Tokayev downplays Putin–Nazarbayev talks as personal, not political",
        '"Benevolent attitude" to old friends',
        "Context of power shift",
        "Geopolitical implications",
    ],
    "001": [
        "Kassym-Jomart Tokayev Comments on Nazarbayev-Putin Meetings",
        "The Normalization of Informal Meetings: Substantive Communication Beyond Etiquette",
        "Tokayev's Position: Between Respecting the Founder and Defending Current Authority",
        (
            "Multi-dimensional Interpretation from a Global Perspective: Geopolitics, Regional Integration, "
            "and Domestic Transformation"
        ),
        "Conclusion",
    ],
    "002": ["Nazarbayev at the Kremlin — what signal is Moscow sending to Astana? Expert opinions on Caliber.Az"],
    "003": [
        "Putin and Nazarbayev Meet Again",
        "01 Frequent Meetings and Special Relationship",
        "02 Nazarbayev's Political Ups and Downs",
        "03 The Overt and Covert Currents of Russia-Kazakhstan Relations",
        "04 Private Meetings in the Geopolitical Chessboard",
        "05 Kazakhstan's Diplomatic Balancing Strategy in Great Power Rivalry",
    ],
    "004": [
        "Tokaev leads a double play trying to be a friend of both Russia and EU",
        "Results of Tokayev’s visit to Russia",
        "Did Tokayev get the pro-Russian narratives of the agreement?",
        "What puts Tokayev in the neutral position of the Russian treaty?",
        "Tokaev is divided between pro-Western views and ties with Russia",
        "The Kazakhstani leader demanded a “collective search for peace formulas” in Ukraine",
    ],
}


@pytest.mark.parametrize("number", HEADINGS)
def test_exactly_these_lines_of_the_seeds_are_headings(number: str) -> None:
    seed, found = passages_of_seed(number)
    assert list(dict.fromkeys(passage.heading for passage in found)) == HEADINGS[number]
    quotable = {span.cut(seed.text) for passage in found for span in passage.sentences}
    assert quotable.isdisjoint(HEADINGS[number])


@pytest.mark.parametrize(("number", "count"), [("000", 14), ("001", 51), ("002", 77), ("003", 56), ("004", 38)])
def test_the_seeds_have_so_many_sentences(number: str, count: int) -> None:
    _, found = passages_of_seed(number)
    assert len({span for passage in found for span in passage.sentences}) == count


@pytest.mark.parametrize("number", HEADINGS)
def test_every_sentence_of_the_seeds_begins_and_ends_as_one(number: str) -> None:
    seed, found = passages_of_seed(number)
    for text in (span.cut(seed.text) for passage in found for span in passage.sentences):
        assert text[0].isupper() or text[0] in "\"“‘'[" or text[0].isdigit(), text
        assert text.rstrip("\"”’')")[-1] in ".!?:", text


@pytest.mark.parametrize("number", HEADINGS)
def test_passages_of_the_seeds_keep_what_is_promised(number: str) -> None:
    seed, found = passages_of_seed(number)
    check(seed, exclusions(seed.text, RULES), found, TOKENS)
    assert [passage.id for passage in found] == [Passage.id_for("d", passage.span) for passage in found]
    assert len({passage.id for passage in found}) == len(found)


@pytest.mark.parametrize(
    "expected",
    [
        ["He came on Jan. 7 to the U.S. and met Dr. Smith.", "It grew by 3.5 percent."],
        ["“We are glad to see you.", "Welcome!” Putin said.", "He said nothing more."],
        ['He said: "It is early.', 'We wait."', "Then he left."],
        ["“Why?” he asked.", "Nobody knew."],
        ["“Fine.”", "He said nothing."],
        ["Why are you meeting? — he could answer: he is my friend.", "Formally, it is so."],
        ["1. Managing the relationship is hard.", "It takes years."],
        ["It is a common challenge.", "4. The Modern Value of Informal Diplomacy: it is high."],
        ["Она пришла.", "Он ушёл."],
        ["今日は晴れ。", "明日は雨。"],
    ],
    ids=lambda expected: expected[0][:20],
)
def test_sentences_end_where_a_reader_would_end_them(expected: list[str]) -> None:
    joined = ("" if "。" in expected[0] else " ").join(expected)
    assert texts_of(joined) == expected


def test_lines_wrapped_by_hand_are_one_paragraph() -> None:
    text = (
        "The committee met on a Thursday in the small room behind\n"
        "the library. Nobody had told Dr. Smith about it, and so he\n"
        "stayed at home.\n"
        "\n"
        "- a first item of the list that is about as long as a line\n"
        "- a second item of the list that is about as long as a line\n"
    )
    [passage] = split(document(text), (), limits=[characters(1000)], overlap_sentences=0)
    assert [span.cut(text).replace("\n", " ") for span in passage.sentences] == [
        "The committee met on a Thursday in the small room behind the library.",
        "Nobody had told Dr. Smith about it, and so he stayed at home.",
        "- a first item of the list that is about as long as a line",
        "- a second item of the list that is about as long as a line",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title\n\nText is here.\n\n## Part\nMore text.", ["Title", "Part"]),
        ("A Title\nText is here.", ["A Title"]),
        ("A Title\n\nA Part\n\nText is here.", ["A Part"]),
        ("Text is here.\nThe last line", [""]),
        ("Text is here.\n- an item\nMore text.", [""]),
        ("Text is here.\nThis introduces a list:\n- an item\n- another", [""]),
        ("Text is here.\n\nWho did it?\n\nNobody knows.", ["", "Who did it?"]),
        ("Text is here.\nWho did it?\nNobody knows.", [""]),
        ("“Who?” asked Ann.\n\n“Who did it?”\n\n“Nobody.”", [""]),
        ("Anna\nBertha\nClara\nDora\nText is here.", ["", "Dora"]),
        ("Text is here.\n\nJane Doe\n\nRome", [""]),
    ],
)
def test_headings_are_told_from_short_lines(text: str, expected: list[str]) -> None:
    assert headings_of(text) == expected


def test_a_heading_opens_its_passage_and_is_no_sentence_of_it() -> None:
    text = "A Title\n\nOne sentence. Two sentences."
    [passage] = split(document(text), (), limits=[characters(100)], overlap_sentences=0)
    assert passage.text == text
    assert [span.cut(text) for span in passage.sentences] == ["One sentence.", "Two sentences."]


def test_a_sentence_is_repeated_where_there_is_room_and_only_inside_a_section() -> None:
    text = "One is short. Two is short. Three is a bit longer than that. Four ends it.\n\nA Part\n\nFive is here."
    found = split(document(text), (), limits=[characters(50)], overlap_sentences=1)
    assert [passage.text for passage in found] == [
        "One is short. Two is short.",
        "Two is short. Three is a bit longer than that.",
        "Three is a bit longer than that. Four ends it.",
        "A Part\n\nFive is here.",
    ]
    tight = split(document(text), (), limits=[characters(40)], overlap_sentences=3)
    assert [passage.text for passage in tight] == [
        "One is short. Two is short.",
        "Three is a bit longer than that.",
        "Four ends it.",
        "A Part\n\nFive is here.",
    ]


def test_a_sentence_above_the_limit_is_cut_at_clauses_then_spaces_then_anywhere() -> None:
    text = "When it rained, they stayed at home; and when the sun shone they went swimming " + "x" * 70 + "."
    found = split(document(text), (), limits=[characters(40)], overlap_sentences=0)
    assert [passage.text for passage in found] == [
        "When it rained, they stayed at home;",
        "and when the sun shone they went",
        "swimming " + "x" * 31,  # the white space comes too early: most of the passage would stay empty
        "x" * 39 + ".",
    ]


def test_passages_do_not_cross_what_is_left_out() -> None:
    text = "One is here.\nTags\nTwo is here.\n"
    tags = Exclusion(Span(13, 17), "r", "r")
    found = split(document(text), (tags,), limits=[characters(100)], overlap_sentences=1)
    assert [passage.text for passage in found] == ["One is here.", "Two is here."]


def test_an_exclusion_that_ends_inside_a_line_is_refused() -> None:
    with pytest.raises(InvalidValue, match="whole lines"):
        split(document("One is here."), (Exclusion(Span(0, 3), "r", "r"),), limits=[TOKENS], overlap_sentences=1)


def test_the_passage_keeps_every_limit_at_once() -> None:
    text = "Some words are here. " * 40
    found = split(document(text), (), limits=[characters(90), token_limit(8)], overlap_sentences=1)
    assert all(len(passage.text) <= 90 and token_limit(8).count(passage.text) <= 8 for passage in found)


def test_a_limit_too_small_for_a_character_is_refused() -> None:
    with pytest.raises(InvalidValue, match="at least"):
        characters(3)


@pytest.mark.parametrize(
    "text", ["x" + " " * 300_000 + "y", "a" * 20_000, "“" * 5_000, ". " * 5_000, "# " + "a  " * 5_000]
)
def test_odd_long_texts_are_cut_like_any_other(text: str) -> None:
    odd = document(text)
    check(odd, (), split(odd, (), limits=[TOKENS], overlap_sentences=1), TOKENS)


def check(whole: Document, left_out: tuple[Exclusion, ...], found: tuple[Passage, ...], limit: Limit) -> None:
    """Assert what holds for the passages of any document."""
    text = whole.text
    wanted = {index for index, character in enumerate(text) if not character.isspace()}
    wanted -= {index for exclusion in left_out for index in range(exclusion.span.start, exclusion.span.end)}
    covered = {index for passage in found for index in range(passage.span.start, passage.span.end)}
    assert wanted <= covered
    for passage in found:
        assert passage.text == text[passage.span.start : passage.span.end]
        assert limit.count(passage.text) <= limit.maximum
        assert not any(exclusion.span.overlaps(passage.span) for exclusion in left_out)
        assert list(passage.sentences) == sorted(passage.sentences)
        assert all(a.end <= b.start for a, b in zip(passage.sentences, passage.sentences[1:], strict=False))
        assert all(span.cut(text) == span.cut(text).strip() for span in passage.sentences)
    spans = [passage.span for passage in found]
    assert spans == sorted(spans)
    assert len(set(spans)) == len(spans)


PIECES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(
        [
            "A Heading\n",
            "\n",
            "\n\n",
            " ",
            "It is. ",
            "Mr. Fox ran! ",
            "“No.” ",
            "he said. ",
            "4. ",
            "… ",
            "∯",
            "# Part\n",
        ]
    ),
    st.sampled_from(["word " * 60, "x" * 300, "𝔘" * 50, "Tags\n", "e\u0301" * 20, "- item\n", "? — so, ", '"(["']),
)
TEXTS = st.lists(PIECES, max_size=15).map("".join)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_the_sentences_of_any_text_hold_every_character_once(text: str) -> None:
    end = 0
    for span in sentences(text, Span(0, len(text))) if text else ():
        assert text[end : span.start].strip() == ""
        assert span.cut(text) == span.cut(text).strip() != ""
        end = span.end
    assert text[end:].strip() == ""


@settings(max_examples=120, deadline=None)
@given(TEXTS, st.integers(8, 60), st.integers(0, 3), st.data())
def test_the_passages_of_any_text_hold_every_kept_character_within_the_limit(
    text: str, maximum: int, overlap: int, data: st.DataObject
) -> None:
    chosen = [line for line in lines(text) if data.draw(st.booleans())] if data.draw(st.booleans()) else []
    left_out = tuple(Exclusion(Span(line.start, line.end), "r", "r") for line in chosen)
    limit = data.draw(st.sampled_from([token_limit(maximum), characters(maximum)]))
    whole = document(text, title="A Heading")
    check(whole, left_out, split(whole, left_out, limits=[limit], overlap_sentences=overlap), limit)


def test_the_tokenizer_leaves_the_environment_as_it_was_and_reads_only_what_is_shipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/elsewhere")
    tokens._o200k.cache_clear()
    assert token_limit(10).count("Hello world") == 2
    assert os.environ["TIKTOKEN_CACHE_DIR"] == "/elsewhere"


def test_control_tokens_in_a_text_are_counted_as_characters() -> None:
    assert token_limit(10).count("<|endoftext|>") > 1


def test_a_vocabulary_that_is_not_the_right_one_is_refused_and_left_in_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tokens, "_vocabulary_folder", lambda: tmp_path)
    tokens._o200k.cache_clear()
    try:
        with pytest.raises(ModelUnavailable, match="cannot be read"):
            token_limit(10)
        (tmp_path / tokens.O200K_FILE).write_bytes(b"damaged")
        with pytest.raises(ModelUnavailable, match="not the o200k_base vocabulary"):
            token_limit(10)
        assert (tmp_path / tokens.O200K_FILE).read_bytes() == b"damaged"
    finally:
        tokens._o200k.cache_clear()
