"""Figures over many questions: worked out by hand, with intervals that hold, and never better for a failure."""

import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from evals.gold import Place, Question
from evals.judge import LOST_AT, Outcome, judge
from evals.scores import METRICS, SEED, Metric, Table, figures, intervals, known, resamples, share, summarize
from rag.records import error_record

Row = dict[str, Any]
MADE = {"on": "2026-01-02T03:04:05+00:00", "code": "abc"}
NAMES = [metric.name for metric in METRICS]
SEARCH = {  # as many names as the judge gives
    f"{unit}_{measure}": 0.5
    for unit in ("passage", "retrieved", "sentence")
    for measure in (*(f"{m}@{k}" for m in ("recall", "all") for k in (1, 3, 5, 10)), "mrr", "ndcg@10")
}
NEAREST = ("nearest@1", "nearest@5")
FEW = 100  # resamples, where an interval has to be there and how wide it is plays no part


def row(n: int, **changes: Any) -> Row:
    """A row of a summary: an answerable question, rightly answered at .9; changes to its scores go by their names."""
    row = {
        "id": f"q{n}",
        "asked": f"digest{n}",
        "kind": "fact",
        "split": "dev",
        "answerable": True,
        "failed": False,
        "answered": True,
        "lost_at": None,
        "confidence": 0.9,
        "confident_right": True,
    }
    values = {
        "right": 1.0,
        "failed": 0.0,
        "facts": 1.0,
        "token_f1": 1.0,
        "citation_recall": 1.0,
        "extra_sentences": 0.0,
        "citation_precision": 1.0,
        "quotes_exact": 1.0,
        "markers_resolve": 1.0,
        **SEARCH,
    }
    for name, value in changes.items():
        (row if name in row else values)[name] = value
    return row | {"scores": values}


def unanswerable(n: int, *, answered: bool = False, failed: bool = False, confidence: float = 0.1) -> Row:
    """An unanswerable question: refused, answered or failed."""
    values = {"right": float(not answered and not failed), "failed": float(failed)}
    if answered or failed:
        values |= {"extra_sentences": 1.0, "citation_precision": 0.0}
    if answered:
        values |= {"quotes_exact": 1.0, "markers_resolve": 1.0}
    return row(n) | {
        "answerable": False,
        "answered": answered,
        "failed": failed,
        "confidence": 1.0 if failed else confidence,
        "confident_right": False,
        "scores": values,
    }


def refused(n: int, *, confidence: float = 0.4) -> Row:
    """An answerable question that was refused, with the answer shown as what came nearest."""
    values = {"right": 0.0, "failed": 0.0, "facts": 0.0, "token_f1": 0.0, "citation_recall": 0.0, **SEARCH}
    values |= dict.fromkeys(NEAREST, 1.0)
    return row(n) | {"answered": False, "lost_at": "refuse", "confidence": confidence, "scores": values}


def failed(n: int) -> Row:
    """An answerable question that ended in an error."""
    values = {"extra_sentences": 1.0, "citation_precision": 0.0, **dict.fromkeys([*NEAREST, *SEARCH], 0.0)}
    return refused(n) | {
        "failed": True,
        "lost_at": "failed",
        "confidence": 1.0,
        "confident_right": False,
        "scores": refused(n)["scores"] | {"failed": 1.0} | values,
    }


def failure_of(row: Row) -> Row:
    """What the row of a question is if it ends in an error instead."""
    n = int(row["id"][1:])
    return failed(n) if row["answerable"] else unanswerable(n, failed=True)


def value(name: str, rows: Sequence[Row]) -> float:
    """Compute one metric over rows."""
    metric = next(metric for metric in METRICS if metric.name == name)
    return metric.compute(Table(rows), np.arange(len(rows)))


MIXED = [
    row(0, confidence=0.85),
    row(1, confidence=0.8, right=0.0, facts=0.0, citation_precision=0.5, extra_sentences=0.5, quotes_exact=0.5),
    row(2, confidence=0.7, confident_right=False, right=0.0, citation_precision=0.0, extra_sentences=1.0),
    refused(3, confidence=0.4),
    unanswerable(4, confidence=0.3),
    unanswerable(5, answered=True, confidence=0.6),
    unanswerable(6, failed=True),
    unanswerable(7, confidence=0.1),
]


