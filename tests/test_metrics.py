"""Each metric against arithmetic done by hand, at its undefined points, and in what must hold for any input."""

import math
import re
from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from evals.gold import Part, Place
from evals.metrics import (
    Bin,
    all_evidence_at_k,
    aurc,
    auroc,
    citation_precision,
    citation_recall,
    ece,
    extra_sentence_rate,
    facts_present,
    ndcg,
    over_refusal,
    recall_at_k,
    reciprocal_rank,
    refusal_f1,
    refusal_precision,
    refusal_recall,
    reliability,
    risk_coverage,
    token_f1,
)

Asked = list[tuple[bool, bool, bool]]


def unit(n: int) -> Place:
    """The n-th passage of a source that is cut every hundred characters."""
    return Place("a.txt", 100 * n, 100 * n + 100)


def sentence(n: int, *, start: int = 10) -> Place:
    """A sentence of twenty characters in the n-th passage."""
    return Place("a.txt", 100 * n + start, 100 * n + start + 20)


def ranking(*numbers: int) -> list[Place]:
    return [unit(n) for n in numbers]


PLACES = st.builds(
    lambda source, start, length: Place(source, start, start + length),
    st.sampled_from(["a.txt", "b.txt"]),
    st.integers(0, 60),
    st.integers(1, 20),
)
RANKINGS = st.lists(PLACES, max_size=8)
CITED = st.lists(PLACES, min_size=1, max_size=5)
PARTS = st.lists(st.lists(PLACES, min_size=1, max_size=3).map(tuple), min_size=1, max_size=4)
CUTOFFS = st.integers(1, 10)
# Refused, answerable, failed; never refused and failed at once.
QUESTIONS: st.SearchStrategy[Asked] = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.booleans()).map(lambda q: (q[0], q[1], q[2] and not q[0])), max_size=20
)
# Few distinct confidences, so that ties are common.
PREDICTIONS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]), st.booleans()), max_size=20)


def columns(rows: Sequence[tuple], n: int) -> list[list]:
    return [[row[column] for row in rows] for column in range(n)]


# Ranking


def test_recall_is_the_share_of_parts_that_the_first_units_hold():
    parts = [(sentence(3),), (sentence(5),), (sentence(9),)]
    assert recall_at_k(ranking(3, 4, 5, 9), parts, k=2) == 1 / 3
    assert recall_at_k(ranking(3, 4, 5, 9), parts, k=3) == 2 / 3
    assert recall_at_k(ranking(3, 4, 5, 9), parts, k=4) == 1.0


def test_any_one_alternative_finds_a_part_and_a_second_adds_nothing():
    parts = [(sentence(3), sentence(5)), (sentence(9),)]
    assert recall_at_k(ranking(5), parts, k=1) == 1 / 2
    assert recall_at_k(ranking(3, 5), parts, k=2) == 1 / 2


def test_a_unit_that_holds_several_parts_finds_them_all_and_uses_up_one_place_of_k():
    parts = [(sentence(3, start=10),), (sentence(3, start=40),), (sentence(5),)]
    assert recall_at_k(ranking(3, 5), parts, k=1) == 2 / 3
    assert recall_at_k(ranking(3, 5), parts, k=2) == 1.0


def test_a_unit_of_another_source_holds_nothing():
    assert recall_at_k([Place("b.txt", 300, 400)], [(sentence(3),)], k=1) == 0.0


def test_recall_looks_as_deep_as_it_is_asked_to():
    assert recall_at_k(ranking(*range(2000)), [(sentence(1999),)], k=2000) == 1.0
    assert recall_at_k(ranking(*range(2000)), [(sentence(1999),)], k=1999) == 0.0


def test_all_evidence_asks_for_every_part_within_the_first_units():
    parts = [(sentence(3), sentence(7)), (sentence(5),)]
    assert all_evidence_at_k(ranking(7, 4, 5), parts, k=2) == 0.0
    assert all_evidence_at_k(ranking(7, 4, 5), parts, k=3) == 1.0


