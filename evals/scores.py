"""From judged questions to figures: every metric with its interval, and the paired difference to an earlier run.

Intervals are percentile bootstrap intervals over questions (Efron, 1979), at 95 %, from a fixed seed. They say how far
a figure could move with other questions of the same sort; they say nothing about other documents. Over 300 lines, as
the table of metrics should stand beside what it is made of.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from . import metrics
from .gold import Question
from .judge import LOST_AT, NEAREST_RANKS, RANKS, Outcome
from .metrics import Figures

FORMAT = 1  # of a summary
N_RESAMPLES = 2_000
SEED = 7
AT_ONCE = 2_000_000  # row numbers of resamples: 16 MB of them, and as much for each column that is looked up
Indices = NDArray[np.int64]  # row numbers, (..., n): a figure is one of each last axis
Flags = NDArray[np.bool_]


Group = Literal["overall", "answers", "citations", "abstention", "passages", "retrieved", "sentences"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure over many questions.

    over: marks the questions it is about. guarded: a significant drop against the baseline fails the gate. must_be: any
    other value fails it. has_interval: not where resampling would be biased.
    """

    name: str
    group: Group
    label: str
    says: str
    compute: Callable[["Table", Indices], Figures]
    over: Callable[["Table"], Flags]
    better: Literal["higher", "lower"] = "higher"
    guarded: bool = False
    must_be: float | None = None
    has_interval: bool = True


