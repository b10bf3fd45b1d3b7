"""A run against an earlier one: paired differences, and a gate that opens for no drop and for no missing question."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_scores import (
    FEW,
    MADE,
    MIXED,
    NAMES,
    ROWS,
    TABLES,
    Row,
    asked,
    calibrated,
    failed,
    failure_of,
    outcome,
    refused,
    row,
    unanswerable,
)

from evals.compare import MIN_DROP, compare
from evals.gold import Question
from evals.scores import METRICS, Metric, figures, summarize

Difference = Callable[..., dict[str, Any]]


def summary(rows: Sequence[Row], **made: Any) -> dict[str, Any]:
    return {"made": {**MADE, **made}, "questions": list(rows)}


def compared(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Compare where an interval has to be there, and how wide it is plays no part."""
    return compare(new, old, n_resamples=FEW)


@pytest.fixture
def difference(monkeypatch: pytest.MonkeyPatch) -> Difference:
    """What a comparison says of one metric; the others are left out to save their time."""

    def difference_(name: str, new: Sequence[Row], old: Sequence[Row]) -> dict[str, Any]:
        monkeypatch.setattr("evals.compare.METRICS", tuple(metric for metric in METRICS if metric.name == name))
        (found,) = compare(summary(new), summary(old))["metrics"]
        return found

    return difference_


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {figure["name"]: figure["verdict"] for figure in found["metrics"]}


# -- a run against itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES.keys())
def test_every_table_can_be_compared_with_itself(rows: list[Row]):
    rows = [each | {"id": f"q{n}"} for n, each in enumerate(rows)]
    found = compared(summary(rows), summary(rows))
    wrong = {name for name, must_be in (("failed", 0.0), ("quotes_exact", 1.0)) for each in rows
             if each["scores"].get(name, must_be) != must_be}  # fmt: skip
    for figure in found["metrics"]:
        undefined = "none" if figure["old"] is None else "same"
        assert figure["verdict"] == ("drop" if figure["name"] in wrong else undefined), figure["name"]
        assert (figure["old"] is None) == (figure["new"] is None) == (figure["difference"] is None)
    assert found["passed"] is (bool(rows) and not wrong)
    json.dumps(found, allow_nan=False)


def test_a_run_does_not_differ_from_itself_after_a_round_trip_through_a_file():
    rows = calibrated()
    found = compared(summary(rows), json.loads(json.dumps(summary(rows))))
    assert found["passed"] is True
    assert (found["n"], found["not_compared"]) == (120, 0)
    assert (found["baseline_on"], found["baseline_code"]) == (MADE["on"], "abc")
    assert (found["missing"], found["differs"]) == (0, [])
    for figure, metric in zip(found["metrics"], METRICS, strict=True):
        bounds = (0.0, 0.0) if metric.has_interval else (None, None)
        assert (figure["difference"], figure["low"], figure["high"]) == (0.0, *bounds), figure["name"]
        assert figure["verdict"] == "same"
        assert figure["old"] == figure["new"] is not None


# -- drops -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [m for m in METRICS if m.guarded], ids=lambda metric: metric.name)
def test_a_clear_drop_of_any_guarded_metric_fails(metric: Metric):
    old = [*(row(n, confidence=0.9) for n in range(30)), *(unanswerable(30 + n) for n in range(30))]
    new = [
        *(refused(n) if metric.name == "over_refusal" else row(n, **worse(metric)) for n in range(30)),
        *(unanswerable(30 + n, answered=metric.name == "refusal_recall") for n in range(30)),
    ]
    found = compared(summary(new), summary(old))
    dropped = {figure["name"] for figure in found["metrics"] if figure["verdict"] == "drop"}
    assert metric.name in dropped
    assert found["passed"] is False
    back = compared(summary(old), summary(new))
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


def test_a_metric_that_is_not_guarded_may_drop():
    old, new = [row(n) for n in range(20)], [row(n, token_f1=0.1) for n in range(20)]
    found = compared(summary(new), summary(old))
    assert {figure["name"]: figure["verdict"] for figure in found["metrics"]}["token_f1"] == "drop"
    assert found["passed"] is True


