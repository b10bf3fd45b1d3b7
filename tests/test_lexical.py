"""BM25 against numbers worked out by hand and against bm25s itself; which spellings meet, and which must not."""

import random
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import bm25s
import numpy as np
import pytest
from conftest import SEEDS, HashingEncoder
from hypothesis import given
from hypothesis import strategies as st

from rag import Rag, Settings
from rag.documents import Prepared
from rag.errors import IndexDamaged
from rag.index import spelt_as_in
from rag.index.bm25 import UnitIndex
from rag.index.lexical import LexicalIndex
from rag.index.transaction import units_of
from rag.text.synonyms import rephrasings
from rag.text.words import content_words, fold, words
from rag.values import UNITS, Span, Unit, unit_id

VOCABULARY = "alpha beta gamma delta epsilon zeta eta theta kappa lambda".split()
TEXTS = st.lists(st.lists(st.sampled_from(VOCABULARY), max_size=8).map(" ".join), max_size=8)
QUESTIONS = st.lists(st.sampled_from([*VOCABULARY, "unheard"]), min_size=1, max_size=4, unique=True).map(" ".join)


def named(texts: Sequence[str], *, first: int = 0) -> list[tuple[str, str]]:
    """Give each text a document of its own."""
    return [(unit_id(f"{n:016x}", Span(0, len(text) + 1)), text) for n, text in enumerate(texts, start=first)]


def both(texts: list[tuple[str, str]]) -> dict[Unit, list[tuple[str, str]]]:
    return dict.fromkeys(UNITS, texts)


def index_of(*texts: str) -> LexicalIndex:
    return LexicalIndex.empty().changed(removed=both([]), added=both(named(texts)))


def found(index: LexicalIndex, question: str, *, synonyms: Sequence[Sequence[str]] = ()) -> list[int]:
    """The numbers of the texts that a question finds, best first."""
    ranked = index.rank("sentences", index.query(question, synonyms=synonyms), 10)
    return [int(i.partition(":")[0], 16) for i, _ in ranked]


def contents(index: LexicalIndex) -> dict[str, object]:
    queries = [index.query(word) for word in VOCABULARY] + [index.query(" ".join(VOCABULARY))]
    return {
        "ids": {unit: sorted(index.units[unit].ids) for unit in UNITS},
        "stems": {unit: sorted(index.units[unit].scorer.vocab_dict) for unit in UNITS},
        "surface": {word: tuple(counts) for word, counts in index.surface.items()},
        "ranked": [index.rank(unit, query, 99) for unit in UNITS for query in queries],
        "idf": {word: index.idf(word) for word in VOCABULARY},
    }


