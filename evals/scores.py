"""From judged questions to figures: every metric with its interval, and the paired difference to an earlier run.

Intervals are percentile bootstrap intervals over questions (Efron, 1979), at 95 %, from a fixed seed. They say how far
a figure could move with other questions of the same sort; they say nothing about other documents.
"""

import hashlib
import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import DegenerateDataWarning, binomtest, bootstrap

from evals import metrics
from evals.gold import Question
from evals.judge import LOST_AT, RANKS, Outcome

FORMAT = 1  # of a summary
N_RESAMPLES = 2_000
SEED = 7
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure over many questions.

    guarded: a significant drop against the baseline fails the gate. must_be: any other value fails it.
    """

    name: str
    group: Literal["overall", "answers", "citations", "abstention", "passages", "sentences"]
    label: str
    says: str
    compute: Callable[["Table", Indices], float]
    better: Literal["higher", "lower"] = "higher"
    guarded: bool = False
    must_be: float | None = None


class Table:
    """Outcomes as columns, so that a resample is an array of row numbers.

    A score that does not apply to a question is nan there.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows
        self.answerable = np.array([row["answerable"] for row in rows], dtype=bool)
        self.failed = np.array([row["failed"] for row in rows], dtype=bool)
        self.refused = np.array([not (row["answered"] or row["failed"]) for row in rows], dtype=bool)
        self.confidence = np.array([row["confidence"] for row in rows], dtype=float)
        self.confident_right = np.array([row["confident_right"] for row in rows], dtype=bool)
        names = sorted({name for row in rows for name in row["scores"]})
        self._scores = {name: np.array([row["scores"].get(name, np.nan) for row in rows]) for name in names}

    def __len__(self) -> int:
        return len(self.rows)

    def n_applies(self, name: str) -> int:
        """Return to how many questions a score applies; what is no score of single questions is of all of them."""
        return int((~np.isnan(self._scores[name])).sum()) if name in self._scores else len(self)

    def mean(self, name: str, at: Indices) -> float:
        """Return the mean of a score over the questions to which it applies; nan if there are none."""
        values = self._scores.get(name, np.full(len(self), np.nan))[at]
        applies = ~np.isnan(values)
        return float(values[applies].mean()) if applies.any() else math.nan


def _mean_of(name: str) -> Callable[[Table, Indices], float]:
    return lambda table, at: table.mean(name, at)


def _retrieval(group: Literal["passages", "sentences"], unit: str, what: str) -> list[Metric]:
    """Return the ranking metrics of one unit; ``what`` says which ranking it is."""
    guarded = unit == "passage"  # the ranking of sentences shows in the answers, which are guarded
    shares = [
        Metric(f"{unit}_recall@{k}", group, f"recall@{k}", f"needed evidence in the top {k} of the {what}",
               _mean_of(f"{unit}_recall@{k}"))
        for k in RANKS
    ]  # fmt: skip
    strict = [
        Metric(f"{unit}_all@{k}", group, f"all evidence@{k}", f"questions with all of it in the top {k} of the {what}",
               _mean_of(f"{unit}_all@{k}"), guarded=guarded and k == RANKS[-1])
        for k in RANKS
    ]  # fmt: skip
    return [
        *shares,
        *strict,
        Metric(f"{unit}_mrr", group, "MRR", f"1 / rank of the first of the {what} that holds evidence, mean",
               _mean_of(f"{unit}_mrr"), guarded=guarded),
        Metric(f"{unit}_ndcg@10", group, "nDCG@10", f"how near the order of the {what} is to the best one",
               _mean_of(f"{unit}_ndcg@10"), guarded=guarded),
    ]  # fmt: skip


