"""The evidence models that read nothing: what every reader of their numbers relies on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.baselines import EVIDENCE_MODELS, FirstSentence, RetrievalScores
from rag import Settings
from rag.models import Candidate
from rag.quoting.quotes import FURTHER
from rag.values import Passage, Span

MODEL = RetrievalScores()
SIMILARITIES = st.floats(-1, 1)
COVERAGES = st.floats(0, 1)


def candidate(*scores: tuple[float, float]) -> Candidate:
    """A passage with one sentence of ten characters for each pair of similarity and coverage."""
    n_chars = max(10 * len(scores), 10)
    sentences = tuple(Span(10 * i, 10 * i + 10) for i in range(len(scores)))
    passage = Passage(f"d:0-{n_chars}", "d", Span(0, n_chars), "", text="x" * n_chars, sentences=sentences)
    return Candidate(passage, tuple(s for s, _ in scores), tuple(c for _, c in scores))


def probability(similarity: float, coverage: float) -> float:
    return MODEL.read("Who signed?", [candidate((similarity, coverage))])[0].sentences[0].probability


@given(SIMILARITIES, COVERAGES)
def test_a_probability_is_one(similarity: float, coverage: float):
    assert 0.0 <= probability(similarity, coverage) <= 1.0


@given(SIMILARITIES, SIMILARITIES, COVERAGES)
def test_more_similarity_never_makes_a_sentence_less_probable(one: float, other: float, coverage: float):
    low, high = sorted((one, other))
    assert probability(low, coverage) <= probability(high, coverage)


@given(SIMILARITIES, COVERAGES, COVERAGES)
def test_more_coverage_never_makes_a_sentence_less_probable(similarity: float, one: float, other: float):
    low, high = sorted((one, other))
    assert probability(similarity, low) <= probability(similarity, high)


def test_both_scores_count():
    assert probability(0.2, 0.5) < probability(0.8, 0.5)
    assert probability(0.5, 0.2) < probability(0.5, 0.8)


def test_a_sentence_with_everything_passes_the_shipped_threshold_and_one_with_nothing_does_not():
    assert probability(0.0, 0.0) < Settings().min_probability <= probability(1.0, 1.0)


@given(st.lists(st.lists(st.tuples(SIMILARITIES, COVERAGES), max_size=5), max_size=5))
def test_each_passage_and_each_of_its_sentences_is_read_in_order(scores: list[list[tuple[float, float]]]):
    candidates = [candidate(*passage) for passage in scores]
    read = MODEL.read("Who signed?", candidates)
    assert [evidence.passage for evidence in read] == [c.passage for c in candidates]
    for evidence, passage_scores in zip(read, scores, strict=True):
        assert tuple(s.span for s in evidence.sentences) == evidence.passage.sentences
        assert [s.probability for s in evidence.sentences] == [probability(*pair) for pair in passage_scores]
        assert evidence.probability == max((s.probability for s in evidence.sentences), default=0.0)


def test_a_passage_without_sentences_has_no_evidence():
    (read,) = MODEL.read("Who signed?", [candidate()])
    assert (read.probability, read.sentences) == (0.0, ())


def test_no_passages_give_no_evidence():
    assert MODEL.read("Who signed?", []) == []


def test_its_name_stands_for_it_in_traces():
    assert MODEL.name == "retrieval-scores"


# -- no decision -------------------------------------------------------------------------------------------------------


def nearest_first(*passages: tuple[float, ...]) -> list[list[float]]:
    """What the model without a decision makes of passages, each given as the similarities of its sentences."""
    read = FirstSentence().read("Who signed?", [candidate(*((s, 0.0) for s in passage)) for passage in passages])
    return [[sentence.probability for sentence in evidence.sentences] for evidence in read]


def test_without_a_decision_the_nearest_sentence_is_sure_and_no_other_can_be_quoted():
    assert nearest_first((0.2, 0.9), (0.5, -0.1)) == [[1 / 9, 1.0], [1 / 5, 1 / 13]]
    assert FURTHER * Settings().min_probability > 1 / 5


def test_without_a_decision_the_nearest_sentence_answers_however_far_it_is():
    assert nearest_first((-1.0,)) == [[1.0]]
    assert nearest_first((-0.9, -1.0)) == [[1.0, 1 / 5]]


def test_without_a_decision_sentences_as_near_share_a_probability():
    assert nearest_first((0.5, 0.9), (0.9, 0.1)) == [[1 / 5, 1.0], [1.0, 1 / 9]]
    assert nearest_first((0.0,), (-0.0,)) == [[1.0], [1.0]]


def test_without_a_decision_words_in_common_do_not_count():
    few, all_ = (FirstSentence().read("Who signed?", [candidate((0.3, coverage))]) for coverage in (0.0, 1.0))
    assert few[0].sentences == all_[0].sentences


def test_without_a_decision_no_passages_give_no_evidence_and_one_without_sentences_none():
    assert nearest_first() == []
    assert nearest_first(()) == [[]]
    (empty, full) = FirstSentence().read("Who signed?", [candidate(), candidate((0.1, 0.0))])
    assert (empty.probability, full.probability) == (0.0, 1.0)


@given(st.lists(st.lists(st.tuples(SIMILARITIES, COVERAGES), max_size=5), max_size=5))
def test_without_a_decision_the_order_is_the_one_of_the_similarities(scores: list[list[tuple[float, float]]]):
    candidates = [candidate(*passage) for passage in scores]
    read = FirstSentence().read("Who signed?", candidates)
    assert [evidence.passage for evidence in read] == [c.passage for c in candidates]
    pairs = []
    for evidence, passage_scores in zip(read, scores, strict=True):
        assert tuple(s.span for s in evidence.sentences) == evidence.passage.sentences
        assert evidence.probability == max((s.probability for s in evidence.sentences), default=0.0)
        pairs += [(s, e.probability) for (s, _), e in zip(passage_scores, evidence.sentences, strict=True)]
    assert all(0.0 < p <= 1.0 for _, p in pairs)
    assert all((p < q) == (s < t) for s, p in pairs for t, q in pairs)
    assert not pairs or max(p for _, p in pairs) == 1.0


def test_without_a_decision_the_last_of_very_many_sentences_still_has_a_probability():
    ((*_, last),) = nearest_first(tuple(1 - n / 10_000 for n in range(600)))  # fifty passages have fewer
    assert last > 0.0


# -- the models by name ------------------------------------------------------------------------------------------------


def test_the_model_that_is_used_stands_first_under_its_name():
    assert list(EVIDENCE_MODELS) == ["trained", "baseline", "none"]
    assert {name: model().name for name, model in EVIDENCE_MODELS.items()} == {
        "trained": "trained-reader",
        "baseline": "retrieval-scores",
        "none": "first-sentence",
    }


@pytest.mark.parametrize("name", EVIDENCE_MODELS)
def test_every_model_reads_all_sentences_in_order_with_probabilities(name: str):
    candidates = [candidate((0.9, 1.0), (0.1, 0.0)), candidate(), candidate((-1.0, 0.5))]
    read = EVIDENCE_MODELS[name]().read("Who signed?", candidates)
    assert [evidence.passage for evidence in read] == [c.passage for c in candidates]
    for evidence in read:
        assert tuple(s.span for s in evidence.sentences) == evidence.passage.sentences
        assert all(0.0 <= s.probability <= 1.0 for s in evidence.sentences)
        assert evidence.probability == max((s.probability for s in evidence.sentences), default=0.0)