@pytest.fixture(scope="module")
def seeds_words(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    """The word index of the seeds; meaning plays no part in it."""
    rag = Rag(Settings(index_dir=tmp_path_factory.mktemp("words")), encoder=HashingEncoder())
    added: dict[Unit, list[tuple[str, str]]] = {unit: [] for unit in UNITS}
    for prepared in rag.preview([SEEDS]):
        assert isinstance(prepared, Prepared)
        for unit, texts in units_of(prepared.passages).items():
            added[unit] += texts
    return LexicalIndex.empty().changed(removed=both([]), added=added)


# -- scores ------------------------------------------------------------------------------------------------------------

# Three units of 2, 4 and 1 words, 7/3 on average; k1 = 1.2, b = 0.75; idf = ln(1 + (3 - df + .5) / (df + .5)).
# alpha and beta are in two units: ln(1.6) = 0.4700036; gamma is in one: ln(8/3) = 0.9808293.
# k1 * (1 - b + b * length / average) is 1.0714286, 1.8428571 and 0.6857143 for the three units.
THREE = ("alpha beta", "alpha alpha gamma delta", "beta")
WORKED_OUT = {
    "alpha": [0.4700036 * 1 / 2.0714286, 0.4700036 * 2 / 3.8428571, 0.0],
    "beta": [0.4700036 * 1 / 2.0714286, 0.0, 0.4700036 * 1 / 1.6857143],
    "gamma": [0.0, 0.9808293 * 1 / 2.8428571, 0.0],
    "alpha beta": [0.4537967, 0.2446115, 0.2788158],
    "alpha beta gamma": [0.4537967, 0.5896267, 0.2788158],
    "unheard": [0.0, 0.0, 0.0],
}


@pytest.mark.parametrize("question", WORKED_OUT)
def test_scores_are_those_worked_out_by_hand(question: str):
    index = index_of(*THREE)
    assert index.units["sentences"].scores(index.query(question)) == pytest.approx(WORKED_OUT[question], abs=1e-6)


def test_the_idf_is_the_one_worked_out_by_hand():
    index = index_of(*THREE)
    assert [index.idf(stem) for stem in ("alpha", "gamma")] == pytest.approx([0.4700036, 0.9808293], abs=1e-6)
    assert index.idf("unheard") == index.idf("gamma"), "unknown counts as rare as a word of one unit"
    assert LexicalIndex.empty().idf("alpha") == 0.0


@given(TEXTS.filter(any), QUESTIONS)
def test_scores_are_those_of_bm25s(texts: list[str], question: str):
    """Guards the construction of the index, which is not bm25s's own."""
    plain = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    plain.index([[word.stem for word in words(text)] for text in texts], show_progress=False)
    known = [word.stem for word in words(question) if word.stem in plain.vocab_dict]
    expected = plain.get_scores(known) if known else np.zeros(len(texts))
    index = index_of(*texts)
    assert index.units["passages"].scores(index.query(question)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_scores_over_the_seeds_are_those_of_bm25s(seeds_words: LexicalIndex):
    index = seeds_words.units["passages"]
    every = range(len(index.ids))
    stems = {number: stem for stem, number in index.scorer.vocab_dict.items()}
    texts: list[list[str]] = [[] for _ in every]
    for number, unit, count in zip(index.counts.stem, index.counts.unit, index.counts.count, strict=True):
        texts[unit] += [stems[int(number)]] * int(count)
    plain = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    plain.index(texts, show_progress=False)
    for word in words("when did nuclear power plant companies meet saturday referendum"):
        if word.stem in plain.vocab_dict:
            mine = index.scores(seeds_words.query(word.text))
            assert mine == pytest.approx(plain.get_scores([word.stem]), rel=1e-5, abs=1e-6)


@given(TEXTS, st.data())
def test_taking_documents_out_and_putting_them_in_equals_a_clean_build(texts: list[str], data: st.DataObject):
    units = named(texts)
    gone = data.draw(st.sets(st.sampled_from(units))) if units else set()
    late = data.draw(st.sets(st.sampled_from(units))) - gone if units else set()
    built = LexicalIndex.empty().changed(removed=both([]), added=both([u for u in units if u not in late]))
    changed = built.changed(removed=both(sorted(gone)), added=both(sorted(late)))
    clean = LexicalIndex.empty().changed(removed=both([]), added=both([u for u in units if u not in gone]))
    assert contents(changed) == contents(clean)


@given(TEXTS)
def test_saving_and_loading_changes_nothing(tmp_path_factory: pytest.TempPathFactory, texts: list[str]):
    index, folder = index_of(*texts), tmp_path_factory.mktemp("saved")
    index.save(folder)
    assert contents(LexicalIndex.load(folder)) == contents(index)


@given(TEXTS)
def test_a_loaded_index_can_be_changed_like_a_built_one(tmp_path_factory: pytest.TempPathFactory, texts: list[str]):
    index, folder = index_of(*texts), tmp_path_factory.mktemp("saved")
    index.save(folder)
    more = both(named(["alpha zeta", "kappa"], first=100))
    loaded = LexicalIndex.load(folder).changed(removed=both(named(texts)[:1]), added=more)
    assert contents(loaded) == contents(index.changed(removed=both(named(texts)[:1]), added=more))


@pytest.mark.parametrize("name", ["surface.json", "passages/ids.txt", "sentences/count.npy", "passages/lengths.npy"])
@pytest.mark.parametrize("missing", [True, False])
def test_a_broken_file_is_reported_as_damage(tmp_path: Path, name: str, missing: bool):
    index_of(*THREE).save(tmp_path)
    (tmp_path / name).unlink() if missing else (tmp_path / name).write_bytes(b"\xff")
    with pytest.raises(IndexDamaged, match="run rag ingest again"):
        LexicalIndex.load(tmp_path)


@given(TEXTS, QUESTIONS)
def test_nothing_is_found_that_shares_no_word(texts: list[str], question: str):
    index = index_of(*texts)
    asked = set(question.split())
    sharing = {i for i, text in named(texts) if asked & set(text.split())}
    ranked = index.rank("passages", index.query(question), 99)
    assert {i for i, _ in ranked} == sharing
    assert all(score > 0 for _, score in ranked)
    assert ranked == sorted(ranked, key=lambda pair: (-pair[1], pair[0]))


@given(TEXTS, QUESTIONS, st.integers(1, 4), st.randoms())
def test_neither_the_order_of_adding_nor_the_cut_decides_between_ties(
    texts: list[str], question: str, top_k: int, rng: random.Random
):
    units = named(texts + texts)
    index = LexicalIndex.empty().changed(removed=both([]), added=both(units))
    whole = index.rank("passages", index.query(question), 99)
    rng.shuffle(units)
    shuffled = LexicalIndex.empty().changed(removed=both([]), added=both(units))
    assert shuffled.rank("passages", shuffled.query(question), top_k) == whole[:top_k]


@given(TEXTS, QUESTIONS, st.data())
def test_a_filter_on_documents_takes_others_out_and_changes_no_score(
    texts: list[str], question: str, data: st.DataObject
):
    index = index_of(*texts)
    doc_ids = frozenset(i.partition(":")[0] for i, _ in named(texts))
    allowed = data.draw(st.frozensets(st.sampled_from(sorted(doc_ids)))) if doc_ids else doc_ids
    query = index.query(question)
    whole = index.rank("passages", query, 99)
    filtered = index.rank("passages", query, 99, doc_ids=allowed)
    assert filtered == [pair for pair in whole if pair[0].partition(":")[0] in allowed]


def test_an_empty_index_finds_nothing():
    index = LexicalIndex.empty()
    assert index.rank("sentences", index.query("alpha"), 5) == []
    assert UnitIndex.empty().scores(index.query("alpha")).shape == (0,)


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kazakhstan’s", ["kazakhstan"]),
        ("Kazakhstan's", ["kazakhstan"]),
        ("Putins' friends", ["putins", "friends"]),
        ("“Şavkat”, café", ["savkat", "cafe"]),
        ("9,000 companies", ["9000", "companies"]),
        ("3.5%, 12:30 and $10.", ["3.5", "12:30", "and", "10"]),
        ("in 2022–2023, 1,000.", ["in", "2022", "2023", "1000"]),
        ("COVID-19 in the G7", ["covid", "19", "in", "the", "g7"]),
        ("O’Neil didn’t", ["o'neil", "didn't"]),
        ("‘quoted’ words", ["quoted", "words"]),
        ("snake_case", ["snake", "case"]),
        ("Назарбаев и 纳扎尔", ["назарбаев", "и", "纳扎尔"]),
        ("🙂 — … ?!", []),
        ("", []),
    ],
)
def test_a_text_is_cut_into_words_and_numbers(text: str, expected: list[str]):
    assert [word.folded for word in words(text)] == expected