def test_the_reciprocal_rank_is_that_of_the_first_unit_with_any_evidence():
    parts = [(sentence(3),), (sentence(5), sentence(6))]
    assert reciprocal_rank(ranking(1, 2, 6, 3), parts) == pytest.approx(1 / 3)
    assert reciprocal_rank(ranking(3, 6), parts) == 1.0
    assert reciprocal_rank(ranking(1, 2), parts) == 0.0


def test_ndcg_discounts_each_find_by_the_logarithm_of_its_rank():
    # Found at ranks 1 and 4 of 2 parts: (1/log2(2) + 1/log2(5)) / (1/log2(2) + 1/log2(3)) = 1.430677 / 1.630930
    parts = [(sentence(3),), (sentence(5),)]
    assert ndcg(ranking(3, 1, 2, 5), parts) == pytest.approx(1.430677 / 1.630930, abs=1e-6)


def test_ndcg_gives_nothing_for_a_part_found_again():
    # Unit 5 holds the same part as unit 3, so the ideal has one find: 1/log2(3) over 1, whatever follows.
    parts = [(sentence(3), sentence(5))]
    assert ndcg(ranking(1, 3, 5, 3), parts) == ndcg(ranking(1, 3), parts) == pytest.approx(1 / math.log2(3))


def test_ndcg_of_a_unit_with_several_parts_is_that_of_as_many_finds_in_a_row():
    # The run is find, find, nothing, find: (1 + 1/log2(3) + 1/log2(5)) / (1 + 1/log2(3) + 1/log2(4)).
    parts = [(sentence(3, start=10),), (sentence(3, start=40),), (sentence(5),)]
    expected = (1 + 1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / 2)
    assert ndcg(ranking(3, 1, 5), parts) == pytest.approx(expected)
    assert ndcg(ranking(3, 5, 1), parts) == pytest.approx(1.0)


def test_ndcg_cuts_the_ideal_where_it_cuts_the_run():
    # At 2 of 3 parts, the ideal has two finds: 1/log2(3) / (1 + 1/log2(3)).
    parts = [(sentence(3),), (sentence(5),), (sentence(7),)]
    assert ndcg(ranking(1, 3, 5, 7), parts, k=2) == pytest.approx(0.630930 / 1.630930, abs=1e-6)
    assert ndcg(ranking(3, 5, 1), parts, k=2) == pytest.approx(1.0)


def test_ndcg_looks_at_ten_entries_unless_told():
    parts = [(sentence(10),)]
    assert ndcg(ranking(*range(11)), parts) == 0.0
    assert ndcg(ranking(*range(11)), parts, k=11) == pytest.approx(1 / math.log2(12))


@pytest.mark.parametrize("metric", [recall_at_k, all_evidence_at_k, ndcg])
def test_a_ranking_metric_refuses_a_cutoff_below_one(metric: Callable[..., float]):
    with pytest.raises(ValueError, match="k is 0"):
        metric(ranking(3), [(sentence(3),)], k=0)


@pytest.mark.parametrize(
    "metric", [lambda r, p: recall_at_k(r, p, k=5), lambda r, p: all_evidence_at_k(r, p, k=5), reciprocal_rank, ndcg]
)
def test_an_empty_ranking_has_nothing_and_without_evidence_there_is_nothing_to_measure(metric: Callable[..., float]):
    assert metric([], [(sentence(3),)]) == 0.0
    assert metric(ranking(1), [()]) == 0.0  # a part without alternatives is never found
    for units in ([], ranking(3)):
        with pytest.raises(ValueError, match="no evidence"):
            metric(units, [])