class Table:
    """Outcomes as columns, so that a resample is an array of row numbers, and many are one of (n_resamples, n).

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

    def score(self, name: str) -> NDArray[np.float64]:
        """Return a score of every question."""
        return self._scores.get(name, np.full(len(self), np.nan))

    def mean(self, name: str, at: Indices) -> Figures:
        """Return the mean of a score over the questions to which it applies; nan if there are none."""
        values = self.score(name)
        applies = ~np.isnan(values)
        return metrics.ratio(np.where(applies, values, 0.0)[at].sum(axis=-1), np.count_nonzero(applies[at], axis=-1))

    @property
    def sureness(self) -> NDArray[np.float64]:
        """How sure the engine was that there is an answer; a failure is taken for the opposite of what was right."""
        return np.where(self.failed & self.answerable, 0.0, self.confidence)


def _mean(name: str, group: Group, label: str, says: str, **more: Any) -> Metric:
    """Return a metric that is the mean of a score of single questions."""
    return Metric(
        name,
        group,
        label,
        says,
        compute=lambda table, at: table.mean(name, at),
        over=lambda table: ~np.isnan(table.score(name)),
        **more,
    )


def _refusals(name: str, label: str, says: str, measure: Callable[..., Figures], over: str, **more: Any) -> Metric:
    """Return a metric of refusals. over: the questions it is about; a failure counts as a wrong refusal."""
    marks: dict[str, Callable[[Table], Flags]] = {
        "answerable": lambda table: table.answerable,
        "unanswerable": lambda table: ~table.answerable,
        "refused": lambda table: table.refused | (table.failed & table.answerable),
        "refused or unanswerable": lambda table: table.refused | table.failed | ~table.answerable,
    }

    def compute(table: Table, at: Indices) -> Figures:
        return measure(table.refused[at], table.answerable[at], table.failed[at])

    return Metric(name, "abstention", label, says, compute, marks[over], **more)


def _confidence(name: str, label: str, says: str, compute: Callable[[Table, Indices], Figures], **more: Any) -> Metric:
    """Return a metric of the probability of the likeliest sentence."""
    return Metric(name, "abstention", label, says, compute, lambda table: np.ones(len(table), dtype=bool), **more)


def _ranking(group: Group, unit: str, what: str, *, guarded: bool = False) -> list[Metric]:
    """Return the metrics of a ranking; ``what`` says of which."""
    last = RANKS[-1]
    return [
        *(
            _mean(f"{unit}_recall@{k}", group, f"recall@{k}", f"needed evidence in the top {k} of {what}")
            for k in RANKS
        ),
        *(
            _mean(
                f"{unit}_all@{k}",
                group,
                f"all evidence@{k}",
                f"questions with all of it in the top {k} of {what}",
                guarded=guarded and k == last,
            )
            for k in RANKS
        ),
        _mean(f"{unit}_mrr", group, "MRR", f"1 / rank of the first of {what} that holds evidence", guarded=guarded),
        _mean(f"{unit}_ndcg@10", group, "nDCG@10", f"how near the order of {what} is to the best", guarded=guarded),
    ]


def _ece(table: Table, at: Indices) -> Figures:
    """Count failures apart, each as wrong as can be: among others they could make up for too little confidence."""
    failed, confidence, right = table.failed[at], table.confidence[at], table.confident_right[at]
    if failed.all():
        return np.float64(1.0 if len(at) else math.nan)
    rest = ~failed
    return np.float64(failed.mean() + rest.mean() * metrics.ece(confidence[rest], right[rest]))


# fmt: off
METRICS: tuple[Metric, ...] = (
    _mean("right", "overall", "right", "answered with all expected facts and quoted evidence, or rightly refused",
          guarded=True),
    _mean("failed", "overall", "failed", "questions that ended in an error; each is wrong in every other figure",
          better="lower", must_be=0.0),
    _mean("facts", "answers", "all facts present", "answerable questions whose quotes hold every expected fact",
          guarded=True),
    _mean("token_f1", "answers", "token F1", "words shared by quotes and gold evidence, answerable questions"),
    _mean("extra_sentences", "answers", "extra sentences", "quoted sentences without gold evidence, a failure as all",
          better="lower"),
    _mean("citation_precision", "citations", "precision", "cited characters that are gold evidence, a failure as none",
          guarded=True),
    _mean("citation_recall", "citations", "recall", "characters of the needed evidence that are cited", guarded=True),
    _mean("quotes_exact", "citations", "quotes exact", "quotes that are exactly what stands at their offsets",
          must_be=1.0),
    _mean("markers_resolve", "citations", "markers resolve", "claims whose markers each name one citation",
          must_be=1.0),
    _refusals("refusal_precision", "refusal precision", "refused questions that are unanswerable",
              metrics.refusal_precision, "refused"),
    _refusals("refusal_recall", "refusal recall", "unanswerable questions that are refused",
              lambda refused, answerable, _: metrics.refusal_recall(refused, answerable), "unanswerable", guarded=True),
    _refusals("refusal_f1", "refusal F1", "harmonic mean of refusal precision and recall",
              metrics.refusal_f1, "refused or unanswerable"),
    _refusals("over_refusal", "over-refusal", "answerable questions that are refused, or failed",
              metrics.over_refusal, "answerable", better="lower", guarded=True),
    *(_mean(f"nearest@{k}", "abstention", f"nearest@{k}", "answerable questions refused, or failed, with some of "
            f"the evidence in the top {k} of the sentences shown all the same") for k in NEAREST_RANKS),
    _confidence("auroc", "AUROC", "how well the best sentence's probability tells answerable questions",
                lambda t, at: metrics.auroc(t.sureness[at], t.answerable[at])),
    _confidence("aurc", "AURC", "share of wrong best sentences, mean over all thresholds",
                lambda t, at: metrics.aurc(t.confidence[at], t.confident_right[at]), better="lower", guarded=True),
    _confidence("ece", "ECE", "distance of the best sentence's probability from how often it is right",
                _ece, better="lower", has_interval=False),
    *_ranking("passages", "passage", "the passages read", guarded=True),
    *_ranking("retrieved", "retrieved", "the sentences as retrieved"),
    *_ranking("sentences", "sentence", "the sentences by probability"),
)
# fmt: on
ONLY_VALUES = frozenset(metric.name for metric in METRICS if not metric.has_interval)


def summarize(
    made: Mapping[str, Any],
    questions: Sequence[Question],
    outcomes: Sequence[Outcome],
    *,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, Any]:
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
        "metrics": figures(rows, n_resamples=n_resamples),
        "kinds": _groups(outcomes, "kind"),
        "splits": _groups(outcomes, "split"),
        "lost": {stage: lost[stage] for stage in LOST_AT if lost[stage]},
        "risk_coverage": {"coverage": coverages.round(6).tolist(), "risk": risks.round(6).tolist()},
        "operating_point": {
            "coverage": share(len(answered), len(outcomes))["value"],
            "risk": share(sum(not outcome.confident_right for outcome in answered), len(answered))["value"],
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
            "scores": _means(members),
        }
        for group, members in groups.items()
    ]


def _means(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the mean of every score over the questions to which it applies."""
    names = dict.fromkeys(name for outcome in outcomes for name in outcome.scores)
    values = {name: [o.scores[name] for o in outcomes if name in o.scores] for name in names}
    return {name: round(sum(found) / len(found), 6) for name, found in values.items()}