METRICS: tuple[Metric, ...] = (
    Metric("right", "overall", "right", "answered with all expected facts and quoted evidence, or rightly refused",
           _mean_of("right"), guarded=True),
    Metric("facts", "answers", "all facts present", "answerable questions whose quotes hold every expected fact",
           _mean_of("facts"), guarded=True),
    Metric("token_f1", "answers", "token F1", "words shared by the quotes and the gold evidence, answerable questions",
           _mean_of("token_f1")),
    Metric("extra_sentences", "answers", "extra sentences", "quoted sentences without gold evidence, of given answers",
           _mean_of("extra_sentences"), better="lower"),
    Metric("citation_precision", "citations", "precision", "cited characters that are gold evidence, of given answers",
           _mean_of("citation_precision"), guarded=True),
    Metric("citation_recall", "citations", "recall", "characters of the needed evidence that are cited",
           _mean_of("citation_recall"), guarded=True),
    Metric("quotes_exact", "citations", "quotes exact", "quotes that are exactly what stands at their offsets",
           _mean_of("quotes_exact"), must_be=1.0),
    Metric("markers_resolve", "citations", "markers resolve", "markers that name one citation",
           _mean_of("markers_resolve"), must_be=1.0),
    Metric("refusal_precision", "abstention", "refusal precision", "refused questions that are unanswerable",
           lambda t, at: metrics.refusal_precision(t.refused[at], t.answerable[at], t.failed[at])),
    Metric("refusal_recall", "abstention", "refusal recall", "unanswerable questions that are refused",
           lambda t, at: metrics.refusal_recall(t.refused[at], t.answerable[at]), guarded=True),
    Metric("refusal_f1", "abstention", "refusal F1", "harmonic mean of refusal precision and recall",
           lambda t, at: metrics.refusal_f1(t.refused[at], t.answerable[at], t.failed[at])),
    Metric("over_refusal", "abstention", "over-refusal", "answerable questions that are refused",
           lambda t, at: metrics.over_refusal(t.refused[at], t.answerable[at], t.failed[at]),
           better="lower", guarded=True),
    Metric("auroc", "abstention", "AUROC", "how well the best sentence's probability tells answerable questions",
           lambda t, at: metrics.auroc(t.confidence[at], t.answerable[at])),
    Metric("aurc", "abstention", "AURC", "share of wrong best sentences, mean over all thresholds",
           lambda t, at: metrics.aurc(t.confidence[at], t.confident_right[at]), better="lower", guarded=True),
    Metric("ece", "abstention", "ECE", "distance between the best sentence's probability and how often it is right",
           lambda t, at: metrics.ece(t.confidence[at], t.confident_right[at]), better="lower"),
    *_retrieval("passages", "passage", "passages read"),
    *_retrieval("sentences", "sentence", "sentences by probability"),
)  # fmt: skip