@given(RANKINGS, PARTS, CUTOFFS)
def test_ranking_metrics_are_shares(units: list[Place], parts: list[Part], k: int):
    for value in (recall_at_k(units, parts, k=k), reciprocal_rank(units, parts), ndcg(units, parts, k=k)):
        assert 0.0 <= value <= 1.0 + 1e-12
    assert all_evidence_at_k(units, parts, k=k) in {0.0, 1.0}


@given(RANKINGS, PARTS, CUTOFFS)
def test_recall_counts_parts_and_grows_with_k(units: list[Place], parts: list[Part], k: int):
    n_found = sum(any(u.holds(place) for u in units[:k] for place in part) for part in parts)
    assert recall_at_k(units, parts, k=k) == pytest.approx(n_found / len(parts))
    assert recall_at_k(units, parts, k=k) <= recall_at_k(units, parts, k=k + 1)
    assert all_evidence_at_k(units, parts, k=k) == (n_found == len(parts))


@given(RANKINGS, PARTS)
def test_the_reciprocal_rank_is_found_by_walking_down(units: list[Place], parts: list[Part]):
    ranks = [rank for rank, u in enumerate(units, 1) if any(u.holds(place) for part in parts for place in part)]
    assert reciprocal_rank(units, parts) == pytest.approx(1 / ranks[0] if ranks else 0.0)


@given(RANKINGS, PARTS, CITED, CUTOFFS, st.randoms(use_true_random=False))
def test_neither_the_order_of_parts_nor_that_of_alternatives_matters(
    units: list[Place], parts: list[Part], cited: list[Place], k: int, random
):
    shuffled = [tuple(random.sample(part, len(part))) for part in random.sample(parts, len(parts))]
    assert recall_at_k(units, parts, k=k) == recall_at_k(units, shuffled, k=k)
    assert reciprocal_rank(units, parts) == reciprocal_rank(units, shuffled)
    assert ndcg(units, parts, k=k) == ndcg(units, shuffled, k=k)
    assert extra_sentence_rate(cited, parts) == extra_sentence_rate(cited, shuffled)
    assert citation_precision(cited, parts) == citation_precision(cited, shuffled)
    assert citation_recall(cited, parts) == pytest.approx(citation_recall(cited, shuffled))


# Answer


def test_all_facts_must_be_found():
    facts = [re.compile("2019"), re.compile("two (?:hundred|thousand)", re.IGNORECASE)]
    assert facts_present("In 2019, Two hundred came.", facts) == 1.0
    assert facts_present("In 2019, some came.", facts) == 0.0
    assert facts_present("", facts) == 0.0
    assert facts_present("", []) == 1.0


def test_token_f1_is_that_of_bags_of_tokens():
    # Tokens: treaty was signed in 2019 (5); treaty signed 2019 (3); shared 3: precision 3/5, recall 3/3, F1 = 6/8.
    assert token_f1("The treaty was signed in 2019.", "treaty signed, 2019") == pytest.approx(2 * 3 / (5 + 3))
    # A repeat counts as often as both have it: no no no (3), no no yes (3), shared 2: 4/6.
    assert token_f1("no no no", "no no yes") == pytest.approx(4 / 6)
    assert token_f1("north", "south") == 0.0


def test_token_f1_ignores_case_punctuation_and_articles():
    assert token_f1("“An answer” – the U.S.’s", "answer us's") == 1.0
    assert token_f1("Athena", "thena") == 0.0  # articles are words, not letters


def test_token_f1_of_nothing_with_nothing_is_one_and_of_nothing_with_something_zero():
    assert token_f1("", "") == token_f1("The...", "") == 1.0
    assert token_f1("", "word") == token_f1("word", "the") == 0.0


@given(st.text(max_size=40), st.text(max_size=40))
def test_token_f1_is_a_share_and_takes_no_side(one: str, other: str):
    assert 0.0 <= token_f1(one, other) == token_f1(other, one) <= 1.0
    assert token_f1(one, one) == 1.0


