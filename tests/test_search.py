"""Fusion by rank, worked out by hand; on the seeds, what is found and what a filter keeps out."""

import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import HashingEncoder
from hypothesis import given
from hypothesis import strategies as st

from rag import Rag
from rag.errors import UsageError
from rag.index import Snapshot
from rag.models import SentenceEncoder
from rag.retrieval import RANKINGS as ALL_RANKINGS
from rag.retrieval import Filters, Ranking, Retrieved, retrieve
from rag.retrieval.search import fuse
from rag.values import UNITS, doc_id_of, unit_id

Open = Callable[..., Rag]

RANKINGS = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=5)


# -- fusion ------------------------------------------------------------------------------------------------------------


def test_fused_scores_are_those_worked_out_by_hand():
    fused = dict(fuse([["a", "b", "c"], ["c", "a"]], top_k=10, k=60))
    assert fused == pytest.approx({"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61})
    assert list(fused) == ["a", "c", "b"]


def test_k_weighs_first_places_against_agreement():
    rankings = [["a", "b", "x"], ["y", "b", "a"], ["z", "b"]]
    assert fuse(rankings, top_k=1, k=60)[0][0] == "b"
    assert dict(fuse(rankings, top_k=9, k=1))["a"] == pytest.approx(1 / 2 + 1 / 4)


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_one_is_refused(k: int):
    with pytest.raises(ValueError, match=f"k must be at least 1, got {k}"):
        fuse([["a"]], top_k=1, k=k)


def test_ties_are_broken_by_id():
    assert [found for found, _ in fuse([["b", "a"], ["a", "b"], ["d"], ["c"]], top_k=9)] == ["a", "b", "c", "d"]


def test_nothing_is_fused_to_nothing():
    assert fuse([], top_k=5) == fuse([[], []], top_k=5) == []


@given(RANKINGS, st.integers(1, 9), st.integers(1, 100))
def test_fused_scores_are_bounded_and_best_first(rankings: list[list[str]], top_k: int, k: int):
    fused = fuse(rankings, top_k=top_k, k=k)
    every = {found for ranking in rankings for found in ranking}
    assert len(fused) == min(top_k, len(every))
    assert {found for found, _ in fused} <= every
    assert all(0 < score <= len(rankings) / (k + 1) + 1e-12 for _, score in fused)
    assert fused == sorted(fused, key=lambda pair: (-pair[1], pair[0]))


@given(RANKINGS, st.integers(1, 9), st.randoms())
def test_the_order_of_the_rankings_does_not_matter(rankings: list[list[str]], top_k: int, rng: random.Random):
    fused = fuse(rankings, top_k=top_k)
    rng.shuffle(rankings)
    assert fuse(rankings, top_k=top_k) == fused


@given(RANKINGS)
def test_a_better_rank_in_one_list_never_lowers_a_score(rankings: list[list[str]]):
    before = dict(fuse(rankings, top_k=9))
    for i, ranking in enumerate(rankings):
        for at in range(1, len(ranking)):
            raised = [*ranking[: at - 1], ranking[at], ranking[at - 1], *ranking[at + 1 :]]
            after = dict(fuse([*rankings[:i], raised, *rankings[i + 1 :]], top_k=9))
            assert after[ranking[at]] > before[ranking[at]]


# -- the seeds ---------------------------------------------------------------------------------------------------------

QUESTIONS = [
    "When did Putin and Nazarbayev meet?",
    "How many Russian companies operate in Kazakhstan?",
    "Who is Mirziyoyev?",
    "footnote 1",
    "quarks and leptons",
    "Кто такой Назарбаев?",
]


def look_up(rag: Rag, encoder: SentenceEncoder | HashingEncoder, question: str, **filters: object) -> Retrieved:
    with rag.index.read() as snapshot:
        return retrieve(
            question, snapshot=snapshot, encoder=encoder, filters=Filters(**filters), candidates=50, top_k=12
        )


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("top_k", [1, 3, 10, 100])
def test_hits_are_ranked_and_as_many_as_asked_for(seeds: Rag, question: str, top_k: int):
    hits = seeds.search(question, top_k=top_k)
    n_passages = sum(entry.n_passages for entry in seeds.documents())
    assert 0 < len(hits) <= min(top_k, n_passages)
    assert len(hits) == top_k or top_k == 100
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len({hit.passage.id for hit in hits}) == len(hits)
    assert {hit.via for hit in hits} == {"fused"}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_shorter_list_is_the_beginning_of_a_longer_one(seeds: Rag, question: str):
    assert seeds.search(question, top_k=3) == seeds.search(question, top_k=20)[:3]


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_hit_is_characters_of_its_document(seeds: Rag, question: str):
    documents = {entry.document.id: entry.document for entry in seeds.documents()}
    for hit in seeds.search(question, top_k=100):
        document, passage = documents[hit.passage.doc_id], hit.passage
        assert passage.text == document.text[passage.span.start : passage.span.end]
        assert passage.source == document.source
        for span in passage.sentences:
            assert passage.quote(span) == document.text[span.start : span.end]


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_candidate_has_two_scores_for_each_of_its_sentences(seeds: Rag, encoder: SentenceEncoder, question: str):
    found = look_up(seeds, encoder, question)
    assert [c.passage for c in found.candidates] == [hit.passage for hit in found.hits]
    for candidate in found.candidates:
        assert len(candidate.similarities) == len(candidate.coverages) == len(candidate.passage.sentences) > 0
        assert all(-1.001 <= similarity <= 1.001 for similarity in candidate.similarities)
        assert all(0 <= coverage <= 1 for coverage in candidate.coverages)


def test_similarities_are_those_of_question_and_sentence(seeds: Rag, encoder: SentenceEncoder):
    question = "How many Russian companies operate in Kazakhstan?"
    candidate = look_up(seeds, encoder, question).candidates[0]
    texts = [candidate.passage.quote(span) for span in candidate.passage.sentences]
    assert candidate.similarities == pytest.approx(encoder.encode(texts) @ encoder.encode([question])[0], abs=1e-3)


@pytest.mark.parametrize(
    ("question", "variant", "evidence"),
    [
        ("What did Tokayev refuse to watch?", "What did Tokaev refuse to watch?", "refused to watch Putin"),
        ("With whom does Nazarbayev phone?", "With whom does Nazarbaev phone?", "phone conversation with Mirziyoyev"),
        ("Who spoke with Mirziyoyev?", "Who spoke with Mirziyaev?", "phone conversation with Mirziyoyev"),
        ("Does the Ak Orda comment?", "Does the Akorda comment?", "no official comment from the Ak Orda"),
        ("Who was the Leader of the Nation?", "Who was the Elbasy?", "honorary title of Elbasy"),
        ("Is power firmly in Astana?", "Is power firmly in Nur-Sultan?", "power in Astana has firmly shifted"),
    ],
)
def test_another_spelling_finds_the_same_passage(seeds: Rag, question: str, variant: str, evidence: str):
    for asked in (question, variant):
        assert any(evidence in hit.passage.text for hit in seeds.search(asked, top_k=3)), asked


def test_a_sentence_in_one_passage_finds_its_passage(seeds: Rag):
    best = seeds.search("9,000 Russian companies", top_k=1)[0].passage
    assert "9,000 Russian companies operate in Kazakhstan" in best.text


# -- filters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    ("filters", "allowed"),
    [
        ({"source": "004_d94eb6847acb4473.txt"}, {"004"}),
        ({"source": "004_d94eb6847acb4473"}, set()),
        ({"source": "nowhere"}, set()),
        ({"since": dt.date(2025, 12, 29)}, {"001", "003"}),
        ({"since": dt.date(2025, 12, 30)}, {"001"}),
        ({"until": dt.date(2025, 12, 29)}, {"003", "004"}),
        ({"until": dt.date(2022, 11, 27)}, set()),
        ({"since": dt.date(2025, 12, 29), "until": dt.date(2025, 12, 29)}, {"003"}),
        ({"since": dt.date(1, 1, 1), "until": dt.date(9999, 12, 31)}, {"001", "003", "004"}),
        ({"source": "000_7ba066b34c146bee.txt", "since": dt.date(1, 1, 1)}, set()),
    ],
)
def test_a_filter_on_the_seeds_lets_no_other_document_through(
    seeds: Rag, encoder: SentenceEncoder, question: str, filters: dict[str, object], allowed: set[str]
):
    found = look_up(seeds, encoder, question, **filters)
    assert {hit.passage.source[:3] for hit in found.hits} == allowed
    assert {candidate.passage.source[:3] for candidate in found.candidates} == allowed


@pytest.fixture
def library(open_rag: Open, tmp_path: Path) -> Rag:
    """Documents in folders whose names begin alike, one of them dated."""
    texts = {
        "news/one.txt": "Alpha signed the treaty.",
        "news/deep/two.txt": "Alpha tore the treaty up.",
        "news2/three.txt": "Alpha read the treaty.",
        "news.txt": "Alpha wrote the treaty.",
        "100%_done/four.txt": "Alpha sold the treaty.",
    }
    for name, text in texts.items():
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "docs" / "sources.toml").write_text('["news/one.txt"]\ndate = 2025-06-01\n', encoding="utf-8")
    rag = open_rag()
    assert not rag.ingest([tmp_path / "docs"]).failed
    return rag