# -- columns and means -------------------------------------------------------------------------------------------------


def test_a_mean_is_over_the_questions_to_which_the_score_applies():
    rows = [row(0, token_f1=0.25), row(1, token_f1=0.75), unanswerable(2)]
    assert Table(rows).mean("token_f1", np.arange(3)) == 0.5
    assert Table(rows).mean("right", np.arange(3)) == 1.0


def test_a_mean_of_a_resample_counts_a_question_as_often_as_it_was_drawn():
    rows = [row(0, token_f1=0.0), row(1, token_f1=1.0), unanswerable(2)]
    assert Table(rows).mean("token_f1", np.array([0, 1, 1, 1, 2, 2])) == 0.75


def test_a_mean_over_no_question_is_undefined():
    rows = [row(0), unanswerable(1)]
    assert math.isnan(Table(rows).mean("token_f1", np.array([1, 1])))
    assert math.isnan(Table(rows).mean("token_f1", np.array([], dtype=int)))
    assert math.isnan(Table(rows).mean("nonsense", np.arange(2)))
    assert math.isnan(Table([]).mean("right", np.arange(0)))


def test_a_question_is_refused_if_it_was_neither_answered_nor_failed():
    assert Table(MIXED).refused.tolist() == [False, False, False, True, True, False, False, True]
    assert len(Table(MIXED)) == 8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("right", 3 / 8),  # 0, and the refusals 4 and 7
        ("failed", 1 / 8),
        ("facts", 2 / 4),
        ("extra_sentences", (0 + 0.5 + 1 + 1 + 1) / 5),  # answers 0, 1, 2 and 5, and failure 6
        ("citation_precision", (1 + 0.5 + 0 + 0 + 0) / 5),
        ("citation_recall", 3 / 4),
        ("quotes_exact", 3.5 / 4),  # answers 0, 1, 2 and 5
        ("markers_resolve", 1.0),
        ("refusal_precision", 2 / 3),  # 3, 4 and 7 are refused
        ("refusal_recall", 2 / 4),
        ("refusal_f1", 2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4)),
        ("over_refusal", 1 / 4),
        ("auroc", (3 + 3 + 3 + 2) / 16),  # failure 6 is above all, and only .4 of 3 is below .6 of 5
        # surest first: failure 6 wrong, .85 right, .8 right, .7 wrong, .6 wrong, .4 right, then two wrong
        ("aurc", (1 + 1 / 2 + 1 / 3 + 2 / 4 + 3 / 5 + 3 / 6 + 4 / 7 + 5 / 8) / 8),
        # right ones at .85, .8, .4 lack .15, .2, .6; wrong ones have 1, .7, .6, .3 and .1 too much
        ("ece", (0.15 + 0.2 + 0.6 + 1.0 + 0.7 + 0.6 + 0.3 + 0.1) / 8),
        ("passage_recall@5", 0.5),
        ("sentence_mrr", 0.5),
    ],
)
def test_metrics_are_those_worked_out_by_hand(name: str, expected: float):
    assert value(name, MIXED) == pytest.approx(expected)


def test_a_failure_is_no_refusal_and_counts_as_withholding_an_answer():
    rows = [row(0), failed(1), refused(2), row(3), unanswerable(4), unanswerable(5, failed=True)]
    assert value("over_refusal", rows) == 2 / 4  # 1 and 2
    assert value("refusal_precision", rows) == pytest.approx(1 / 3)  # 4, not 1 and 2
    assert value("refusal_recall", rows) == 1 / 2  # 4, not 5
    assert value("refusal_f1", rows) == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))


N_OF = {
    "right": 8,
    "failed": 8,
    "facts": 4,  # answerable: 0 to 3
    "token_f1": 4,
    "extra_sentences": 5,  # answered or failed: 0, 1, 2, 5, 6
    "citation_precision": 5,
    "citation_recall": 4,
    "quotes_exact": 4,  # answered: 0, 1, 2, 5
    "markers_resolve": 4,
    "refusal_precision": 3,  # refused: 3, 4, 7
    "refusal_recall": 4,  # unanswerable: 4 to 7
    "refusal_f1": 5,  # either of the two: 3 to 7
    "over_refusal": 4,
    **dict.fromkeys(NEAREST, 1),  # refused all the same: 3
    "auroc": 8,
    "aurc": 8,
    "ece": 8,
    **dict.fromkeys(SEARCH, 4),
}


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_each_metric_is_about_as_many_questions_as_counted_by_hand(metric: Metric):
    assert metric.over(Table(MIXED)).sum() == N_OF[metric.name]