def test_a_cited_sentence_is_extra_if_it_holds_no_gold_place_at_all():
    parts = [(sentence(3), sentence(4)), (sentence(5),)]
    assert extra_sentence_rate([sentence(3), sentence(4), sentence(7), sentence(5)], parts) == 1 / 4
    # It shares 9 of 20 characters, less than half, with the gold sentence; then 10 of 20, half.
    assert extra_sentence_rate([Place("a.txt", 321, 341)], parts) == 1.0
    assert extra_sentence_rate([Place("a.txt", 320, 340)], parts) == 0.0


def test_citation_precision_counts_each_cited_character_once():
    # Cited [310, 340) and [320, 350): 40 characters, of which [310, 330) are gold.
    cited = [Place("a.txt", 310, 340), Place("a.txt", 320, 350)]
    assert citation_precision(cited, [(sentence(3),)]) == 20 / 40


def test_citation_precision_keeps_sources_apart_and_takes_gold_of_any_part_once():
    cited = [Place("a.txt", 310, 330), Place("b.txt", 310, 330)]
    parts = [(sentence(3), Place("a.txt", 310, 320)), (Place("a.txt", 315, 325),)]
    assert citation_precision(cited, parts) == 20 / 40


def test_citation_recall_takes_the_best_alternative_of_each_part():
    # Part 1: 5 of 20 characters of one alternative, 16 of 20 of the other; part 2: none. (0.8 + 0) / 2.
    cited = [Place("a.txt", 310, 315), Place("a.txt", 410, 420), Place("a.txt", 414, 426)]
    assert citation_recall(cited, [(sentence(3), sentence(4)), (sentence(5),)]) == pytest.approx((16 / 20 + 0) / 2)


def test_alternatives_do_not_add_up_to_a_recalled_part():
    # Half of each alternative is half of the part.
    cited = [Place("a.txt", 310, 320), Place("a.txt", 420, 430)]
    assert citation_recall(cited, [(sentence(3), sentence(4))]) == 10 / 20


def test_an_answer_without_citations_has_no_citation_precision_but_recalls_nothing():
    for metric in (extra_sentence_rate, citation_precision):
        with pytest.raises(ValueError, match="is cited"):
            metric([], [(sentence(3),)])
    with pytest.raises(ValueError, match="no character is cited"):
        citation_precision([Place("a.txt", 5, 5)], [(sentence(3),)])
    assert citation_recall([], [(sentence(3),)]) == 0.0


def test_what_is_cited_for_a_question_without_evidence_is_all_extra():
    assert extra_sentence_rate([sentence(3)], []) == 1.0
    assert citation_precision([sentence(3)], []) == 0.0
    with pytest.raises(ValueError, match="no evidence"):
        citation_recall([sentence(3)], [])


def test_a_part_without_characters_cannot_be_recalled():
    assert citation_recall([sentence(3)], [(), (Place("a.txt", 310, 310),), (sentence(3),)]) == pytest.approx(1 / 3)


@given(CITED, PARTS, PLACES)
def test_citation_metrics_are_shares_and_more_citations_never_recall_less(
    cited: list[Place], parts: list[Part], more: Place
):
    for metric in (extra_sentence_rate, citation_precision, citation_recall):
        assert 0.0 <= metric(cited, parts) <= 1.0 + 1e-12
        assert metric(cited, parts) == metric(cited[::-1], parts)
    assert citation_recall(cited, parts) <= citation_recall([*cited, more], parts)


@given(CITED)
def test_citing_exactly_the_evidence_is_perfect(cited: list[Place]):
    parts = [(place,) for place in cited]
    assert extra_sentence_rate(cited, parts) == 0.0
    assert citation_precision(cited, parts) == citation_recall(cited, parts) == 1.0


# Refusals

# Answerable: 1 refused, 1 failed, 2 answered. Unanswerable: 3 refused, 1 failed, 1 answered.
REFUSED = [True, False, False, False, True, True, True, False, False]
ANSWERABLE = [True, True, True, True, False, False, False, False, False]
FAILED = [False, True, False, False, False, False, False, True, False]