@pytest.mark.parametrize(
    ("filters", "allowed"),
    [
        ({}, {"news/one.txt", "news/deep/two.txt", "news2/three.txt", "news.txt", "100%_done/four.txt"}),
        ({"source": "news"}, {"news/one.txt", "news/deep/two.txt"}),
        ({"source": "news/"}, {"news/one.txt", "news/deep/two.txt"}),
        ({"source": "news/deep"}, {"news/deep/two.txt"}),
        ({"source": "news.txt"}, {"news.txt"}),
        ({"source": "new"}, set()),
        ({"source": "%"}, set()),
        ({"source": "n_ws"}, set()),
        ({"source": "100%_done"}, {"100%_done/four.txt"}),
        ({"source": "' OR 1=1 --"}, set()),
        ({"since": dt.date(2025, 6, 1), "until": dt.date(2025, 6, 1)}, {"news/one.txt"}),
        ({"source": "news2", "since": dt.date(1, 1, 1)}, set()),
    ],
)
def test_a_filter_holds_for_every_way_of_searching(library: Rag, filters: dict[str, object], allowed: set[str]):
    encoder = HashingEncoder()
    with library.index.read() as snapshot:
        doc_ids = Filters(**filters).doc_ids(snapshot)
        vectors = encoder.encode(["Who signed the treaty, Alpha?"])
        query = snapshot.lexical.query("Who signed the treaty, Alpha?")
        for unit in UNITS:
            dense = snapshot.nearest(unit, vectors, 10, doc_ids=doc_ids)
            lexical = snapshot.lexical.rank(unit, query, 10, doc_ids=doc_ids)
            assert sources(snapshot, dense) == sources(snapshot, lexical) == allowed
    found = look_up(library, encoder, "Who signed the treaty, Alpha?", **filters)
    assert {hit.passage.source for hit in found.hits} == allowed