def test_a_figure_says_how_many_questions_it_is_about():
    found = {figure["name"]: figure["n"] for figure in figures(MIXED, n_resamples=FEW)}
    assert found == {metric.name: metric.over(Table(MIXED)).sum() for metric in METRICS}


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_a_question_that_a_metric_is_not_about_changes_nothing(metric: Metric):
    rows = [*MIXED, failed(8)]
    about = [row for row, is_in in zip(rows, metric.over(Table(rows)), strict=True) if is_in]
    assert value(metric.name, about) == pytest.approx(value(metric.name, rows))


# -- failures ----------------------------------------------------------------------------------------------------------


def test_failures_here_are_what_is_judged_of_an_error():
    texts = {"a.txt": "Alice signed.", "b.txt": "Signed: Alice."}
    for question, row in (
        (asked(0), failed(0)),
        (asked(0, answerable=False, facts=(), evidence=(), quotes=()), unanswerable(0, failed=True)),
    ):
        judged = judge(
            question, error_record("Broken.", question_id="q0"), (), texts=texts, max_claims=3, min_probability=0.5
        )
        assert judged.scores == row["scores"]
        for name in ("answerable", "failed", "answered", "confidence", "confident_right"):
            assert getattr(judged, name) == row[name], name


def test_a_failure_is_never_on_the_right_side_of_a_threshold():
    rows = [failed(0), unanswerable(1, failed=True), row(2, confidence=0.5), unanswerable(3, confidence=0.5)]
    assert Table(rows).sureness.tolist() == [0.0, 1.0, 0.5, 0.5]
    assert value("auroc", rows) == (0 + 0 + 0 + 0.5) / 4
    assert value("aurc", rows) == pytest.approx((1 + 1 + 2.5 / 3 + 3 / 4) / 4)  # one of the two at .5 is right


# -- every metric ------------------------------------------------------------------------------------------------------

TABLES = {
    "mixed": MIXED,
    "nothing": [],
    "one answered": [row(0)],
    "one refused": [refused(0)],
    "one failed": [unanswerable(0, failed=True)],
    "one failed to answer": [failed(0)],
    "answerable only": [row(0), row(1, confidence=0.2), refused(2)],
    "unanswerable only": [unanswerable(0), unanswerable(1, answered=True), unanswerable(2, failed=True)],
    "one failed of three": [row(0), unanswerable(1), failed(2)],
    "one unanswerable of four": [row(0), row(1), refused(2), unanswerable(3)],  # many resamples are without it
    "all the same": [row(0), row(1), row(2)],
}


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES.keys())
def test_every_metric_has_a_value_in_range_or_none(rows: list[Row]):
    found = figures(rows, n_resamples=FEW)  # a warning would be an error
    assert [figure["name"] for figure in found] == NAMES
    for figure in found:
        numbers = [figure[name] for name in ("value", "low", "high")]
        assert all(number is None or 0.0 <= number <= 1.0 for number in numbers), figure
        assert not any(number is not None and math.isnan(number) for number in numbers)
        assert 0 <= figure["n"] <= len(rows)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES.keys())
def test_a_metric_that_is_about_no_question_has_no_value(rows: list[Row]):
    table = Table(rows)
    for metric in METRICS if rows else ():
        if not metric.over(table).any():
            assert math.isnan(metric.compute(table, np.arange(len(rows)))), metric.name


def test_a_metric_without_a_question_has_neither_value_nor_interval():
    by_name = {figure["name"]: figure for figure in figures(TABLES["unanswerable only"], n_resamples=FEW)}
    for name in ("facts", "citation_recall", "over_refusal", "auroc", "passage_mrr"):
        assert (by_name[name]["value"], by_name[name]["low"], by_name[name]["high"]) == (None, None, None)
    assert by_name["refusal_recall"]["value"] == pytest.approx(1 / 3, abs=1e-6)


def test_a_metric_of_one_question_has_a_value_and_no_interval():
    by_name = {figure["name"]: figure for figure in figures([row(0)])}
    assert (by_name["right"]["value"], by_name["right"]["low"], by_name["right"]["high"]) == (1.0, None, None)