@pytest.mark.parametrize(("n_worse", "verdict"), [(3, "same"), (4, "drop")])
def test_a_drop_counts_from_where_a_resample_rarely_misses_it(difference: Difference, n_worse: int, verdict: str):
    # A resample of 20 misses 3 questions in (17/20)^20 = 3.9 % of cases and 4 in (16/20)^20 = 1.2 %; 2.5 % may.
    old, new = [row(n) for n in range(20)], [row(n, right=float(n >= n_worse)) for n in range(20)]
    assert difference("right", new, old)["verdict"] == verdict


@pytest.mark.parametrize(("n", "verdict"), [(401, "same"), (400, "drop"), (399, "drop")])
def test_a_drop_below_one_in_a_hundred_is_none_however_sure(difference: Difference, n: int, verdict: str):
    # Four questions: a resample misses all of them in e^-4 = 1.8 % of cases, so each of these is sure.
    old, new = [row(i) for i in range(n)], [row(i, right=float(i >= 4)) for i in range(n)]
    found = difference("right", new, old)
    assert found["low"] < found["high"] < 0
    assert (abs(found["difference"]) < MIN_DROP) == (verdict == "same")
    assert found["verdict"] == verdict


def test_a_gain_below_one_in_a_hundred_is_none_either(difference: Difference):
    old, new = [row(i, token_f1=0.5) for i in range(9)], [row(i, token_f1=0.509) for i in range(9)]
    found = difference("token_f1", new, old)
    assert (found["difference"], found["low"], found["verdict"]) == (0.009, 0.009, "same")


@pytest.mark.parametrize(("rise", "verdict"), [(0.009, "same"), (0.01, "drop"), (0.02, "drop")])
def test_a_small_rise_of_what_is_lower_the_better_is_none_either(difference: Difference, rise: float, verdict: str):
    old, new = [row(n, extra_sentences=0.25) for n in range(9)], [row(n, extra_sentences=0.25 + rise) for n in range(9)]
    assert difference("extra_sentences", new, old)["verdict"] == verdict


def test_one_failure_of_a_thousand_is_a_drop_however_small(difference: Difference):
    old = [row(n) for n in range(999)]
    found = difference("failed", [failed(0), *old[1:]], old)
    assert (found["guarded"], found["verdict"], found["new"]) == (True, "drop", pytest.approx(1 / 999, abs=1e-6))


def test_a_metric_without_an_interval_never_drops(difference: Difference):
    old, new = [row(n, confidence=1.0) for n in range(9)], [row(n, confidence=0.1) for n in range(9)]
    found = difference("ece", new, old)
    assert (found["difference"], found["low"], found["high"]) == (0.9, None, None)
    assert (found["guarded"], found["verdict"]) == (False, "same")


def test_differences_are_paired(difference: Difference):
    spread = [n / 40 for n in range(40)]  # from 0 to .975: each run's own interval is some .18 wide
    old = [row(n, citation_recall=v) for n, v in enumerate(spread)]
    new = [row(n, citation_recall=v + 0.02) for n, v in enumerate(spread)]
    one, other = (
        next(figure for figure in figures(rows, n_resamples=FEW) if figure["name"] == "citation_recall")
        for rows in (old, new)
    )
    assert other["low"] < one["high"]  # unpaired, nobody could tell
    found = difference("citation_recall", new, old)
    assert (found["difference"], found["low"], found["high"], found["verdict"]) == (0.02, 0.02, 0.02, "gain")
    assert difference("citation_recall", old, new)["verdict"] == "drop"


def test_questions_are_paired_by_id_whatever_their_order(difference: Difference):
    old = [row(n, citation_recall=n / 10) for n in range(10)]
    found = difference("citation_recall", old[::-1], old)
    assert (found["difference"], found["low"], found["high"]) == (0.0, 0.0, 0.0)


