"""Figures over many questions: worked out by hand, with intervals that hold, and a gate that opens for no drop."""

import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals import scores
from evals.compare import compare
from evals.gold import Place, Question
from evals.judge import LOST_AT, Outcome
from evals.scores import METRICS, Metric, Table, figures, share, summarize

Row = dict[str, Any]
Difference = Callable[..., dict[str, Any]]
MADE = {"on": "2026-01-02T03:04:05+00:00", "code": "abc"}
NAMES = [metric.name for metric in METRICS]
SEARCH = {  # as many names as the judge gives
    f"{unit}_{measure}": 0.5
    for unit in ("passage", "retrieved", "sentence")
    for measure in (*(f"{m}@{k}" for m in ("recall", "all") for k in (1, 3, 5, 10)), "mrr", "ndcg@10")
}


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which an interval has to be there, and how wide it is plays no part."""
    monkeypatch.setattr(scores, "N_RESAMPLES", 100)


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
    values = {"right": float(not answered and not failed)}
    if answered or failed:
        exact = float(answered)
        values |= {
            "extra_sentences": 1.0,
            "citation_precision": 0.0,
            "quotes_exact": exact,
            "markers_resolve": exact,
        }
    return row(n) | {
        "answerable": False,
        "answered": answered,
        "failed": failed,
        "confidence": confidence,
        "confident_right": False,
        "scores": values,
    }


def refused(n: int, *, confidence: float = 0.4) -> Row:
    """An answerable question that was refused."""
    values = {"right": 0.0, "facts": 0.0, "token_f1": 0.0, "citation_recall": 0.0, **SEARCH}
    return row(n) | {"answered": False, "lost_at": "refuse", "confidence": confidence, "scores": values}


def summary(rows: Sequence[Row], **made: str) -> dict[str, Any]:
    return {"made": {**MADE, **made}, "questions": list(rows)}


def value(name: str, rows: Sequence[Row]) -> float:
    """Compute one metric over rows."""
    metric = next(metric for metric in METRICS if metric.name == name)
    return metric.compute(Table(rows), np.arange(len(rows)))


@pytest.fixture
def difference(monkeypatch: pytest.MonkeyPatch) -> Difference:
    """What a comparison says of one metric; the others are left out to save their time."""

    def difference_(name: str, new: Sequence[Row], old: Sequence[Row]) -> dict[str, Any]:
        monkeypatch.setattr(scores, "METRICS", tuple(metric for metric in METRICS if metric.name == name))
        (found,) = compare(summary(new), summary(old))["metrics"]
        return found

    return difference_


MIXED = [
    row(0, confidence=0.9),
    row(1, confidence=0.8, right=0.0, facts=0.0, citation_precision=0.5, extra_sentences=0.5),
    row(2, confidence=0.7, confident_right=False, right=0.0, citation_precision=0.0, extra_sentences=1.0),
    refused(3, confidence=0.4),
    unanswerable(4, confidence=0.3),
    unanswerable(5, answered=True, confidence=0.6),
    unanswerable(6, failed=True, confidence=0.0),
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
        ("facts", 2 / 4),
        ("extra_sentences", (0 + 0.5 + 1 + 1 + 1) / 5),  # answers 0, 1, 2 and 5, and failure 6
        ("citation_precision", (1 + 0.5 + 0 + 0 + 0) / 5),
        ("citation_recall", 3 / 4),
        ("quotes_exact", 4 / 5),
        ("markers_resolve", 4 / 5),
        ("refusal_precision", 2 / 3),  # 3, 4 and 7 are refused
        ("refusal_recall", 2 / 4),
        ("refusal_f1", 2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4)),
        ("over_refusal", 1 / 4),
        ("auroc", (4 + 4 + 4 + 3) / 16),  # only .4 of 3 is below .6 of 5
        # best first .9 right, .8 right, .7 wrong, .6 wrong, .4 right, then three wrong
        ("aurc", (0 + 0 + 1 / 3 + 2 / 4 + 2 / 5 + 3 / 6 + 4 / 7 + 5 / 8) / 8),
        # right ones at .9, .8, .4 lack .1, .2, .6; wrong ones have .7, .6, .3, .1 and 0 too much
        ("ece", (0.1 + 0.2 + 0.6 + 0.7 + 0.6 + 0.3 + 0.1 + 0.0) / 8),
        ("passage_recall@5", 0.5),
        ("sentence_mrr", 0.5),
    ],
)
def test_metrics_are_those_worked_out_by_hand(name: str, expected: float):
    assert value(name, MIXED) == pytest.approx(expected)


def failed(n: int) -> Row:
    """An answerable question that ended in an error."""
    return refused(n) | {"failed": True, "lost_at": "failed", "confidence": 0.0}


def test_a_failure_is_no_refusal_and_counts_as_withholding_an_answer():
    rows = [row(0), failed(1), refused(2), row(3), unanswerable(4), unanswerable(5, failed=True)]
    assert value("over_refusal", rows) == 2 / 4  # 1 and 2
    assert value("refusal_precision", rows) == pytest.approx(1 / 3)  # 4, not 1 and 2
    assert value("refusal_recall", rows) == 1 / 2  # 4, not 5
    assert value("refusal_f1", rows) == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))


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
    "one unanswerable of four": [row(0), row(1), refused(2), unanswerable(3)],  # many resamples are without it
    "all the same": [row(0), row(1), row(2)],
}


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES.keys())
def test_every_metric_has_a_value_in_range_or_none(rows: list[Row], few_resamples: None):
    found = figures(rows)  # a warning would be an error
    assert [figure["name"] for figure in found] == NAMES
    for figure in found:
        numbers = [figure[name] for name in ("value", "low", "high")]
        assert all(number is None or 0.0 <= number <= 1.0 for number in numbers), figure
        assert not any(number is not None and math.isnan(number) for number in numbers)
        assert 0 <= figure["n"] <= len(rows)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES.keys())
def test_every_table_can_be_compared_with_itself(rows: list[Row], few_resamples: None):
    found = compare(summary(rows), summary(rows))
    assert {figure["verdict"] for figure in found["metrics"] if figure["name"] in NAMES[:6]} == {"same"}
    json.dumps(found, allow_nan=False)


def test_a_metric_without_a_question_has_neither_value_nor_interval(few_resamples: None):
    by_name = {figure["name"]: figure for figure in figures(TABLES["unanswerable only"])}
    for name in ("facts", "citation_recall", "over_refusal", "auroc", "passage_mrr"):
        assert (by_name[name]["value"], by_name[name]["low"], by_name[name]["high"]) == (None, None, None)
    assert by_name["refusal_recall"]["value"] == pytest.approx(1 / 3, abs=1e-6)


def test_a_metric_of_one_question_has_a_value_and_no_interval():
    by_name = {figure["name"]: figure for figure in figures([row(0)])}
    assert (by_name["right"]["value"], by_name["right"]["low"], by_name["right"]["high"]) == (1.0, None, None)


def test_no_metric_has_the_name_of_another():
    assert len(set(NAMES)) == len(NAMES)


def test_what_must_be_exact_is_the_quotes_and_the_markers():
    assert {metric.name: metric.must_be for metric in METRICS if metric.must_be is not None} == {
        "quotes_exact": 1.0,
        "markers_resolve": 1.0,
    }


def test_less_is_better_of_what_counts_errors():
    assert {m.name for m in METRICS if m.better == "lower"} == {"extra_sentences", "over_refusal", "aurc", "ece"}


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
            rows.append(row(len(rows), **changes))
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


def test_the_interval_of_a_share_is_near_the_one_of_the_normal_approximation():
    rows = [row(n, right=float(n < 80)) for n in range(100)]
    right = next(figure for figure in figures(rows) if figure["name"] == "right")
    assert right["value"] == 0.8
    assert right["low"] == pytest.approx(0.8 - 1.96 * 0.04, abs=0.015)  # the standard error is sqrt(.8 * .2 / 100)
    assert right["high"] == pytest.approx(0.8 + 1.96 * 0.04, abs=0.015)


def test_intervals_are_the_same_each_time(few_resamples: None):
    assert figures(MIXED) == figures(MIXED)


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


# -- comparison --------------------------------------------------------------------------------------------------------


def test_a_run_does_not_differ_from_itself_after_a_round_trip_through_a_file(few_resamples: None):
    rows = calibrated()
    found = compare(summary(rows), json.loads(json.dumps(summary(rows))))
    assert found["passed"] is True
    assert (found["n"], found["not_compared"]) == (120, 0)
    assert (found["baseline_on"], found["baseline_code"]) == (MADE["on"], "abc")
    for figure in found["metrics"]:
        assert (figure["difference"], figure["low"], figure["high"]) == (0.0, 0.0, 0.0), figure["name"]
        assert figure["verdict"] == "same"
        assert figure["old"] == figure["new"] is not None


@pytest.mark.parametrize("metric", [m for m in METRICS if m.guarded], ids=lambda metric: metric.name)
def test_a_clear_drop_of_any_guarded_metric_fails(metric: Metric, few_resamples: None):
    old = [*(row(n, confidence=0.9) for n in range(30)), *(unanswerable(30 + n) for n in range(30))]
    new = [
        *(refused(n) if metric.name == "over_refusal" else row(n, **worse(metric)) for n in range(30)),
        *(unanswerable(30 + n, answered=metric.name == "refusal_recall") for n in range(30)),
    ]
    found = compare(summary(new), summary(old))
    dropped = {figure["name"] for figure in found["metrics"] if figure["verdict"] == "drop"}
    assert metric.name in dropped
    assert found["passed"] is False
    back = compare(summary(old), summary(new))
    assert metric.name in {figure["name"] for figure in back["metrics"] if figure["verdict"] == "gain"}
    assert back["passed"] is True


def worse(metric: Metric) -> dict[str, Any]:
    if metric.name in {"over_refusal", "refusal_recall"}:
        return {}  # what was asked fares worse, not a score
    return {"confident_right": False} if metric.name == "aurc" else {metric.name: 0.0}


def test_what_is_lower_the_better_drops_when_it_rises(difference: Difference):
    old = [row(n) for n in range(20)]
    new = [refused(n) if n < 8 else row(n) for n in range(20)]
    found = difference("over_refusal", new, old)
    assert (found["old"], found["new"], found["difference"], found["verdict"]) == (0.0, 0.4, 0.4, "drop")
    assert difference("over_refusal", old, new)["verdict"] == "gain"


def test_a_metric_that_is_not_guarded_may_drop(few_resamples: None):
    old, new = [row(n) for n in range(20)], [row(n, token_f1=0.1) for n in range(20)]
    found = compare(summary(new), summary(old))
    assert {figure["name"]: figure["verdict"] for figure in found["metrics"]}["token_f1"] == "drop"
    assert found["passed"] is True


@pytest.mark.parametrize(("n_worse", "verdict"), [(3, "same"), (4, "drop")])
def test_a_drop_counts_from_where_a_resample_rarely_misses_it(difference: Difference, n_worse: int, verdict: str):
    # A resample of 20 misses 3 questions in (17/20)^20 = 3.9 % of cases and 4 in (16/20)^20 = 1.2 %; 2.5 % may.
    old, new = [row(n) for n in range(20)], [row(n, right=float(n >= n_worse)) for n in range(20)]
    assert difference("right", new, old)["verdict"] == verdict


def test_differences_are_paired(difference: Difference, few_resamples: None):
    spread = [n / 40 for n in range(40)]  # from 0 to .975: each run's own interval is some .18 wide
    old = [row(n, citation_recall=v) for n, v in enumerate(spread)]
    new = [row(n, citation_recall=v + 0.02) for n, v in enumerate(spread)]
    one, other = (
        next(figure for figure in figures(rows) if figure["name"] == "citation_recall") for rows in (old, new)
    )
    assert other["low"] < one["high"]  # unpaired, nobody could tell
    found = difference("citation_recall", new, old)
    assert (found["difference"], found["low"], found["high"], found["verdict"]) == (0.02, 0.02, 0.02, "gain")
    assert difference("citation_recall", old, new)["verdict"] == "drop"


def test_questions_are_paired_by_id_whatever_their_order(difference: Difference):
    old = [row(n, citation_recall=n / 10) for n in range(10)]
    found = difference("citation_recall", old[::-1], old)
    assert (found["difference"], found["low"], found["high"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", ["quotes_exact", "markers_resolve"])
def test_what_must_be_exact_fails_at_99_of_100_whatever_the_baseline(name: str, few_resamples: None):
    rows = [row(n, **{name: float(n > 0)}) for n in range(100)]
    for old in (rows, [row(n) for n in range(100)]):
        found = compare(summary(rows), summary(old))
        figure = next(figure for figure in found["metrics"] if figure["name"] == name)
        assert (figure["new"], figure["verdict"], figure["guarded"], found["passed"]) == (0.99, "drop", True, False)


@pytest.mark.parametrize("name", ["quotes_exact", "markers_resolve"])
def test_what_must_be_exact_passes_where_the_baseline_was_not(name: str, few_resamples: None):
    old, new = [row(n, **{name: 0.5}) for n in range(9)], [row(n) for n in range(9)]
    assert compare(summary(new), summary(old))["passed"] is True


def test_what_must_be_exact_passes_where_nothing_was_answered(difference: Difference):
    rows = [unanswerable(n) for n in range(9)]
    found = difference("quotes_exact", rows, rows)
    assert (found["old"], found["new"], found["verdict"]) == (None, None, "same")


@pytest.mark.parametrize("name", ["quotes_exact", "markers_resolve"])
def test_what_must_be_exact_must_be_so_for_questions_that_the_baseline_lacks(name: str, few_resamples: None):
    old = [row(n) for n in range(9)]
    for new in ([*old, row(9, **{name: 0.0})], [*old[:8], row(8, asked="other", **{name: 0.0})]):
        found = compare(summary(new), summary(old))
        assert found["passed"] is False
        figure = next(figure for figure in found["metrics"] if figure["name"] == name)
        assert figure["verdict"] == "drop"
        assert figure["new"] == pytest.approx(1 - 1 / len(new), abs=1e-6)  # what is shown is what dropped


def test_only_questions_that_both_runs_asked_are_compared(few_resamples: None):
    old = [row(n) for n in range(6)]
    new = [row(n, right=float(n < 6)) for n in range(2, 9)]  # 2 to 5 are in both
    found = compare(summary(new), summary(old))
    assert (found["n"], found["not_compared"]) == (4, 2 + 3)
    right = next(figure for figure in found["metrics"] if figure["name"] == "right")
    assert (right["old"], right["new"], right["verdict"]) == (1.0, 1.0, "same")


def test_a_question_whose_gold_has_changed_is_not_compared(few_resamples: None):
    old = [row(n) for n in range(6)]
    new = [*old[:4], row(4, asked="other", right=0.0), row(5, asked="another", right=0.0)]
    found = compare(summary(new), summary(old))
    assert (found["n"], found["not_compared"], found["passed"]) == (4, 2, True)
    assert next(figure for figure in found["metrics"] if figure["name"] == "right")["new"] == 1.0


def test_a_comparison_of_nothing_does_not_pass():
    found = compare(summary([row(0), row(1)]), summary([row(2), row(3)]))
    assert (found["n"], found["not_compared"]) == (0, 4)
    assert {(figure["old"], figure["difference"]) for figure in found["metrics"]} == {(None, None)}
    assert found["passed"] is False


def test_one_question_in_common_is_no_evidence_of_a_drop(difference: Difference):
    found = difference("right", [row(0, right=0.0)], [row(0)])
    assert (found["difference"], found["low"], found["high"], found["verdict"]) == (-1.0, None, None, "same")


def test_a_score_that_an_earlier_run_did_not_have_is_not_compared(difference: Difference):
    new, old = [row(n) for n in range(5)], [row(n) for n in range(5)]
    for each in old:
        del each["scores"]["passage_ndcg@10"]
    found = difference("passage_ndcg@10", new, old)
    assert (found["old"], found["new"], found["difference"], found["verdict"]) == (None, 0.5, None, "same")


def test_a_run_that_refuses_everything_does_not_pass(few_resamples: None):
    old = [*(row(n) for n in range(20)), *(unanswerable(20 + n) for n in range(10))]
    new = [*(refused(n) for n in range(20)), *(unanswerable(20 + n) for n in range(10))]
    found = compare(summary(new), summary(old))
    assert found["passed"] is False
    assert {f["name"] for f in found["metrics"] if f["guarded"] and f["verdict"] == "drop"} >= {"right", "over_refusal"}


def test_a_run_that_answers_everything_does_not_pass(few_resamples: None):
    old = [*(row(n) for n in range(20)), *(unanswerable(20 + n) for n in range(10))]
    new = [*(row(n) for n in range(20)), *(unanswerable(20 + n, answered=True) for n in range(10))]
    found = compare(summary(new), summary(old))
    assert found["passed"] is False
    dropped = {f["name"] for f in found["metrics"] if f["guarded"] and f["verdict"] == "drop"}
    assert dropped >= {"right", "refusal_recall"}


@settings(max_examples=25)
@given(ROWS, ROWS)
def test_any_two_runs_can_be_compared(few_resamples: None, one: list[Row], other: list[Row]):
    new, old = ([each | {"id": f"q{n}"} for n, each in enumerate(rows)] for rows in (one, other))
    found = compare(summary(new), summary(old))
    json.dumps(found, allow_nan=False)
    assert found["n"] == min(len(new), len(old))
    for figure in found["metrics"]:
        is_worse = figure["verdict"] == "drop"
        assert not (found["passed"] and is_worse and figure["guarded"])


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
    outcome(4, **WRONG, lost_at="failed", failed=True, answered=False, confidence=0.0, confident_right=False,
            kind="list", timings_ms={}),
    outcome(5, **WRONG, lost_at="rank", split="test", timings_ms={"retrieve": 40.0, "answer": 8.0}),
]  # fmt: skip


@pytest.fixture
def summarized(few_resamples: None) -> dict[str, Any]:
    return summarize(MADE, [asked(n) for n in range(6)], OUTCOMES)


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
    assert fact == {"kind": "fact", "n": 3, "right": share(1, 3), "refused": 0.0, "lost": {"rank": 2}}
    # one of two was refused, the other one failed
    expected = {"kind": "list", "n": 2, "right": share(0, 2), "refused": 0.5, "lost": {"refuse": 1, "failed": 1}}
    assert listed == expected
    assert off_topic == {"kind": "off-topic", "n": 1, "right": share(1, 1), "refused": 1.0, "lost": {}}


def test_splits_fare_as_counted_by_hand(summarized: dict[str, Any]):
    dev, test = summarized["splits"]
    assert (dev["split"], dev["n"], dev["right"]["value"], dev["refused"]) == ("dev", 4, 0.5, 0.25)
    assert dev["lost"] == {"rank": 1, "failed": 1}
    assert (test["split"], test["n"], test["right"]["value"], test["refused"]) == ("test", 2, 0.0, 0.5)
    assert test["lost"] == {"refuse": 1, "rank": 1}


def test_stages_that_lost_answers_stand_in_the_order_of_the_pipeline(summarized: dict[str, Any]):
    assert list(summarized["lost"].items()) == [("failed", 1), ("refuse", 1), ("rank", 2)]
    assert sum(summarized["lost"].values()) == sum(not each.right for each in OUTCOMES)
    assert set(summarized["lost"]) <= set(LOST_AT)


def test_the_operating_point_is_the_share_answered_and_the_share_of_these_that_is_wrong(summarized: dict[str, Any]):
    assert summarized["operating_point"] == {"coverage": 0.5, "risk": pytest.approx(2 / 3, abs=1e-6)}


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
    # three at .875 of which one is wrong, wrong at .25, right at .125, wrong at 0
    expected = [1 / 3, 1 / 3, 1 / 3, 2 / 4, 2 / 5, 3 / 6]
    assert curve["risk"] == pytest.approx(expected, abs=1e-6)


def test_the_reliability_is_that_of_the_likeliest_sentences(summarized: dict[str, Any]):
    bins = [(b["low"], b["high"], b["n"], b["probability"], b["right"]) for b in summarized["reliability"]]
    assert bins == [
        (0.0, 0.1, 1, 0.0, 0.0),
        (0.1, 0.2, 1, 0.125, 1.0),
        (0.2, 0.3, 1, 0.25, 0.0),
        (0.8, 0.9, 3, 0.875, pytest.approx(2 / 3)),
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
    found = compare(summarized, json.loads(json.dumps(summarized)))
    assert (found["n"], found["not_compared"]) == (6, 0)


def test_figures_of_a_summary_are_those_of_its_rows(summarized: dict[str, Any]):
    assert summarized["metrics"] == figures(json.loads(json.dumps(summarized["questions"])))


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