def test_no_metric_has_the_name_of_another():
    assert len(set(NAMES)) == len(NAMES)


def test_what_must_be_so_is_that_nothing_fails_and_quotes_and_markers_are_exact():
    assert {metric.name: metric.must_be for metric in METRICS if metric.must_be is not None} == {
        "failed": 0.0,
        "quotes_exact": 1.0,
        "markers_resolve": 1.0,
    }


def test_less_is_better_of_what_counts_errors():
    lower = {metric.name for metric in METRICS if metric.better == "lower"}
    assert lower == {"failed", "extra_sentences", "over_refusal", "aurc", "ece"}


def some_row(kind: str, confidence: float, confident_right: bool, token_f1: float) -> Row:
    match kind:
        case "answered":
            return row(0, confidence=confidence, confident_right=confident_right, token_f1=token_f1)
        case "refused":
            return refused(0, confidence=confidence)
        case "rightly refused":
            return unanswerable(0, confidence=confidence)
        case "wrongly answered":
            return unanswerable(0, answered=True, confidence=confidence)
        case "failed to answer":
            return failed(0)
        case _:
            return unanswerable(0, failed=True)


ROWS = st.lists(
    st.builds(
        some_row,
        st.sampled_from(["answered", "refused", "rightly refused", "wrongly answered", "failed to answer", "failed"]),
        st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
        st.booleans(),
        st.floats(0, 1),
    ),
    max_size=12,
)


ABOUT_ANSWERS = {"quotes_exact", "markers_resolve"}  # a failure says nothing; that it is one fails the gate


@pytest.mark.parametrize("is_ece", [False, True], ids=["every other one", "ece"])
@given(rows=ROWS.filter(bool), fails=st.integers(0, 11))
@example(rows=[row(0, confidence=0.9), row(0, confidence=0.0)], fails=1)
def test_no_metric_improves_where_an_outcome_turns_into_a_failure(is_ece: bool, rows: list[Row], fails: int):
    before = Table(rows)
    after = Table([failure_of(each) if n == fails % len(rows) else each for n, each in enumerate(rows)])
    for metric in METRICS:
        if metric.name in ABOUT_ANSWERS or (metric.name == "ece") != is_ece:
            continue
        rise = metric.compute(after, np.arange(len(rows))) - metric.compute(before, np.arange(len(rows)))
        gained = rise if metric.better == "higher" else -rise
        assert math.isnan(gained) or gained <= 1e-9, metric.name


def test_a_failure_does_not_make_up_for_answers_that_were_better_than_they_seemed():
    # Ten right ones at .9 are one too many; a wrong one at 1 in the same bin must not cancel that out.
    rows = [*(row(n, confidence=0.9) for n in range(10)), row(10, confidence=0.5, confident_right=False)]
    assert value("ece", rows) == pytest.approx((10 * 0.1 + 0.5) / 11)
    assert value("ece", [*rows[:-1], failure_of(rows[-1])]) >= value("ece", rows)


def test_a_failure_leaves_what_was_said_by_others_as_exact_as_it_was():
    rows = [row(0, quotes_exact=0.5), row(1), unanswerable(2), failed(3), unanswerable(4, failed=True)]
    assert (value("quotes_exact", rows), value("markers_resolve", rows)) == (0.75, 1.0)
    assert value("failed", rows) == 2 / 5


@given(ROWS, st.randoms())
def test_the_order_of_the_questions_changes_no_value(rows: list[Row], rng: random.Random):
    shuffled = rng.sample(rows, len(rows))
    everything = np.arange(len(rows))
    for metric in METRICS if rows else ():
        one, other = (metric.compute(Table(each), everything) for each in (rows, shuffled))
        assert one == pytest.approx(other, nan_ok=True), metric.name


@given(ROWS.filter(bool), st.randoms())
def test_a_resample_is_the_table_of_the_rows_drawn(rows: list[Row], rng: random.Random):
    at = np.array(rng.choices(range(len(rows)), k=len(rows)))
    drawn = [rows[i] for i in at]
    for metric in METRICS:
        resampled = metric.compute(Table(rows), at)
        assert resampled == pytest.approx(value(metric.name, drawn), nan_ok=True), metric.name


# -- intervals ---------------------------------------------------------------------------------------------------------