def test_an_accent_written_as_a_character_of_its_own_does_not_cut_a_word_in_two():
    assert [word.folded for word in words("S\u0327avkat’s cafe\u0301s")] == ["savkat", "cafes"]


def test_capitals_hide_no_possessive():
    stems = [[word.stem for word in words(text)] for text in ("PUTIN’S", "PUTIN'S", "Putin’s", "Putin")]
    assert stems == [["putin"]] * 4


def test_a_curly_and_a_straight_apostrophe_spell_the_same_word():
    assert words("O’Neil")[0].stem == words("O'Neil")[0].stem


@given(st.text())
def test_words_stand_in_their_text_in_order(text: str):
    at, text = 0, unicodedata.normalize("NFC", text).replace("\u00ad", "")  # what a word is cut from
    for word in words(text):
        at = text.index(word.text, at) + len(word.text)
        assert word.folded == fold(word.text)


@given(st.text())
def test_folding_twice_changes_nothing_more_in_words_of_any_script(text: str):
    assert fold(fold(text)) == fold(text)


def test_stop_words_count_only_where_there_is_nothing_else():
    assert [word.folded for word in content_words("What is the treaty?")] == ["what", "treaty"]
    assert [word.folded for word in content_words("is it the")] == ["is", "it", "the"]


def test_forms_of_a_word_meet():
    index = index_of("They discussed several meetings.", "Nothing of the kind.")
    assert found(index, "Who discusses a meeting?") == [0]


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_name_is_what_has_its_capital_inside_sentences():
    index = index_of("Yesterday Tokayev met a minister.", "Then the Minister left with Tokayev.", "Treaties matter.")
    assert index.is_name("Tokayev")
    assert index.is_name("TOKAYEV")
    assert index.is_name("tokayev")
    assert not index.is_name("minister"), "half of the time is not enough"
    assert not index.is_name("Treaties"), "the first word of a sentence says nothing"
    assert not index.is_name("Yesterday")
    assert not index.is_name("unheard")