# -- what must be so ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quotes_exact", "markers_resolve"])
def test_what_must_be_exact_fails_at_99_of_100_whatever_the_baseline(name: str):
    rows = [row(n, **{name: float(n > 0)}) for n in range(100)]
    for old in (rows, [row(n) for n in range(100)]):
        found = compared(summary(rows), summary(old))
        figure = next(figure for figure in found["metrics"] if figure["name"] == name)
        assert (figure["new"], figure["verdict"], figure["guarded"], found["passed"]) == (0.99, "drop", True, False)


@pytest.mark.parametrize("name", ["quotes_exact", "markers_resolve"])
def test_what_must_be_exact_passes_where_the_baseline_was_not(name: str):
    old, new = [row(n, **{name: 0.5}) for n in range(9)], [row(n) for n in range(9)]
    assert compared(summary(new), summary(old))["passed"] is True


@pytest.mark.parametrize("name", ["quotes_exact", "markers_resolve"])
def test_there_is_nothing_to_be_exact_where_nothing_was_answered(name: str):
    rows = [unanswerable(n) for n in range(9)]
    found = compared(summary(rows), summary(rows))
    figure = next(figure for figure in found["metrics"] if figure["name"] == name)
    assert (figure["old"], figure["new"], figure["verdict"]) == (None, None, "none")
    assert found["passed"] is True


def test_a_failure_does_not_pass_whatever_the_baseline():
    good = [*(row(n) for n in range(10)), *(unanswerable(10 + n) for n in range(10))]
    for n in (0, 10):
        new = [failure_of(each) if i == n else each for i, each in enumerate(good)]
        for old in (good, new):
            found = compared(summary(new), summary(old))
            figure = next(figure for figure in found["metrics"] if figure["name"] == "failed")
            assert (figure["new"], figure["verdict"], figure["guarded"]) == (0.05, "drop", True)
            assert found["passed"] is False
        assert compared(summary(good), summary(new))["passed"] is True


def test_a_failure_of_a_question_that_the_baseline_lacks_does_not_pass():
    old = [row(n) for n in range(9)]
    found = compared(summary([*old, failed(9)]), summary(old))
    assert (verdicts(found)["failed"], found["passed"]) == ("drop", False)


def test_an_inexact_quote_is_not_made_good_by_a_failure():
    old = [row(n, quotes_exact=float(n > 0)) for n in range(9)]
    found = compared(summary([failed(0), *old[1:]]), summary(old))
    assert (verdicts(found)["quotes_exact"], verdicts(found)["failed"], found["passed"]) == ("same", "drop", False)


@pytest.mark.parametrize("name", ["quotes_exact", "markers_resolve"])
def test_what_must_be_exact_must_be_so_for_questions_that_the_baseline_lacks(name: str):
    old = [row(n) for n in range(9)]
    for new in ([*old, row(9, **{name: 0.0})], [*old[:8], row(8, asked="other", **{name: 0.0})]):
        found = compared(summary(new), summary(old))
        assert found["passed"] is False
        figure = next(figure for figure in found["metrics"] if figure["name"] == name)
        assert figure["verdict"] == "drop"
        assert figure["new"] == pytest.approx(1 - 1 / len(new), abs=1e-6)  # what is shown is what dropped


# -- which questions ---------------------------------------------------------------------------------------------------


def test_only_questions_that_both_runs_asked_are_compared():
    old = [row(n) for n in range(6)]
    new = [row(n, right=float(n < 6)) for n in range(2, 9)]  # 2 to 5 are in both
    found = compared(summary(new), summary(old))
    assert (found["n"], found["not_compared"], found["missing"], found["passed"]) == (4, 2 + 3, 2, False)
    right = next(figure for figure in found["metrics"] if figure["name"] == "right")
    assert (right["old"], right["new"], right["verdict"]) == (1.0, 1.0, "same")