@cache
def calibrated() -> list[Row]:
    """Ninety questions whose confidences are exactly right: of ten at .1 one is right, of ten at .2 two, and so on."""
    rows = []
    for tenth in range(1, 10):
        for n in range(10):
            right = n < tenth
            changes = {"confidence": tenth / 10, "confident_right": right, "right": float(right), "token_f1": n / 10}
            nearest = {} if tenth > 4 else dict.fromkeys(NEAREST, float(right))  # as if it had been refused
            rows.append(row(len(rows), **changes, **nearest))
    return [*rows, *(unanswerable(90 + n, confidence=0.0, answered=n > 25) for n in range(30))]


@pytest.fixture(scope="module")
def calibrated_figures() -> dict[str, dict[str, Any]]:
    return {figure["name"]: figure for figure in figures(calibrated())}


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_an_interval_holds_its_value(metric: Metric, calibrated_figures: dict[str, dict[str, Any]]):
    figure = calibrated_figures[metric.name]
    assert figure["value"] is not None
    if figure["low"] is not None:
        assert figure["low"] <= figure["value"] <= figure["high"]


def test_every_guarded_metric_has_an_interval(calibrated_figures: dict[str, dict[str, Any]]):
    for metric in METRICS:
        if metric.guarded:
            assert calibrated_figures[metric.name]["low"] is not None, metric.name


def test_only_the_calibration_error_has_no_interval(calibrated_figures: dict[str, dict[str, Any]]):
    # A resample has fewer distinct questions a bin, so that chance alone makes each bin look worse than all of it is.
    without = {name for name, figure in calibrated_figures.items() if figure["low"] is None}
    assert without == {metric.name for metric in METRICS if not metric.has_interval} == {"ece"}
    assert calibrated_figures["ece"]["high"] is None
    assert calibrated_figures["ece"]["value"] == pytest.approx(0.0, abs=1e-6)


def test_where_all_questions_fare_alike_an_interval_is_not_widened():
    right = figures([row(n) for n in range(10)], n_resamples=FEW)[0]
    assert (right["name"], right["value"], right["low"], right["high"]) == ("right", 1.0, 1.0, 1.0)


def test_an_interval_is_of_any_statistic_of_row_numbers():
    values = np.array([0.0, 1.0, 1.0, 0.0])
    statistics = {"mean": lambda at: values[at].mean(axis=-1), "only": lambda at: values[at].mean(axis=-1)}
    found = intervals(4, statistics, only_values={"only"}, n_resamples=FEW)
    assert found["mean"]["value"] == 0.5
    assert 0.0 <= found["mean"]["low"] < 0.5 < found["mean"]["high"] <= 1.0
    assert found["only"] == {"value": 0.5, "low": None, "high": None}


def test_a_statistic_that_is_undefined_has_no_interval():
    for n in (0, 4):
        found = intervals(n, {"none": lambda at: np.full(at.shape[:-1], np.nan)})
        assert found == {"none": {"value": None, "low": None, "high": None}}


@given(st.integers(1, 9), st.integers(0, 12), st.integers(1, 60))
def test_resamples_are_those_of_one_draw_however_many_fit_at_once(n: int, n_resamples: int, at_once: int):
    together = np.random.default_rng(SEED).integers(0, n, (n_resamples, n))
    apart = list(resamples(n, n_resamples, at_once=at_once))
    assert all(at.size <= max(n, at_once) for at in apart)
    assert np.array_equal(np.concatenate([np.empty((0, n), dtype=int), *apart]), together)


@given(ROWS.filter(bool))
def test_a_metric_of_many_resamples_is_that_of_each(rows: list[Row]):
    table = Table(rows)
    (at,) = resamples(len(rows), 5)
    for metric in METRICS:
        if metric.has_interval:
            assert metric.compute(table, at) == pytest.approx([metric.compute(table, one) for one in at], nan_ok=True)


def test_intervals_are_those_that_scipy_gives():
    table = Table(calibrated())
    statistics = {metric.name: partial(metric.compute, table) for metric in METRICS if metric.has_interval}
    found = intervals(len(table), statistics, n_resamples=FEW)
    for name, statistic in statistics.items():
        theirs = bootstrap(
            (np.arange(len(table)),), statistic, vectorized=False, n_resamples=FEW, method="percentile", rng=SEED
        )
        ends = theirs.confidence_interval
        assert (found[name]["low"], found[name]["high"]) == pytest.approx((ends.low, ends.high), abs=1e-6), name