def test_a_failure_is_a_false_refusal_of_the_answerable_and_a_missed_one_of_the_unanswerable():
    # right 3, false 1 + 1, missed 1 + 1
    assert refusal_precision(REFUSED, ANSWERABLE, FAILED) == 3 / (3 + 2)
    assert refusal_recall(REFUSED, ANSWERABLE) == 3 / (3 + 2)
    assert refusal_f1(REFUSED, ANSWERABLE, FAILED) == 2 * 3 / (2 * 3 + 2 + 2)
    assert over_refusal(REFUSED, ANSWERABLE, FAILED) == 2 / 4


def test_arrays_and_lists_give_the_same():
    arrays = [np.array(flags) for flags in (REFUSED, ANSWERABLE, FAILED)]
    for metric in (refusal_precision, refusal_f1, over_refusal):
        assert metric(*arrays) == metric(REFUSED, ANSWERABLE, FAILED)
    assert refusal_recall(*arrays[:2]) == refusal_recall(REFUSED, ANSWERABLE)


def test_refusal_metrics_are_nan_where_they_would_divide_by_nothing():
    no, yes = [False], [True]
    assert math.isnan(refusal_precision(no, no, no))  # none refused, none failed
    assert math.isnan(refusal_precision(no, no, yes))  # a failed unanswerable question is no refusal
    assert math.isnan(refusal_recall(yes, yes))  # none unanswerable
    assert math.isnan(over_refusal(yes, no, no))  # none answerable
    assert math.isnan(refusal_f1(no, yes, no))  # neither precision nor recall
    assert refusal_f1(yes, yes, no) == 0.0  # precision 0, no recall
    assert refusal_f1(no, no, no) == 0.0  # recall 0, no precision


def test_refusal_metrics_of_no_questions_are_nan():
    for metric in (refusal_precision, refusal_f1, over_refusal):
        assert math.isnan(metric([], [], []))
    assert math.isnan(refusal_recall([], []))


def test_refusal_metrics_refuse_columns_of_different_lengths_and_failed_refusals():
    for metric in (refusal_precision, refusal_f1, over_refusal):
        with pytest.raises(ValueError, match="lengths differ: 2, 1, 2"):
            metric([True, False], [True], [False, False])
        with pytest.raises(ValueError, match="both refused and failed"):
            metric([True], [True], [True])
    with pytest.raises(ValueError, match="lengths differ: 2, 1"):
        refusal_recall([True, False], [True])


@given(QUESTIONS)
def test_refusal_f1_is_the_harmonic_mean_of_precision_and_recall(questions: Asked):
    refused, answerable, failed = columns(questions, 3)
    precision, recall = refusal_precision(refused, answerable, failed), refusal_recall(refused, answerable)
    assume(precision + recall > 0)
    assert refusal_f1(refused, answerable, failed) == pytest.approx(2 * precision * recall / (precision + recall))


@given(QUESTIONS, st.randoms(use_true_random=False))
def test_refusal_metrics_are_shares_and_the_order_of_questions_does_not_matter(questions: Asked, random):
    these, those = columns(questions, 3), columns(random.sample(questions, len(questions)), 3)
    for metric in (refusal_precision, refusal_f1, over_refusal, lambda r, a, _: refusal_recall(r, a)):
        value = metric(*these)
        assert math.isnan(value) or 0.0 <= value <= 1.0
        assert value == pytest.approx(metric(*those), nan_ok=True)


# Confidence


def test_risk_is_the_share_wrong_among_the_most_confident():
    # By confidence: right, wrong, right, wrong. Risks 0/1, 1/2, 1/3, 2/4, their mean (0 + 1/2 + 1/3 + 1/2) / 4 = 1/3.
    confidences, right = [0.2, 0.9, 0.5, 0.7], [False, True, True, False]
    coverages, risks = risk_coverage(confidences, right)
    assert coverages == pytest.approx([1 / 4, 2 / 4, 3 / 4, 4 / 4])
    assert risks == pytest.approx([0 / 1, 1 / 2, 1 / 3, 2 / 4])
    assert aurc(confidences, right) == pytest.approx(1 / 3)


