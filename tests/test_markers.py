"""Which sentence of a written text cites what, in whatever form, and what of a growing text is final."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.gate import Written, settled, visible, written_sentences

ONE = "Alpha signed the treaty."
TWO = "Beta refused."


def cited(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(sentence.text, sentence.markers) for sentence in written_sentences(text)]


@pytest.mark.parametrize(
    ("marked", "markers"),
    [
        ("Alpha signed the treaty [1].", "1"),
        ("Alpha signed the treaty. [1]", "1"),
        ("Alpha signed the treaty.[1]", "1"),
        ("Alpha signed the treaty [1][2].", "1 2"),
        ("Alpha signed the treaty [1] [2].", "1 2"),
        ("Alpha signed the treaty [1, 2].", "1 2"),
        ("Alpha signed the treaty [1; 2 and 3].", "1 2 3"),
        ("Alpha signed the treaty [1-3].", "1 2 3"),
        ("Alpha signed the treaty [1–3].", "1 2 3"),
        ("Alpha signed the treaty 【1】.", "1"),
        ("Alpha signed the treaty 【4†source】.", "4"),
        ("Alpha signed the treaty [ 1 ].", "1"),
        ("Alpha signed the treaty ［1］.", "1"),
        ("Alpha signed the treaty 〔1〕.", "1"),
        ("Alpha signed the treaty [Source: 1].", "1"),
        ("Alpha signed the treaty [Passage #1].", "1"),
        ("Alpha signed the treaty [^2].", "2"),
        ("Alpha signed the treaty [Source 2].", "2"),
        ("Alpha signed the treaty (1).", "1"),
        ("Alpha signed the treaty. (1)", "1"),
        ("Alpha signed the treaty (1, 2).", "1 2"),
        ("Alpha signed the treaty.¹", "1"),
        ("Alpha signed the treaty.¹²", "12"),
        ("Alpha signed the treaty¹.", "1"),
        ("[1] Alpha signed the treaty.", "1"),
        ("Alpha [1] signed the treaty.", "1"),
        ("- Alpha signed the treaty. [1]", "1"),
        ("2. Alpha signed the treaty [1].", "1"),
        ("**Alpha** signed the _treaty_ [1].", "1"),
        ("## Alpha signed the treaty. [1]", "1"),
        ("Alpha signed the treaty [1](https://evil.example/?q=1).", "1"),
        ("Alpha signed the treaty [1][1].", "1"),
        ("According to [1], Alpha signed the treaty.", "1"),
        ("As stated in passage [2], Alpha signed the treaty.", "2"),
        ("Alpha signed the treaty, as noted in passage [1].", "1"),
        ("Alpha signed the treaty, according to [1].", "1"),
        ("The passage also states that Alpha signed the treaty. [1]", "1"),
        ("According to the passage, Alpha signed the treaty [1].", "1"),
        ("Alpha signed the treaty.", ""),
    ],
)
def test_a_marker_belongs_to_its_sentence_whatever_its_form(marked: str, markers: str):
    assert cited(marked) == [(ONE, tuple(markers.split()))]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('He called it "an art" in [1].', 'He called it "an art".'),
        ("In [1], Alpha won.", "Alpha won."),
        ("Alpha, according to [1], won.", "Alpha won."),
        ("Alpha, as noted in the passage [1], won.", "Alpha won."),
        ("Alpha won (see [1]).", "Alpha won."),
        ("Alpha won [1], in [1] it lost.", "Alpha won, it lost."),
        ("Alpha beat Beta; in [1], Beta beat Alpha.", "Alpha beat Beta; Beta beat Alpha."),
        ("This passage says that Alpha won [1].", "Alpha won."),
        # what follows says something of its own, or may
        ("Alpha took part in [1].", "Alpha took part in."),
        ("The key was never found in the document [1].", "The key was never found in the document."),
        ("The minister was reported by [1] to have quit.", "The minister was reported by to have quit."),
        ("Alpha spoke of a passage to India [1].", "Alpha spoke of a passage to India."),
        ("The treaty, signed in May [1], failed.", "The treaty, signed in May, failed."),
        ("The source says that the deal is dead [1].", "The source says that the deal is dead."),
        ("According to the source, the deal is dead [1].", "According to the source, the deal is dead."),
        ("This passage, now closed, was narrow [1].", "This passage, now closed, was narrow."),
    ],
)
def test_what_leads_to_a_marker_goes_with_it_if_it_can_be_nothing_else(written: str, text: str):
    assert cited(written) == [(text, ("1",))]


@pytest.mark.parametrize(
    ("marker", "kept"),
    [("[0]", "0"), ("[-1]", "-1"), ("[1.5]", "1.5"), ("[99]", "99"), ("[1-999]", "1-999"), ("[3-1]", "3-1")],
)
def test_a_marker_that_can_mean_no_passage_stays_as_it_was_written(marker: str, kept: str):
    assert cited(f"Alpha signed the treaty {marker}.") == [(ONE, (kept,))]


@pytest.mark.parametrize(
    "text",
    [
        "The plot has 40 m² of land.",
        "It grew by 10³ units.",
        "Alpha [sic] signed it.",
        "Alpha signed (in 1931) the treaty.",
        "Both houses (2 of 3) agreed.",
        "The [first] one left.",
    ],
)
def test_brackets_and_superscripts_that_are_no_markers_are_left_alone(text: str):
    assert cited(text) == [(text, ())]


@pytest.mark.parametrize(
    ("text", "markers"),
    [
        (f"{ONE} [1] {TWO} [2]", [("1",), ("2",)]),
        (f"{ONE} {TWO} [2]", [("2",), ("2",)]),  # at the end of a paragraph: for all of it
        (f"{ONE} [1] {TWO}", [("1",), ()]),
        (f"{ONE} {TWO} [2]\n\n{ONE}", [("2",), ("2",), ()]),
        (f"Alpha signed the treaty [1]. {TWO} [2]", [("1",), ("2",)]),
        (f"{ONE} Beta refused [2].", [(), ("2",)]),  # inside the last sentence: for that one
        (f"{ONE}\n{TWO} [1]", [(), ("1",)]),
        ("Alpha met Mr. Beta on Jan. 5 [1]. Beta refused. [2]", [("1",), ("2",)]),
    ],
)
def test_markers_keep_to_their_sentences(text: str, markers: list[tuple[str, ...]]):
    assert [sentence.markers for sentence in written_sentences(text)] == markers


def test_what_somebody_says_in_several_sentences_is_one_sentence():
    said = 'Alpha said: "It is over. We go home. All of us."'
    assert cited(f"{said} [1]") == [(said, ("1",))]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Alpha [signed](https://evil.example/a) it [1].", "Alpha signed it."),
        ("Alpha ![signed](https://evil.example/a.png?q=secret) it [1].", "Alpha signed it."),
        ('Alpha <img src="https://evil.example/x">signed it [1].', "Alpha signed it."),
        ("Alpha <b>signed</b> it [1].", "Alpha signed it."),
        ("Alpha sig\u200bned\u202e it\x07 [1].", "Alpha signed it."),
        ("`Alpha` ~~signed~~ it [1].", "Alpha signed it."),
    ],
)
def test_links_images_markup_and_hidden_characters_leave_their_words(written: str, text: str):
    assert cited(written) == [(text, ("1",))]


def test_a_bare_address_stays_for_the_gate_to_refuse():
    assert cited("See https://evil.example/a [1].") == [("See https://evil.example/a.", ("1",))]


def test_a_text_without_words_has_no_sentences():
    assert written_sentences(" \n--- [1]\n … \u200b") == ()


FRAGMENTS = [
    "Alpha signed the treaty", "Beta refused", "on Jan", "5", "said Mr", "“", "”", '"', "'", ".", ". ", "!", "?", "…",
    " ", "  ", "\n", "\n\n", "[1]", " [2]", "[1][2]", "[1, 2]", "[1-3]", "【1】", "【2†", "】", "[", "]", "(1)", " (2)",
    "(", ")", "¹", "²", "[0]", "[-1]", "[1.5]", "- ", "1. ", "# ", "**", "*", "_", "`", "<b>", "<img src=", ">",
    "![", "](http://a.b/c)", "https://a.b", "\u200b", "\u202e", "\r", "\u2028", ",", ";", ":", " and ", " — ", "é",
    "\u0301", "ı", "İ", "九",
]  # fmt: skip
MANGLED = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join) | st.text(max_size=60)


@settings(max_examples=400)
@given(text=MANGLED, data=st.data())
def test_what_is_settled_stays_whatever_comes(text: str, data: st.DataObject):
    cut = data.draw(st.integers(0, len(text)))
    before = settled(text[:cut])
    assert written_sentences(text)[: len(before)] == before
    assert settled(text)[: len(before)] == before


@settings(max_examples=300)
@given(text=MANGLED)
def test_a_text_that_ends_its_line_is_settled(text: str):
    assert settled(text + "\n") == written_sentences(text)


@settings(max_examples=300)
@given(text=MANGLED)
def test_no_sentence_has_hidden_characters_or_is_without_words(text: str):
    for sentence in written_sentences(text):
        assert sentence.text == visible(sentence.text).strip()
        assert "\n" not in sentence.text
        assert any(map(str.isalnum, sentence.text))


def test_a_growing_text_settles_sentence_by_sentence():
    text = "Alpha signed it. [1] Beta refused [2]. Gamma"
    found = [len(settled(text[:n])) for n in range(len(text) + 1)]
    assert found == sorted(found)
    assert settled(text) == (Written("Alpha signed it.", ("1",)), Written("Beta refused.", ("2",)))
    assert settled("Alpha signed it. [1] ") == ()  # another marker may follow
    assert settled("Alpha signed it. Beta refused. ") == ()  # a marker at the end would be for both


def test_quotation_marks_of_tex_stay_quotation_marks():
    (sentence,) = written_sentences("He said ``it is over'' [1].")
    assert sentence.text == "He said “it is over”."