def test_a_number_is_known_to_six_places_and_nan_is_not():
    assert (known(1 / 3), known(1), known(math.nan)) == (0.333333, 1, None)


def test_the_interval_of_a_share_is_near_the_one_of_the_normal_approximation():
    rows = [row(n, right=float(n < 80)) for n in range(100)]
    right = next(figure for figure in figures(rows) if figure["name"] == "right")
    assert right["value"] == 0.8
    assert right["low"] == pytest.approx(0.8 - 1.96 * 0.04, abs=0.015)  # the standard error is sqrt(.8 * .2 / 100)
    assert right["high"] == pytest.approx(0.8 + 1.96 * 0.04, abs=0.015)


def test_intervals_are_the_same_each_time():
    assert figures(MIXED, n_resamples=FEW) == figures(MIXED, n_resamples=FEW)


def test_a_metric_that_many_resamples_lack_has_an_interval_from_the_others():
    rows = [row(0, confidence=0.9), row(1, confidence=0.8), row(2, confidence=0.2), unanswerable(3, confidence=0.5)]
    auroc = next(figure for figure in figures(rows) if figure["name"] == "auroc")
    assert (auroc["value"], auroc["low"], auroc["high"]) == (pytest.approx(2 / 3, abs=1e-6), 0.0, 1.0)


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        (8, 10, 0.490162, 0.943318),
        # (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) at p = 0 and p = 1, with z = 1.959964
        (0, 10, 0.0, 3.841459 / 13.841459),
        (10, 10, 10 / 13.841459, 1.0),
        (1, 1, 1 / 4.841459, 1.0),
        (5, 10, 0.236593, 0.763407),
    ],
)
def test_a_share_has_the_interval_of_wilson(part: int, whole: int, low: float, high: float):
    expected = {"value": part / whole, "low": low, "high": high}
    assert share(part, whole) == pytest.approx(expected, abs=1e-6)


def test_a_share_of_nothing_is_unknown():
    assert share(0, 0) == {"value": None, "low": None, "high": None}