def test_names_of_the_seeds_are_told_from_its_other_words(seeds_words: LexicalIndex):
    names = "Tokayev Tokaev Putin Nazarbayev Mirziyoyev Moscow Astana Uzbekistan Kremlin Caliber"
    others = "meeting president the he power relations country"
    assert [name for name in names.split() if not seeds_words.is_name(name)] == []
    assert [word for word in others.split() if seeds_words.is_name(word)] == []


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("Tokaev", "tokayev"),
        ("Tokayev", "tokaev"),
        ("Nazarbaev", "nazarbayev"),
        ("NAZARBAEV", "nazarbayev"),
        ("Mirziyaev", "mirziyoyev"),
    ],
)
def test_a_name_meets_its_other_spellings_in_the_seeds(seeds_words: LexicalIndex, asked: str, written: str):
    assert (written,) in stems_for(seeds_words, f"Moscow met {asked} today", part=2)


def stems_for(index: LexicalIndex, question: str, *, part: int, synonyms: Sequence[Sequence[str]] = ()) -> set[tuple]:
    """The stems of all alternatives of one part of a question."""
    return {alternative.stems for alternative in index.query(question, synonyms=synonyms)[part]}


def test_the_spelling_of_the_question_counts_more_than_another_one():
    index = index_of("We met Tokaev there.", "We met Tokayev there.", "Nothing happened.")
    assert found(index, "Tokayev") == [1, 0]
    assert found(index, "Tokaev") == [0, 1]


def test_a_spelling_that_the_documents_do_not_have_counts_like_theirs():
    index = index_of("We met Nazarbayev there.", "Nothing happened.")
    asked, written = (index.units["sentences"].scores(index.query(name)) for name in ("Nazarbaev", "Nazarbayev"))
    assert list(asked) == list(written)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Iran", "Iraq"),
        ("Niger", "Nigeria"),
        ("Slovakia", "Slovenia"),
        ("Austria", "Australia"),
        ("Iceland", "Ireland"),
        ("Liberia", "Siberia"),
    ],
)
def test_names_of_different_things_do_not_meet(one: str, other: str):
    for asked, written in ((one, other), (other, one)):
        assert found(index_of(f"They went to {written} at last.", "Nothing happened."), asked) == []
        assert found(index_of(f"They went to {written} at last.", f"Off to {asked} they flew."), asked) == [1]


def test_no_ordinary_word_of_the_seeds_has_variants(seeds_words: LexicalIndex):
    inside = [word for word, (n_inside, _, _) in seeds_words.surface.items() if n_inside]
    ordinary = [word for word in inside if not seeds_words.is_name(word)]
    assert len(ordinary) > 500
    assert [word for word in ordinary if any(len(part) > 1 for part in seeds_words.query(word))] == []


@pytest.mark.parametrize("question", ["Akorda", "What happened at Akorda?"])
def test_a_name_written_in_one_word_meets_it_in_two(seeds_words: LexicalIndex, question: str):
    assert {("akorda",), ("ak", "orda")} <= stems_for(seeds_words, question, part=-1)


def test_a_name_written_in_one_word_meets_it_in_two_wherever_it_stands_in_the_question(seeds_words: LexicalIndex):
    assert ("ak", "orda") in stems_for(seeds_words, "Akorda: what happened there?", part=0)


def test_a_name_written_in_two_words_meets_it_in_one():
    index = index_of("He spoke at Akorda yesterday.", "Nothing happened.")
    assert found(index, "Who was at Ak Orda?") == [0]


# -- renamings ---------------------------------------------------------------------------------------------------------

GROUPS = [["Elbasy", "Leader of the Nation"], ["Astana", "Nur-Sultan", "Akmola"]]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who is Elbasy?", {0, 1}),
        ("Who is the Leader of the Nation?", {0, 1}),
        ("Where is Nur-Sultan?", {2}),
        ("Where is Akmola?", {2}),
    ],
)
def test_names_that_the_user_declared_equal_meet_in_both_directions(question: str, expected: set[int]):
    index = index_of("They called him Leader of the Nation.", "They called him Elbasy.", "They flew to Astana.")
    assert set(found(index, question, synonyms=GROUPS)) == expected
    assert set(found(index, question)) < expected, "it was the synonyms that did it"