def test_a_question_whose_gold_has_changed_is_not_compared():
    old = [row(n) for n in range(6)]
    new = [*old[:4], row(4, asked="other", right=0.0), row(5, asked="another", right=0.0)]
    found = compared(summary(new), summary(old))
    assert (found["n"], found["not_compared"], found["missing"], found["passed"]) == (4, 2, 2, False)
    assert next(figure for figure in found["metrics"] if figure["name"] == "right")["new"] == 1.0


def summary_of(questions: Sequence[Question], **changes: Any) -> dict[str, Any]:
    """The summary of a run in which every question fared as well as can be, as it is written and read."""
    outcomes = [outcome(int(q.id[1:]), split=q.split, **changes) for q in questions]
    found = json.loads(json.dumps(summarize(MADE, questions, outcomes, n_resamples=FEW)))
    return dict(found)


HARDER = "Who of them signed it?"


@pytest.mark.parametrize(
    "changed",
    [
        [asked(1), asked(2)],
        [asked(0, question=HARDER), asked(1), asked(2)],
        [asked(0, history=()), asked(1), asked(2)],
        [asked(0, facts=(re.compile(".*"),)), asked(1), asked(2)],
        [asked(0, evidence=asked(0).evidence[:-1]), asked(1), asked(2)],
        [asked(0, id="q9"), asked(1), asked(2)],
        [asked(2), asked(3), asked(1)],
    ],
    ids=["removed", "reworded", "other history", "easier fact", "less evidence", "renamed", "replaced"],
)
def test_a_question_of_the_baseline_that_is_gone_or_other_does_not_pass(changed: list[Question]):
    baseline = summary_of([asked(0), asked(1), asked(2)])
    found = compared(summary_of(changed), baseline)
    assert (found["n"], found["missing"], found["passed"]) == (2, 1, False)
    assert "drop" not in verdicts(found).values()
    assert compared(summary_of([asked(2), asked(0), asked(1)]), baseline)["passed"] is True  # in whatever order


def test_what_is_noted_beside_the_gold_may_change():
    found = compared(summary_of([asked(0, note="Checked."), asked(1)]), summary_of([asked(0), asked(1)]))
    assert (found["n"], found["missing"], found["passed"]) == (2, 0, True)


def test_questions_may_be_added():
    old = [row(n) for n in range(6)]
    found = compared(summary([*old, row(6), refused(7)]), summary(old))
    assert (found["n"], found["not_compared"], found["missing"], found["passed"]) == (6, 2, 0, True)


def test_questions_of_a_split_that_was_not_asked_are_not_missing():
    dev, test = [row(n) for n in range(4)], [row(4 + n, split="test") for n in range(3)]
    found = compared(summary(dev, split="dev"), summary([*dev, *test]))
    assert (found["n"], found["not_compared"], found["missing"], found["passed"]) == (4, 3, 0, True)


def test_a_split_that_is_gone_from_the_gold_is_missing():
    dev, test = [row(n) for n in range(4)], [row(4 + n, split="test") for n in range(3)]
    assert compared(summary(dev), summary([*dev, *test]))["missing"] == 3
    found = compared(summary([*dev, *test[:2]]), summary([*dev, *test]))
    assert (found["n"], found["not_compared"], found["missing"], found["passed"]) == (6, 1, 1, False)


def test_a_question_that_moved_to_a_split_that_was_not_asked_is_missing():
    baseline = summary_of([asked(0), asked(1), asked(2, split="test")])
    only_dev = summary_of([asked(0)])
    only_dev["made"]["split"] = "dev"
    assert compared(only_dev, baseline)["missing"] == 1  # q1 is of the test split now
    found = compared(summary_of([asked(0), asked(1, split="test"), asked(2, split="test")]), baseline)
    assert (found["n"], found["missing"], found["passed"]) == (3, 0, True)