def sources(snapshot: Snapshot, found: list[tuple[str, float]]) -> set[str]:
    return {snapshot.catalog.document(doc_id_of(i)).source for i, _ in found}


def test_no_filter_is_told_from_one_that_lets_nothing_through(library: Rag):
    with library.index.read() as snapshot:
        assert Filters().doc_ids(snapshot) is None
        assert Filters(source="nowhere").doc_ids(snapshot) == frozenset()


def test_a_sentence_that_stands_in_two_passages_has_one_vector(seeds: Rag):
    with seeds.index.read() as snapshot:
        shared = [
            unit_id(entry.document.id, span)
            for entry in snapshot.catalog.entries()
            for span in _in_two(snapshot.catalog.passages_of(entry.document.id))
        ]
        assert shared
        assert sorted(snapshot.vectors("sentences", shared)) == sorted(shared)


def _in_two(passages: list) -> list:
    every = [span for passage in passages for span in passage.sentences]
    return [span for span in dict.fromkeys(every) if every.count(span) == 2]


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(UsageError, match=r"^since 2026-01-01 is after until 2025-01-01"):
        Filters(since=dt.date(2026, 1, 1), until=dt.date(2025, 1, 1))


# -- one ranking alone -------------------------------------------------------------------------------------------------


@pytest.fixture
def notes(open_rag: Open, tmp_path: Path) -> Rag:
    """Notes of a sentence each, so that sentences, passages and documents have one order."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / name).write_text(text, encoding="utf-8")
    rag = open_rag()
    assert not rag.ingest([folder]).failed
    return rag


NOTES = {
    "a.txt": "The ferry to Gotland sailed at noon.",
    "b.txt": "A ferry ferry ferry ferry is a boat.",
    "c.txt": "Visby has a new mayor.",
    "d.txt": "Winter in the north is long and dark.",
    "e.txt": "Nobody knows when the old bridge was built.",
}
ASKED = "When sailed the ferry to Gotland?"


def found_by(rag: Rag, question: str, rankings: tuple[Ranking, ...], *, top_k: int = 12) -> list[str]:
    """The sources found, best first."""
    with rag.index.read() as snapshot:
        found = retrieve(
            question,
            snapshot=snapshot,
            encoder=HashingEncoder(),
            filters=Filters(),
            candidates=50,
            top_k=top_k,
            rankings=rankings,
        )
    assert [candidate.passage for candidate in found.candidates] == [hit.passage for hit in found.hits]
    return [hit.passage.source for hit in found.hits]


def by_cosine(question: str) -> list[str]:
    encoder = HashingEncoder()
    cosines = encoder.encode(list(NOTES.values())) @ encoder.encode([question])[0]
    assert len(set(cosines.round(4))) == len(NOTES)  # no ties
    return [source for _, source in sorted(zip(cosines, NOTES, strict=True), reverse=True)]


def by_bm25(rag: Rag, question: str) -> list[str]:
    with rag.index.read() as snapshot:
        ranked = snapshot.lexical.rank("sentences", snapshot.lexical.query(question), 50)
        return [snapshot.catalog.document(doc_id_of(found)).source for found, _ in ranked]


def test_dense_alone_is_the_order_of_the_cosines(notes: Rag):
    assert found_by(notes, ASKED, ("dense",)) == by_cosine(ASKED)


def test_lexical_alone_is_the_order_of_bm25_and_finds_nothing_without_a_word_in_common(notes: Rag):
    assert found_by(notes, ASKED, ("lexical",)) == by_bm25(notes, ASKED)
    assert set(found_by(notes, "Ferry?", ("lexical",))) == {"a.txt", "b.txt"}
    assert found_by(notes, "Marmalade?", ("lexical",)) == []


def test_dense_alone_finds_what_has_no_word_in_common(notes: Rag):
    assert sorted(found_by(notes, "Marmalade?", ("dense",))) == sorted(NOTES)


def test_one_ranking_alone_may_find_in_another_order_than_the_other(notes: Rag):
    question = "Is a boat a ferry?"
    dense, lexical = (found_by(notes, question, (ranking,)) for ranking in ALL_RANKINGS)
    assert dense == by_cosine(question)
    assert dense[: len(lexical)] != lexical


def test_a_ranking_that_is_not_asked_for_is_not_made(notes: Rag, monkeypatch: pytest.MonkeyPatch):
    asked_of: list[str] = []
    with notes.index.read() as snapshot:
        nearest, rank = type(snapshot).nearest, type(snapshot.lexical).rank
    monkeypatch.setattr(Snapshot, "nearest", lambda *args, **kw: asked_of.append("dense") or nearest(*args, **kw))
    monkeypatch.setattr(
        type(snapshot.lexical), "rank", lambda *args, **kw: asked_of.append("lexical") or rank(*args, **kw)
    )
    for ranking in ALL_RANKINGS:
        asked_of.clear()
        found_by(notes, ASKED, (ranking,))
        assert asked_of == [ranking, ranking]  # of sentences and of passages


def test_without_a_word_about_it_all_rankings_are_fused_in_whatever_order(notes: Rag):
    with notes.index.read() as snapshot:
        found = retrieve(ASKED, snapshot=snapshot, encoder=HashingEncoder(), filters=Filters(), candidates=50, top_k=12)
    fused = [hit.passage.source for hit in found.hits]
    assert ALL_RANKINGS == ("dense", "lexical")
    assert fused == found_by(notes, ASKED, ("dense", "lexical")) == found_by(notes, ASKED, ("lexical", "dense"))


def test_a_ranking_given_twice_is_the_ranking(notes: Rag):
    assert found_by(notes, ASKED, ("dense", "dense")) == found_by(notes, ASKED, ("dense",))


def test_no_ranking_finds_nothing(notes: Rag):
    assert found_by(notes, ASKED, ()) == []


@pytest.mark.parametrize("rankings", [("dense",), ("lexical",), ("dense", "lexical")])
def test_a_shorter_list_is_the_beginning_of_a_longer_one_by_any_ranking(notes: Rag, rankings: tuple[Ranking, ...]):
    assert found_by(notes, ASKED, rankings, top_k=1) == found_by(notes, ASKED, rankings)[:1] == ["a.txt"]


def test_an_engine_searches_with_the_rankings_it_is_given(notes: Rag):
    for rankings in (("dense",), ("lexical",), ("dense", "lexical"), ()):
        rag = Rag(notes.settings, encoder=HashingEncoder(), rankings=rankings)
        assert [hit.passage.source for hit in rag.search(ASKED)] == found_by(notes, ASKED, rankings)
        rag.close()