def test_equally_confident_predictions_share_their_errors():
    # The three at 0.5 have a mean error of 1/3 each: risks 0/1, (1/3)/2, (2/3)/3, (3/3)/4, then (1 + 1)/5.
    _, risks = risk_coverage([0.5, 0.9, 0.5, 0.1, 0.5], [True, True, False, False, True])
    assert risks == pytest.approx([0, 1 / 6, 2 / 9, 1 / 4, 2 / 5])


def test_the_risk_within_a_tie_is_its_mean_over_all_ways_to_break_it():
    right = [True, False, False, True, True]
    ways = [risk_coverage([5, 4, 3, 2, 1], order)[1] for order in permutations(right)]
    assert risk_coverage([1, 1, 1, 1, 1], right)[1] == pytest.approx(np.mean(ways, axis=0))


def test_the_best_order_has_less_area_than_the_worst():
    # Errors last: 0, 0, 1/3; errors first: 1, 1/2, 1/3.
    assert aurc([3, 2, 1], [True, True, False]) == pytest.approx(1 / 9)
    assert aurc([1, 2, 3], [True, True, False]) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_without_predictions_the_curve_is_empty_and_its_area_undefined():
    coverages, risks = risk_coverage([], [])
    assert coverages.shape == risks.shape == (0,)
    assert math.isnan(aurc([], []))


@given(PREDICTIONS, st.randoms(use_true_random=False))
def test_the_area_under_the_risks_is_a_share_and_the_order_of_predictions_does_not_matter(predictions, random):
    assume(predictions)
    shuffled = random.sample(predictions, len(predictions))
    area = aurc(*columns(predictions, 2))
    assert 0.0 <= area <= 1.0
    assert area == aurc(*columns(shuffled, 2))


@given(PREDICTIONS)
def test_only_the_order_of_confidences_counts_for_risk_and_auroc(predictions):
    confidences, right = columns(predictions, 2)
    stretched = [c**3 - 7 for c in confidences]
    assert aurc(stretched, right) == pytest.approx(aurc(confidences, right), nan_ok=True)
    assert auroc(stretched, right) == pytest.approx(auroc(confidences, right), nan_ok=True)


def test_at_full_coverage_the_risk_is_the_share_wrong():
    _, risks = risk_coverage([0.3, 0.3, 0.8, 0.1], [True, False, False, True])
    assert risks[-1] == pytest.approx(2 / 4)


def test_auroc_is_the_share_of_pairs_in_order_with_ties_as_half():
    # Of the four pairs, 0.9 > 0.5, 0.9 > 0.1 and 0.5 > 0.1 are in order, 0.5 = 0.5 is a tie: (1 + 1 + 1 + 1/2) / 4.
    assert auroc([0.9, 0.5, 0.5, 0.1], [True, True, False, False]) == 3.5 / 4
    assert auroc([0.1, 0.9], [True, False]) == 0.0
    assert auroc([0.5, 0.5], [True, False]) == 0.5


def test_auroc_of_one_class_or_none_is_nan():
    for answerable in ([True, True], [False, False]):
        assert math.isnan(auroc([0.1, 0.2], answerable))
    assert math.isnan(auroc([], []))


@given(PREDICTIONS)
def test_auroc_agrees_with_scikit_learn(predictions):
    confidences, answerable = columns(predictions, 2)
    assume(len(set(answerable)) == 2)
    assert auroc(confidences, answerable) == pytest.approx(roc_auc_score(answerable, confidences))