@settings(max_examples=15)
@given(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_whatever_is_removed_or_reworded_does_not_pass(gone: set[int], reworded: set[int]):
    old = [row(n) for n in range(6)]
    new = [row(n, **({"asked": "other"} if n in reworded else {})) for n in range(6) if n not in gone]
    found = compared(summary([*new, row(6)]), summary(old))
    assert found["missing"] == len(gone | reworded)
    assert found["passed"] is (not gone and not reworded)


def test_a_comparison_of_nothing_does_not_pass():
    for old in ([row(2), row(3)], []):
        found = compared(summary([row(0), row(1)]), summary(old))
        assert (found["n"], found["not_compared"], found["missing"]) == (0, 2 + len(old), len(old))
        assert {(figure["old"], figure["difference"]) for figure in found["metrics"]} == {(None, None)}
        assert found["passed"] is False


@pytest.mark.parametrize("old", [[row(0)], []], ids=["one question", "nothing"])
def test_a_run_of_nothing_does_not_pass(old: list[Row]):
    found = compared(summary([]), summary(old))
    assert (found["n"], found["passed"]) == (0, False)
    assert set(verdicts(found).values()) == {"none"}


def test_questions_of_other_splits_only_are_a_comparison_of_nothing():
    found = compared(summary([row(0)], split="dev"), summary([row(1, split="test")]))
    assert (found["n"], found["missing"], found["passed"]) == (0, 0, False)


# -- nothing to compare ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("citation_precision", [refused(n) for n in range(5)]),
        ("quotes_exact", [refused(n) for n in range(5)]),
        ("markers_resolve", [failed(n) for n in range(5)]),
        ("facts", [unanswerable(n) for n in range(5)]),
        ("over_refusal", [unanswerable(n) for n in range(5)]),
    ],
)
def test_a_guarded_metric_that_has_no_value_any_more_drops(name: str, new: list[Row]):
    found = compared(summary(new), summary([row(n) for n in range(5)]))
    figure = next(figure for figure in found["metrics"] if figure["name"] == name)
    assert figure["old"] is not None
    assert (figure["new"], figure["difference"], figure["guarded"], figure["verdict"]) == (None, None, True, "drop")
    assert found["passed"] is False


def test_a_lost_score_alone_does_not_pass():
    new, old = [row(n) for n in range(5)], [row(n) for n in range(5)]
    for each in new:
        del each["scores"]["passage_mrr"]
    found = compared(summary(new), summary(old))
    assert {name for name, verdict in verdicts(found).items() if verdict == "drop"} == {"passage_mrr"}
    assert found["passed"] is False


def test_a_metric_that_has_a_value_only_now_is_not_compared():
    found = compared(summary([row(n) for n in range(5)]), summary([refused(n) for n in range(5)]))
    figure = next(figure for figure in found["metrics"] if figure["name"] == "citation_precision")
    assert (figure["old"], figure["new"], figure["difference"], figure["verdict"]) == (None, 1.0, None, "none")
    assert found["passed"] is True


def test_one_question_in_common_is_no_evidence_of_a_drop(difference: Difference):
    found = difference("right", [row(0, right=0.0)], [row(0)])
    assert (found["difference"], found["low"], found["high"], found["verdict"]) == (-1.0, None, None, "same")


def test_a_score_that_an_earlier_run_did_not_have_is_not_compared(difference: Difference):
    new, old = [row(n) for n in range(5)], [row(n) for n in range(5)]
    for each in old:
        del each["scores"]["passage_ndcg@10"]
    found = difference("passage_ndcg@10", new, old)
    assert (found["old"], found["new"], found["difference"], found["verdict"]) == (None, 0.5, None, "none")


# -- what stands beside it ---------------------------------------------------------------------------------------------


def test_settings_and_documents_that_are_not_as_they_were_are_named():
    old = {"settings": {"max_claims": 3, "candidates": 50, "gone": 1}, "documents_sha256": "abc"}
    new = {"settings": {"max_claims": 2, "candidates": 50, "added": 2}, "documents_sha256": "def"}
    found = compared(summary(MIXED[:6], **new), summary(MIXED[:6], **old))
    assert sorted(found["differs"][:-1]) == ["added", "gone", "max_claims"]
    assert found["differs"][-1] == "documents"


