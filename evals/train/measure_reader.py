"""Measure a trained reader on the articles held out from its training, a paragraph at a time.

    python -m evals.train.measure_reader MODEL_FOLDER EXAMPLES_FOLDER [--limit 600]

Two tasks: questions of SQuAD 2.0, half of them unanswerable on purpose, with their own paragraph (adversarial), and
answerable questions with their paragraph or with the best other one that the search found (natural). Prints JSON, with
95 % intervals from 300 bootstrap samples.
"""

import argparse
import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from rag.models.reader import Reader, ReaderOutput

TASKS = {
    "adversarial": ({"squad2_tune"}, {"given", "adversarial"}),
    "natural": ({"squadshifts_new_wiki", "nq_oracle"}, {"given", "searched"}),
    "natural_other": (
        {"squadshifts_reddit", "squadshifts_amazon_reviews", "policyqa_dev", "squad11_extra"},
        {"given", "searched"},
    ),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model said of one example."""

    row: dict[str, Any]
    reading: ReaderOutput

    @property
    def answers(self) -> float:
        """The probability that the passage answers."""
        return float(1 / (1 + np.exp(-self.reading.answers)))

    @property
    def right(self) -> bool:
        """Whether the likeliest sentence is right."""
        return int(np.argmax(self.reading.evidence)) in self.row["gold"]


def main() -> None:
    """Read, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=600, help="examples a task")
    arguments = parser.parse_args()
    with gzip.open(arguments.data / "dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    reader = Reader(arguments.model)
    for name, (sources, kinds) in TASKS.items():
        chosen = [r for r in rows if r["source"] in sources and r["kind"] in kinds]
        random.Random(0).shuffle(chosen)  # noqa: S311 - nothing secret
        judged = judge(reader, chosen[: arguments.limit])
        print(name, json.dumps(measure(judged)), flush=True)


def judge(reader: Reader, rows: Sequence[dict[str, Any]]) -> list[Judged]:
    """Let the model read each example."""
    return [Judged(row, reader.read([row["question"]], [row["sentences"]])[0]) for row in rows]


def measure(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the figures of a task, each as [value, low, high]."""
    labels = np.array([bool(j.row["gold"]) for j in judged])
    answers = np.array([j.answers for j in judged])
    sentence = np.array([max(j.reading.evidence) for j in judged])
    right = np.array([j.right for j in judged])
    figures: dict[str, Callable[[NDArray[np.int_]], float]] = {
        "auroc": lambda i: roc_auc_score(labels[i], answers[i]),
        "auroc_by_best_sentence": lambda i: roc_auc_score(labels[i], sentence[i]),
        "auroc_by_sum": lambda i: roc_auc_score(labels[i], (np.log(answers / (1 - answers)) + sentence)[i]),
        "right_sentence_first": lambda i: right[i][labels[i]].mean(),
        "joint_accuracy": lambda i: np.where(answers[i] >= 0.5, right[i] & labels[i], ~labels[i]).mean(),
        "ece": lambda i: calibration_error(answers[i], labels[i]),
        "aurc": lambda i: risk_coverage(answers[i], (right & labels)[i]),
    }
    return {"n": len(judged), "answerable": int(labels.sum())} | {
        n: interval(f, len(judged)) for n, f in figures.items()
    }


def interval(figure: Callable[[NDArray[np.int_]], float], size: int, *, samples: int = 300) -> list[float]:
    """Return a figure over everything, and the 2.5 % and 97.5 % points of its bootstrap distribution."""
    rng = np.random.default_rng(0)
    drawn = [figure(rng.integers(0, size, size)) for _ in range(samples)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [round(float(v), 3) for v in (figure(np.arange(size)), low, high)]


def calibration_error(probability: NDArray[np.float64], label: NDArray[np.bool_], *, bins: int = 10) -> float:
    """Return the expected calibration error: mean |confidence - accuracy| over bins of equal count."""
    parts = np.array_split(np.argsort(probability), bins)
    return float(sum(len(p) * abs(probability[p].mean() - label[p].mean()) for p in parts if len(p)) / len(label))


def risk_coverage(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the area under the risk-coverage curve: mean error among the n surest, over all n. Less is better."""
    wrong = ~right[np.argsort(-confidence, kind="stable")]
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


if __name__ == "__main__":
    main()