def test_a_part_of_a_name_is_not_renamed():
    index = index_of("They called him Elbasy.", "Nothing happened.")
    assert found(index, "Which nation has a leader?", synonyms=GROUPS) == []


def test_a_question_is_rephrased_with_every_other_name():
    assert rephrasings("Where is nur-sultan today?", GROUPS) == ["Where is Astana today?", "Where is Akmola today?"]
    assert rephrasings("Who is Elbasy, and where is Astana?", GROUPS) == [
        "Who is Leader of the Nation, and where is Astana?",
        "Who is Elbasy, and where is Nur-Sultan?",
        "Who is Elbasy, and where is Akmola?",
    ]


@pytest.mark.parametrize("question", ["Where is Almaty?", "Where is Astanaland?", "preAstana", ""])
def test_a_question_without_a_declared_name_has_no_rephrasings(question: str):
    assert rephrasings(question, GROUPS) == []


def test_names_are_no_patterns():
    assert rephrasings("Is A+B (Ltd.) here?", [["A+B (Ltd.)", r"\1 C"]]) == [r"Is \1 C here?"]


# -- coverage ----------------------------------------------------------------------------------------------------------


def test_a_rare_word_covers_more_of_a_question_than_a_common_one():
    index = index_of("alpha beta", "alpha gamma", "alpha delta")
    query = index.query("alpha beta")
    common, rare = (index.coverage(query, index.covered(query, text)) for text in ("alpha", "beta"))
    assert 0 < common < rare < 1
    assert common + rare == pytest.approx(1.0)


def test_a_variant_covers_what_the_name_does():
    index = index_of("We met Nazarbayev there.", "We met Putin there.")
    query = index.query("Nazarbaev Putin")
    assert index.covered(query, "Nazarbayev’s visit") == {0}
    assert index.covered(query, "Putin met Nazarbayev") == {0, 1}
    assert index.covered(query, "Nobody came") == frozenset()


@given(TEXTS, st.lists(st.sampled_from([*VOCABULARY, "unheard", "Unheard-of"]), max_size=9), st.text() | QUESTIONS)
def test_coverage_is_a_share(texts: list[str], asked: list[str], text: str):
    index = index_of(*texts)
    query = index.query(" ".join(asked))
    covered = index.covered(query, text)
    assert covered <= set(range(len(query)))
    assert 0.0 <= index.coverage(query, covered) <= 1.0 + 1e-9
    assert index.coverage(query, frozenset()) == 0.0
    assert index.coverage(query, range(len(query))) == pytest.approx(1.0 if query and index.idf("alpha") else 0.0)


@given(st.text(), st.text())
def test_any_question_can_be_looked_up_in_any_text(question: str, text: str):
    index = index_of(text, "We met Tokayev there.")
    for unit in UNITS:
        for _, score in index.rank(unit, index.query(question, synonyms=GROUPS), 5):
            assert score > 0


def test_a_name_that_only_begins_sentences_meets_its_variants():
    index = LexicalIndex.empty().changed(
        removed={"passages": [], "sentences": []},
        added={
            "passages": [],
            "sentences": [("0" * 16 + ":0-15", "Tokaev arrived."), ("1" * 16 + ":0-13", "Tokaev spoke.")],
        },
    )
    assert len(index.rank("sentences", index.query("Tokayev?"), 5)) == 2


@pytest.mark.parametrize(
    ("question", "spelt"),
    [
        ("When did Tokaev win?", "When did Tokayev win?"),
        ("When did Tokayev win?", "When did Tokayev win?"),
        ("What did tokaev's ally say in Nur-Sultan?", "What did Tokayev ally say in Astana?"),
        ("Who is Putin?", "Who is Putin?"),
        ("", ""),
    ],
)
def test_a_question_is_spelt_as_a_text_spells_its_names(question: str, spelt: str):
    text = "In Astana they said that Tokayev won."
    index = index_of(text, "It is said of Tokayev and of Astana.")
    query = index.query(question, synonyms=[("Astana", "Nur-Sultan")])
    assert spelt_as_in(text, question, query) == spelt