@pytest.mark.parametrize(
    ("changes", "differs"),
    [({}, []), ({"documents_sha256": "def"}, ["documents"]), ({"settings": {"max_claims": 2}}, ["max_claims"])],
)
def test_what_differs_is_told_and_does_not_fail(changes: dict[str, Any], differs: list[str]):
    rows, made = [row(n) for n in range(5)], {"settings": {"max_claims": 3}, "documents_sha256": "abc"}
    found = compared(summary(rows, **made | changes), summary(rows, **made))
    assert (found["differs"], found["passed"]) == (differs, True)


def test_a_baseline_that_says_nothing_of_settings_can_be_compared():
    rows, made = [row(n) for n in range(5)], {"settings": {"max_claims": 3}, "documents_sha256": "abc"}
    found = compared(summary(rows, **made), summary(rows))
    assert (found["differs"], found["passed"]) == (["max_claims", "documents"], True)


def test_no_label_stands_for_two_metrics():
    labels = {figure["name"]: figure["label"] for figure in compared(summary(MIXED), summary(MIXED))["metrics"]}
    assert list(labels) == NAMES
    assert len(set(labels.values())) == len(labels)
    assert labels["citation_recall"] == "citations: recall"
    assert labels["passage_mrr"] == "passages: MRR"
    assert labels["retrieved_mrr"] == "retrieved: MRR"
    assert labels["sentence_mrr"] == "sentences: MRR"
    assert (labels["right"], labels["refusal_recall"]) == ("right", "refusal recall")


# -- any two runs ------------------------------------------------------------------------------------------------------


def test_a_run_that_refuses_everything_does_not_pass():
    old = [*(row(n) for n in range(20)), *(unanswerable(20 + n) for n in range(10))]
    new = [*(refused(n) for n in range(20)), *(unanswerable(20 + n) for n in range(10))]
    found = compared(summary(new), summary(old))
    assert found["passed"] is False
    assert {f["name"] for f in found["metrics"] if f["guarded"] and f["verdict"] == "drop"} >= {"right", "over_refusal"}


def test_a_run_that_answers_everything_does_not_pass():
    old = [*(row(n) for n in range(20)), *(unanswerable(20 + n) for n in range(10))]
    new = [*(row(n) for n in range(20)), *(unanswerable(20 + n, answered=True) for n in range(10))]
    found = compared(summary(new), summary(old))
    assert found["passed"] is False
    dropped = {f["name"] for f in found["metrics"] if f["guarded"] and f["verdict"] == "drop"}
    assert dropped >= {"right", "refusal_recall"}


@settings(max_examples=25)
@given(ROWS, ROWS)
def test_any_two_runs_can_be_compared(one: list[Row], other: list[Row]):
    new, old = ([each | {"id": f"q{n}"} for n, each in enumerate(rows)] for rows in (one, other))
    found = compared(summary(new), summary(old))
    json.dumps(found, allow_nan=False)
    assert found["n"] == min(len(new), len(old))
    assert found["missing"] == max(0, len(old) - len(new))
    dropped = [figure for figure in found["metrics"] if figure["guarded"] and figure["verdict"] == "drop"]
    assert found["passed"] is (found["n"] > 0 and not found["missing"] and not dropped)
    for figure in found["metrics"]:
        assert figure["verdict"] in {"drop", "gain", "same", "none"}
        assert (figure["verdict"] == "none") <= (figure["old"] is None or figure["new"] is None)


@settings(max_examples=15)
@given(rows=ROWS.filter(bool), data=st.data())
def test_no_run_passes_in_which_an_outcome_turned_into_a_failure(rows: list[Row], data: st.DataObject):
    old = [each | {"id": f"q{n}"} for n, each in enumerate(rows)]
    fails = data.draw(st.integers(0, len(old) - 1))
    new = [failure_of(each) | {"asked": each["asked"]} if n == fails else each for n, each in enumerate(old)]
    assert compared(summary(new), summary(old))["passed"] is False