@given(st.integers(1, 300).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_a_share_is_in_its_interval(counts: tuple[int, int]):
    found = share(*counts)
    assert 0.0 <= found["low"] <= found["value"] <= found["high"] <= 1.0


# -- the summary -------------------------------------------------------------------------------------------------------


def asked(n: int, **changes: Any) -> Question:
    values = {
        "id": f"q{n}",
        "split": "dev",
        "kind": "fact",
        "question": f"Who signed the treaty of 200{n}?",
        "history": (("Hi?", "Hello."),),
        "answerable": True,
        "facts": (re.compile("Alice", re.IGNORECASE),),
        "evidence": ((Place("a.txt", 0, 9), Place("b.txt", 0, 9)),),
        "quotes": (("", ""),),
    }
    return Question(**(values | changes))


def outcome(n: int, **changes: Any) -> Outcome:
    values = {
        "id": f"q{n}",
        "kind": "fact",
        "split": "dev",
        "answerable": True,
        "failed": False,
        "answered": True,
        "right": True,
        "lost_at": None,
        "confidence": 0.875,
        "confident_right": True,
        "scores": {"right": 1.0, "facts": 1.0},
        "timings_ms": {"retrieve": 10.0, "answer": 1.0},
    } | changes
    return Outcome(**values)


WRONG: Mapping[str, Any] = {"right": False, "scores": {"right": 0.0, "facts": 0.0}}
OUTCOMES = [
    outcome(0),
    outcome(1, **WRONG, lost_at="rank", confident_right=False, timings_ms={"retrieve": 20.0, "answer": 3.0}),
    outcome(2, **WRONG, lost_at="refuse", answered=False, confidence=0.125, kind="list", split="test",
            timings_ms={"retrieve": 30.0}),
    outcome(3, right=True, answerable=False, answered=False, confidence=0.25, confident_right=False,
            kind="off-topic", scores={"right": 1.0}, timings_ms={}),
    outcome(4, **WRONG, lost_at="failed", failed=True, answered=False, confidence=1.0, confident_right=False,
            kind="list", timings_ms={}),
    outcome(5, **WRONG, lost_at="rank", split="test", timings_ms={"retrieve": 40.0, "answer": 8.0}),
]  # fmt: skip


@pytest.fixture
def summarized() -> dict[str, Any]:
    return summarize(MADE, [asked(n) for n in range(6)], OUTCOMES, n_resamples=FEW)


def test_a_summary_is_json_without_nan(summarized: dict[str, Any]):
    assert json.loads(json.dumps(summarized, allow_nan=False)) == summarized


@pytest.mark.parametrize("n", [0, 1], ids=["nothing", "one question"])
def test_a_summary_of_next_to_nothing_is_json_without_nan(n: int):
    found = summarize(MADE, [asked(i) for i in range(n)], OUTCOMES[:n])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert len(found["metrics"]) == len(METRICS)
    assert len(found["questions"]) == len(found["kinds"]) == len(found["splits"]) == n


def test_a_summary_of_nothing_knows_nothing():
    found = summarize(MADE, [], [])
    assert {figure["value"] for figure in found["metrics"]} == {None}
    assert found["risk_coverage"] == {"coverage": [], "risk": []}
    assert found["operating_point"] == {"coverage": None, "risk": None}
    assert (found["reliability"], found["cost_ms"], found["lost"]) == ([], {}, {})


def test_a_summary_says_what_was_made_and_is_not_compared_yet(summarized: dict[str, Any]):
    assert (summarized["format"], summarized["made"], summarized["comparison"]) == (1, MADE, None)
    assert [figure["name"] for figure in summarized["metrics"]] == NAMES


def test_kinds_fare_as_counted_by_hand_in_the_order_of_the_gold(summarized: dict[str, Any]):
    fact, listed, off_topic = summarized["kinds"]
    means = {"right": pytest.approx(1 / 3, abs=1e-6), "facts": pytest.approx(1 / 3, abs=1e-6)}
    assert fact == {
        "kind": "fact", "n": 3, "right": share(1, 3), "refused": 0.0, "lost": {"rank": 2}, "scores": means
    }  # fmt: skip
    assert listed == {
        "kind": "list",
        "n": 2,
        "right": share(0, 2),
        "refused": 0.5,  # the other one failed
        "lost": {"refuse": 1, "failed": 1},
        "scores": {"right": 0.0, "facts": 0.0},
    }
    assert off_topic == {
        "kind": "off-topic", "n": 1, "right": share(1, 1), "refused": 1.0, "lost": {}, "scores": {"right": 1.0}
    }  # fmt: skip


def test_splits_fare_as_counted_by_hand(summarized: dict[str, Any]):
    dev, test = summarized["splits"]
    assert (dev["split"], dev["n"], dev["right"]["value"], dev["refused"]) == ("dev", 4, 0.5, 0.25)
    assert dev["lost"] == {"rank": 1, "failed": 1}
    assert (test["split"], test["n"], test["right"]["value"], test["refused"]) == ("test", 2, 0.0, 0.5)
    assert test["lost"] == {"refuse": 1, "rank": 1}
    # the unanswerable one of dev has no facts
    assert dev["scores"] == {"right": 0.5, "facts": pytest.approx(1 / 3, abs=1e-6)}
    assert test["scores"] == {"right": 0.0, "facts": 0.0}


def test_stages_that_lost_answers_stand_in_the_order_of_the_pipeline(summarized: dict[str, Any]):
    assert list(summarized["lost"].items()) == [("failed", 1), ("rank", 2), ("refuse", 1)]
    assert sum(summarized["lost"].values()) == sum(not each.right for each in OUTCOMES)
    assert set(summarized["lost"]) <= set(LOST_AT)


def test_the_operating_point_is_the_share_answered_and_of_these_with_a_wrong_likeliest_sentence(
    summarized: dict[str, Any],
):
    # 0, 1 and 5 are answered; 1 and 5 are wrong, but of these only the likeliest sentence of 1
    assert summarized["operating_point"] == {"coverage": 0.5, "risk": pytest.approx(1 / 3, abs=1e-6)}


def test_the_operating_point_lies_on_the_curve_of_risk_where_the_surest_are_answered():
    rights = [True, False, True, True, False]
    outcomes = [
        outcome(n, answered=n < 3, confidence=0.9 - n / 10, confident_right=right, right=False, lost_at="facts")
        for n, right in enumerate(rights)
    ]
    found = summarize(MADE, [asked(n) for n in range(5)], outcomes, n_resamples=FEW)
    at = found["risk_coverage"]["coverage"].index(found["operating_point"]["coverage"])
    assert found["operating_point"]["risk"] == found["risk_coverage"]["risk"][at] == pytest.approx(1 / 3, abs=1e-6)


def test_cost_is_over_the_questions_that_reached_a_stage(summarized: dict[str, Any]):
    # The 95th percentile lies .95 * (n - 1) steps up: 30 + .85 * 10, 3 + .9 * 5, and of 11, 23, 30, 48: 30 + .85 * 18.
    assert summarized["cost_ms"] == {
        "retrieve": {"p50": 25.0, "p95": 38.5},
        "answer": {"p50": 3.0, "p95": 7.5},
        "total": {"p50": 26.5, "p95": 45.3},
    }
    assert list(summarized["cost_ms"]) == ["retrieve", "answer", "total"]


def test_the_curve_of_risk_goes_from_the_surest_question_to_all(summarized: dict[str, Any]):
    curve = summarized["risk_coverage"]
    assert curve["coverage"] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1], abs=1e-6)
    # the failure, three at .875 of which one is wrong, wrong at .25, right at .125
    expected = [1, (1 + 1 / 3) / 2, (1 + 2 / 3) / 3, 2 / 4, 3 / 5, 3 / 6]
    assert curve["risk"] == pytest.approx(expected, abs=1e-6)