def share(part: int, whole: int) -> dict[str, float | None]:
    """Return a proportion with its 95 % Wilson interval (Wilson, 1927), which holds for few and for extreme ones."""
    if not whole:
        return {"value": None, "low": None, "high": None}
    interval = binomtest(part, whole).proportion_ci(method="wilson")
    return {"value": known(part / whole), "low": known(interval.low), "high": known(interval.high)}


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


def figures(rows: Sequence[Mapping[str, Any]], *, n_resamples: int = N_RESAMPLES) -> list[dict[str, Any]]:
    """Return every metric with its interval and how many questions it is about; null where these are none."""
    table = Table(rows)
    statistics = {metric.name: partial(metric.compute, table) for metric in METRICS}
    found = intervals(len(table), statistics, only_values=ONLY_VALUES, n_resamples=n_resamples)
    return [
        {
            "name": metric.name,
            "group": metric.group,
            "label": metric.label,
            "says": metric.says,
            **found[metric.name],
            "n": int(metric.over(table).sum()),
            "better": metric.better,
            "must_be": metric.must_be,
        }
        for metric in METRICS
    ]


def intervals(
    n: int,
    statistics: Mapping[str, Callable[[Indices], Figures]],
    *,
    only_values: Collection[str] = (),
    n_resamples: int = N_RESAMPLES,
) -> dict[str, dict[str, float | None]]:
    """Return value, low and high of each statistic of row numbers; null where it is undefined.

    statistics: by name; each takes row numbers (..., n) and returns a figure for every last axis. only_values: names of
    those that get no interval. Resamples in which a statistic is undefined (one without an unanswerable question has no
    refusal recall) are left out.
    """
    values = {name: float(of(np.arange(n))) if n else math.nan for name, of in statistics.items()}
    drawn: dict[str, list[Figures]] = {
        name: [] for name, value in values.items() if n > 1 and not math.isnan(value) and name not in only_values
    }
    for at in resamples(n, n_resamples) if drawn else ():
        for name, found in drawn.items():
            found.append(statistics[name](at))
    ends = {name: np.nanpercentile(np.concatenate(found), (2.5, 97.5)) for name, found in drawn.items()}
    unknown = (math.nan, math.nan)
    return {
        name: {"value": known(value), **dict(zip(("low", "high"), map(known, ends.get(name, unknown)), strict=True))}
        for name, value in values.items()
    }


def resamples(n: int, n_resamples: int, *, at_once: int = AT_ONCE) -> Iterator[Indices]:
    """Yield row numbers drawn with replacement, (some, n) at a time, the same whatever fits at once."""
    rng = np.random.default_rng(SEED)
    some = max(1, at_once // n)
    for first in range(0, n_resamples, some):
        yield rng.integers(0, n, (min(some, n_resamples - first), n))


def known(value: float) -> float | None:
    """Return a number as JSON takes it: rounded, null for nan."""
    return None if math.isnan(value) else round(value, 6)
