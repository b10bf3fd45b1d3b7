"""A run against an earlier one, question by question: what changed, and whether the gate lets it pass.

Differences are paired: both runs are resampled together (bootstrap, 95 %), so that what the questions have in common
cancels out. How often chance alone fails the gate is in docs/decisions/0007.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from .metrics import Figures
from .scores import METRICS, N_RESAMPLES, ONLY_VALUES, Indices, Metric, Table, intervals, known

MIN_DROP = 0.01  # of a guarded metric: a smaller one, however sure, is not worth stopping anybody's work
_PREFIXED = {"citations", "passages", "retrieved", "sentences"}  # groups whose labels say too little alone


def compare(
    summary: Mapping[str, Any], baseline: Mapping[str, Any], *, n_resamples: int = N_RESAMPLES
) -> dict[str, Any]:
    """Return the paired differences of all metrics over the questions that both runs asked with the same gold.

    A guarded metric drops if it is worse by MIN_DROP or more and the whole 95 % interval of its difference is on the
    worse side, or if it has no value any more; one that must have a value drops if it has another, also over questions
    that the earlier run did not ask. ``missing``: questions of the baseline, of the split that was asked, that are
    gone or have other gold. ``differs``: settings and documents that are not as they were. ``passed``: something was
    compared, nothing is missing and nothing dropped.
    """
    rows, earlier = summary["questions"], baseline["questions"]
    before = {row["id"]: row for row in earlier}
    shared = [row for row in rows if before.get(row["id"], {}).get("asked") == row["asked"]]
    split = summary["made"].get("split", "all")
    missing = {row["id"] for row in earlier if split in {"all", row["split"]}} - {row["id"] for row in shared}
    new, old = Table(shared), Table([before[row["id"]] for row in shared])
    differences = {metric.name: partial(_difference, metric, new, old) for metric in METRICS}
    found = intervals(len(shared), differences, only_values=ONLY_VALUES, n_resamples=n_resamples)
    compared = [_compared(metric, new, old, Table(rows), found[metric.name]) for metric in METRICS]
    dropped = any(figure["guarded"] and figure["verdict"] == "drop" for figure in compared)
    return {
        "baseline_on": baseline["made"]["on"],
        "baseline_code": baseline["made"]["code"],
        "n": len(shared),
        "not_compared": len({row["id"] for row in [*rows, *earlier]}) - len(shared),
        "missing": len(missing),
        "differs": _differs(summary["made"], baseline["made"]),
        "metrics": compared,
        "passed": bool(shared) and not missing and not dropped,
    }


def _differs(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    settings = {**old.get("settings", {}), **new.get("settings", {})}
    named = [name for name in settings if old.get("settings", {}).get(name) != new.get("settings", {}).get(name)]
    return named + ["documents"] * (old.get("documents_sha256") != new.get("documents_sha256"))


def _difference(metric: Metric, new: Table, old: Table, at: Indices) -> Figures:
    return metric.compute(new, at) - metric.compute(old, at)


def _compared(
    metric: Metric, new: Table, old: Table, everything: Table, found: Mapping[str, float | None]
) -> dict[str, Any]:
    """Return what is told of a metric. everything: the new run, and not only what both asked; found: the difference."""
    now_over = new if metric.must_be is None else everything
    was, now = (float(metric.compute(table, np.arange(len(table)))) for table in (old, now_over))
    return {
        "name": metric.name,
        "label": f"{metric.group}: {metric.label}" if metric.group in _PREFIXED else metric.label,
        "old": known(was),
        "new": known(now),
        "difference": found["value"],
        "low": found["low"],
        "high": found["high"],
        "guarded": metric.guarded or metric.must_be is not None,
        "verdict": _verdict(metric, was, now, found),
    }


def _verdict(metric: Metric, was: float, now: float, found: Mapping[str, float | None]) -> str:
    """Return drop, gain, same, or none where there is nothing to compare."""
    if metric.must_be is not None and not math.isnan(now):
        return "same" if now == metric.must_be else "drop"
    if math.isnan(was) or math.isnan(now):
        is_guarded = metric.guarded or metric.must_be is not None
        return "drop" if is_guarded and math.isnan(now) and not math.isnan(was) else "none"
    value, low, high = found["value"], found["low"], found["high"]
    if value is None or low is None or high is None or low <= 0 <= high or abs(value) < MIN_DROP:
        return "same"
    return "gain" if (low > 0) == (metric.better == "higher") else "drop"