def test_the_reliability_is_that_of_the_likeliest_sentences(summarized: dict[str, Any]):
    bins = [(b["low"], b["high"], b["n"], b["probability"], b["right"]) for b in summarized["reliability"]]
    assert bins == [
        (0.1, 0.2, 1, 0.125, 1.0),
        (0.2, 0.3, 1, 0.25, 0.0),
        (0.8, 0.9, 3, 0.875, pytest.approx(2 / 3)),
        (0.9, 1.0, 1, 1.0, 0.0),
    ]


def test_rows_hold_what_a_comparison_needs(summarized: dict[str, Any]):
    first = summarized["questions"][0]
    assert {name: first[name] for name in first if name != "asked"} == {
        "id": "q0",
        "kind": "fact",
        "split": "dev",
        "answerable": True,
        "failed": False,
        "answered": True,
        "lost_at": None,
        "confidence": 0.875,
        "confident_right": True,
        "scores": {"right": 1.0, "facts": 1.0},
    }
    assert [each["id"] for each in summarized["questions"]] == ["q0", "q1", "q2", "q3", "q4", "q5"]


def test_figures_of_a_summary_are_those_of_its_rows(summarized: dict[str, Any]):
    assert summarized["metrics"] == figures(json.loads(json.dumps(summarized["questions"])), n_resamples=FEW)


def digest(question: Question) -> str:
    (found,) = summarize(MADE, [question], OUTCOMES[:1])["questions"]
    return str(found["asked"])


@pytest.mark.parametrize(
    "changes",
    [
        {"question": "Who signed the treaty?"},
        {"history": ()},
        {"history": (("Hi?", "Good day."),)},
        {"facts": ()},
        {"facts": (re.compile("Bob", re.IGNORECASE),)},
        {"evidence": ((Place("a.txt", 0, 8), Place("b.txt", 0, 9)),)},
        {"evidence": ((Place("a.txt", 0, 9),), (Place("b.txt", 0, 9),))},
        {"evidence": ((Place("a.txt", 0, 9), Place("c.txt", 0, 9)),)},
    ],
)
def test_a_change_of_the_gold_changes_its_digest(changes: dict[str, Any]):
    assert digest(asked(0, **changes)) != digest(asked(0))


@pytest.mark.parametrize(
    "changes", [{"note": "Checked."}, {"kind": "why"}, {"split": "test"}, {"quotes": (("x", ""),)}]
)
def test_a_change_of_what_stands_beside_the_gold_leaves_its_digest(changes: dict[str, Any]):
    assert digest(asked(0, **changes)) == digest(asked(0))


def test_questions_and_outcomes_must_be_as_many():
    with pytest.raises(ValueError, match="zip"):
        summarize(MADE, [asked(0), asked(1)], OUTCOMES[:1])