def summarize(made: Mapping[str, Any], questions: Sequence[Question], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return everything that is known of a run as JSON: the figures, and what a later run needs for a comparison.

    made: what was measured, when and with what. Without a baseline yet: ``comparison`` is null.
    """
    rows = [_row(question, outcome) for question, outcome in zip(questions, outcomes, strict=True)]
    table = Table(rows)
    coverages, risks = metrics.risk_coverage(table.confidence, table.confident_right)
    answered = [outcome for outcome in outcomes if outcome.answered]
    lost = Counter(outcome.lost_at for outcome in outcomes)
    return {
        "format": FORMAT,
        "made": dict(made),
        "metrics": figures(rows),
        "kinds": _groups(outcomes, "kind"),
        "splits": _groups(outcomes, "split"),
        "lost": {stage: lost[stage] for stage in LOST_AT if lost[stage]},
        "risk_coverage": {"coverage": coverages.round(6).tolist(), "risk": risks.round(6).tolist()},
        "operating_point": {
            "coverage": share(len(answered), len(outcomes))["value"],
            "risk": share(sum(not outcome.right for outcome in answered), len(answered))["value"],
        },
        "reliability": [asdict(b) for b in metrics.reliability(table.confidence, table.confident_right)],
        "cost_ms": _cost_ms(outcomes),
        "comparison": None,
        "questions": rows,
    }


def _row(question: Question, outcome: Outcome) -> dict[str, Any]:
    """Return what a comparison needs of one question. asked: digest of the question and its gold."""
    places = [[(p.source, p.start, p.end) for p in part] for part in question.evidence]
    gold = (question.question, question.history, [fact.pattern for fact in question.facts], places)
    return {
        "id": outcome.id,
        "asked": hashlib.sha256(json.dumps(gold).encode()).hexdigest()[:12],
        "kind": outcome.kind,
        "split": outcome.split,
        "answerable": outcome.answerable,
        "failed": outcome.failed,
        "answered": outcome.answered,
        "lost_at": outcome.lost_at,
        "confidence": round(outcome.confidence, 6),
        "confident_right": outcome.confident_right,
        "scores": {name: round(value, 6) for name, value in outcome.scores.items()},
    }


def _groups(outcomes: Sequence[Outcome], name: Literal["kind", "split"]) -> list[dict[str, Any]]:
    """Return how each kind or split fared, in the order of the gold."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(getattr(outcome, name), []).append(outcome)
    return [
        {
            name: group,
            "n": len(members),
            "right": share(sum(outcome.right for outcome in members), len(members)),
            "refused": share(sum(outcome.refused for outcome in members), len(members))["value"],
            "lost": dict(Counter(outcome.lost_at for outcome in members if outcome.lost_at)),
        }
        for group, members in groups.items()
    ]


def share(part: int, whole: int) -> dict[str, float | None]:
    """Return a proportion with its 95 % Wilson interval (Wilson, 1927), which holds for few and for extreme ones."""
    if not whole:
        return {"value": None, "low": None, "high": None}
    interval = binomtest(part, whole).proportion_ci(method="wilson")
    return {"value": _known(part / whole), "low": _known(interval.low), "high": _known(interval.high)}


def _cost_ms(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Return median and 95th percentile of each stage, over the questions that reached it, and of all together."""
    spent: dict[str, list[float]] = {}
    for outcome in outcomes:
        for stage, ms in outcome.timings_ms.items():
            spent.setdefault(stage, []).append(ms)
        if outcome.timings_ms:
            spent.setdefault("total", []).append(sum(outcome.timings_ms.values()))
    total = spent.pop("total", None)
    stages = {**spent, **({"total": total} if total else {})}
    return {s: {"p50": round(float(np.median(ms)), 1), "p95": round(float(np.percentile(ms, 95)), 1)}
            for s, ms in stages.items()}  # fmt: skip


def figures(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return every metric with its interval; null where it applies to no question."""
    table = Table(rows)
    return [
        {
            "name": metric.name,
            "group": metric.group,
            "label": metric.label,
            "says": metric.says,
            **_interval(len(table), partial(metric.compute, table)),
            "n": table.n_applies(metric.name),
            "better": metric.better,
            "must_be": metric.must_be,
        }
        for metric in METRICS
    ]


def compare(summary: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, Any]:
    """Return the paired differences of all metrics over the questions that both runs asked with the same gold.

    A guarded metric drops if the whole 95 % interval of its difference is on the worse side; one that must have a value
    drops if it has another, also over questions that the earlier run did not ask. ``passed`` is whether anything could
    be compared and none of them drops.
    """
    rows, earlier = summary["questions"], baseline["questions"]
    before = {row["id"]: row for row in earlier}
    shared = [row for row in rows if before.get(row["id"], {}).get("asked") == row["asked"]]
    new, old = Table(shared), Table([before[row["id"]] for row in shared])
    compared = [_difference(metric, new, old, everything=Table(rows)) for metric in METRICS]
    return {
        "baseline_on": baseline["made"]["on"],
        "baseline_code": baseline["made"]["code"],
        "n": len(shared),
        "not_compared": len({row["id"] for row in [*rows, *earlier]}) - len(shared),
        "metrics": compared,
        "passed": bool(shared) and not any(found["guarded"] and found["verdict"] == "drop" for found in compared),
    }


def _difference(metric: Metric, new: Table, old: Table, *, everything: Table) -> dict[str, Any]:
    shared = np.arange(len(new))
    interval = _interval(len(new), lambda at: metric.compute(new, at) - metric.compute(old, at))
    now = metric.compute(everything, np.arange(len(everything)))
    return {
        "name": metric.name,
        "label": f"{metric.group}: {metric.label}"
        if metric.group in {"citations", "passages", "sentences"}
        else metric.label,
        "old": _known(metric.compute(old, shared)),
        "new": _known(metric.compute(new, shared) if metric.must_be is None else now),
        "difference": interval["value"],
        "low": interval["low"],
        "high": interval["high"],
        "guarded": metric.guarded or metric.must_be is not None,
        "verdict": _verdict(metric, now, interval),
    }


def _verdict(metric: Metric, now: float, interval: Mapping[str, float | None]) -> str:
    if metric.must_be is not None:
        return "same" if math.isnan(now) or now == metric.must_be else "drop"
    low, high = interval["low"], interval["high"]
    if low is None or high is None or low <= 0 <= high:
        return "same"
    return "gain" if (low > 0) == (metric.better == "higher") else "drop"


def _interval(n: int, statistic: Callable[[Indices], float]) -> dict[str, float | None]:
    """Return value, low and high of a statistic of row numbers; null where it is undefined.

    Resamples in which it is undefined (one without an unanswerable question has no refusal recall) are left out. The
    interval is widened to hold the value, from which the resamples of a biased statistic can stand off (ECE's do).
    """
    everything = np.arange(n)
    value = statistic(everything) if n else math.nan
    if math.isnan(value):
        return {"value": None, "low": None, "high": None}
    if n == 1:
        return {"value": _known(value), "low": None, "high": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # of its own interval, which has no use here
        resampled = bootstrap(
            (everything,), statistic, vectorized=False, n_resamples=N_RESAMPLES, method="percentile", rng=SEED
        ).bootstrap_distribution
    low, high = np.nanpercentile(resampled, (2.5, 97.5))
    return {"value": _known(value), "low": _known(min(value, float(low))), "high": _known(max(value, float(high)))}


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
