"""The baseline evidence model: what every reader of its numbers relies on."""

from hypothesis import given
from hypothesis import strategies as st

from rag.evidence import Candidate, RetrievalScores
from rag.types import Passage, Span

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
    from rag import Settings

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