def test_reliability_compares_the_mean_probability_of_each_bin_with_the_share_right():
    # Of 2 bins: 0.1, 0.3 below one half, none right; 0.5, 0.9, 1.0 above, two right.
    bins = reliability([0.1, 0.5, 0.9, 1.0, 0.3], [False, True, False, True, False], n_bins=2)
    assert bins == [
        Bin(0.0, 0.5, 2, pytest.approx((0.1 + 0.3) / 2), 0 / 2),
        Bin(0.5, 1.0, 3, pytest.approx((0.5 + 0.9 + 1.0) / 3), pytest.approx(2 / 3)),
    ]


def test_an_edge_belongs_to_the_upper_bin_and_one_to_the_last():
    bins = reliability([0.0, 0.3, 0.7, 1.0], [True] * 4)
    assert [(b.low, b.high) for b in bins] == [(0.0, 0.1), (0.3, 0.4), (0.7, 0.8), (0.9, 1.0)]


def test_calibration_error_is_the_mean_gap_of_the_bins_by_their_size():
    # Bin [0, 0.5): 2 of 5, |0.2 - 0|; bin [0.5, 1]: 3 of 5, |0.8 - 2/3|. 0.4 * 0.2 + 0.6 * 2/15 = 0.08 + 0.08.
    error = ece([0.1, 0.5, 0.9, 1.0, 0.3], [False, True, False, True, False], n_bins=2)
    assert error == pytest.approx(0.16)


def test_calibration_error_is_zero_if_each_bin_is_as_often_right_as_it_says_and_one_if_always_surely_wrong():
    assert ece([0.5, 0.5, 1.0, 0.0], [True, False, True, False]) == 0.0
    assert ece([1.0, 0.0], [False, True]) == 1.0


def test_without_predictions_there_are_no_bins_and_no_calibration_error():
    assert reliability([], []) == []
    assert math.isnan(ece([], []))


@pytest.mark.parametrize("metric", [reliability, ece])
def test_calibration_is_of_probabilities_in_at_least_one_bin(metric: Callable[..., object]):
    for outside in (-0.1, 1.1):
        with pytest.raises(ValueError, match="must be in"):
            metric([outside], [True])
    with pytest.raises(ValueError, match="n_bins is 0"):
        metric([0.5], [True], n_bins=0)


@pytest.mark.parametrize("metric", [risk_coverage, aurc, auroc, reliability, ece])
def test_confidences_must_be_numbers_one_for_each_mark(metric: Callable[..., object]):
    with pytest.raises(ValueError, match="lengths differ: 2 scores, 1 marks"):
        metric([0.1, 0.2], [True])
    with pytest.raises(ValueError, match="nan"):
        metric([0.1, float("nan")], [True, False])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=20), st.integers(1, 15))
def test_every_prediction_is_in_the_one_bin_around_it(predictions, n_bins: int):
    probabilities, right = columns(predictions, 2)
    bins = reliability(probabilities, right, n_bins=n_bins)
    for b in bins:
        inside = [(p, r) for p, r in predictions if b.low <= p < b.high or p == b.high == 1.0]
        assert b.n == len(inside) > 0
        assert b.probability == pytest.approx(sum(p for p, _ in inside) / b.n)
        assert b.right == pytest.approx(sum(r for _, r in inside) / b.n)
    assert sum(b.n for b in bins) == len(predictions)
    assert [b.low for b in bins] == sorted({b.low for b in bins})


@given(PREDICTIONS, st.integers(1, 15), st.randoms(use_true_random=False))
def test_calibration_error_is_a_share_and_the_order_of_predictions_does_not_matter(predictions, n_bins: int, random):
    shuffled = random.sample(predictions, len(predictions))
    error = ece(*columns(predictions, 2), n_bins=n_bins)
    assert math.isnan(error) or 0.0 <= error <= 1.0 + 1e-12
    assert error == pytest.approx(ece(*columns(shuffled, 2), n_bins=n_bins), nan_ok=True)
