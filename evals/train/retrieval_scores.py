"""Fit the baseline evidence model: two retrieval scores to the probability that a sentence answers.

    python -m evals.train.retrieval_scores squad2_tune.jsonl.gz

First the direction: questions of SQuAD 2.0's schema, one object a line, are asked of an index of all their paragraphs,
and a logistic model tells the sentence that holds the answer from the others that retrieval brought. Articles of the
first half fit it, those of the second half measure it. Then the meaning of the number: half of those questions are
unanswerable by design, which no reader's questions are, so slope and bias are fitted anew (Platt, 1999) to how often
the likeliest sentence is right for the development questions of evals/gold, follow-ups left out. Writes
evals/retrieval_scores.json.
"""

import argparse
import datetime as dt
import gzip
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from rag import Settings
from rag.engine import Rag
from rag.index import Snapshot
from rag.models import SentenceEncoder
from rag.retrieval import Filters, retrieve

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "evals" / "retrieval_scores.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What retrieval gave for one question.

    group: article or split. features: (n_sentences, 2), similarity and coverage. holds: whether a sentence answers.
    """

    group: str
    answerable: bool
    features: NDArray[np.float64]
    holds: NDArray[np.bool_]


def main() -> None:
    """Fit, calibrate, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="SQuAD 2.0-like questions, .jsonl.gz")
    arguments = parser.parse_args()
    with gzip.open(arguments.data, "rt", encoding="utf-8") as lines:
        questions = [json.loads(line) for line in lines]
    encoder = SentenceEncoder()
    asked = list(_ask_squad(questions, encoder))
    articles = sorted({a.group for a in asked})
    fitted_on = articles[: len(articles) // 2]
    direction = _fit([a for a in asked if a.group in fitted_on])
    gold = list(_ask_gold(encoder))
    dev = [a for a in gold if a.group == "dev"]
    slope, bias = _platt(direction, dev)
    similarity, coverage = slope * direction
    weights = {
        "bias": round(bias, 4),
        "similarity": round(float(similarity), 4),
        "coverage": round(float(coverage), 4),
        "measured": {
            "squad2_held_out": _measure(direction, slope, bias, [a for a in asked if a.group not in fitted_on]),
            "gold_dev": _measure(direction, slope, bias, dev),
            "gold_test": _measure(direction, slope, bias, [a for a in gold if a.group == "test"]),
        },
        "data": {
            "file": arguments.data.name,
            "sha256": hashlib.sha256(arguments.data.read_bytes()).hexdigest(),
            "source": "SQuAD 2.0 dev (Rajpurkar et al., ACL 2018), CC BY-SA 4.0; no text of it is kept here",
            "fitted_on": fitted_on,
        },
        "made": {
            "by": "python -m evals.train.retrieval_scores squad2_tune.jsonl.gz",
            "on": dt.date.today().isoformat(),
        },
    }
    WEIGHTS.write_text(json.dumps(weights, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(weights, indent=2))


def _ask_squad(questions: Sequence[dict[str, Any]], encoder: SentenceEncoder) -> Iterator[Asked]:
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        names = {context: f"{i:05d}.txt" for i, context in enumerate(dict.fromkeys(q["context"] for q in questions))}
        for context, name in names.items():
            (corpus / name).write_text(context, encoding="utf-8")
        with _indexed(corpus, Path(folder, "index"), encoder) as reading:
            for question in track(questions, "SQuAD 2.0"):
                source = names[question["context"]]
                answers = [(source, a["start"], a["start"] + len(a["text"])) for a in question["answers"]]
                yield _asked(question["question"], answers, question["title"], reading, encoder)


def _ask_gold(encoder: SentenceEncoder) -> Iterator[Asked]:
    lines = (ROOT / "evals" / "gold" / "seeds.jsonl").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder, _indexed(ROOT / "seeds", Path(folder, "index"), encoder) as reading:
        questions = [question for question in map(json.loads, lines) if not question["history"]]
        for question in track(questions, "gold"):
            spans = [span for part in question["evidence"] for span in part]
            answers = [(span["source"], span["start"], span["end"]) for span in spans]
            yield _asked(question["question"], answers, question["split"], reading, encoder)


@contextmanager
def _indexed(corpus: Path, index: Path, encoder: SentenceEncoder) -> Iterator[Snapshot]:
    rag = Rag(Settings(index_dir=index), encoder=encoder)
    rag.ingest([corpus])
    with rag.index.read() as reading:
        yield reading
    rag.close()


def _asked(
    question: str, answers: Sequence[tuple[str, int, int]], group: str, reading: Snapshot, encoder: SentenceEncoder
) -> Asked:
    """Retrieve as the product does. answers: (source, start, end) of places that answer; empty if none does."""
    settings = Settings()
    found = retrieve(
        question,
        snapshot=reading,
        encoder=encoder,
        filters=Filters(),
        candidates=settings.candidates,
        top_k=settings.passages_read,
    )
    rows, holds = [], []
    for candidate in found.candidates:
        places = [(start, end) for source, start, end in answers if source == candidate.passage.source]
        scores = zip(candidate.passage.sentences, candidate.similarities, candidate.coverages, strict=True)
        for span, similarity, coverage in scores:
            rows.append((similarity, coverage))
            holds.append(any(span.start < end and start < span.end for start, end in places))
    return Asked(group, bool(answers), np.array(rows), np.array(holds))


def _fit(asked: Sequence[Asked]) -> NDArray[np.float64]:
    features = np.concatenate([a.features for a in asked])
    holds = np.concatenate([a.holds for a in asked])
    return np.asarray(LogisticRegression(C=100.0, max_iter=1000).fit(features, holds).coef_[0])


def _best(direction: NDArray[np.float64], asked: Sequence[Asked]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return, for each question, the score of the likeliest sentence and whether that sentence is right."""
    scores = [a.features @ direction for a in asked]
    right = [a.holds[score.argmax()] for a, score in zip(asked, scores, strict=True)]
    return np.array([score.max() for score in scores]), np.array(right)


def _platt(direction: NDArray[np.float64], asked: Sequence[Asked]) -> tuple[float, float]:
    best, right = _best(direction, asked)
    model = LogisticRegression(C=100.0).fit(best[:, None], right)
    return float(model.coef_[0][0]), float(model.intercept_[0])


def _measure(direction: NDArray[np.float64], slope: float, bias: float, asked: Sequence[Asked]) -> dict[str, float]:
    """Measure at probability one half: answered where the likeliest sentence is more probably right than wrong."""
    best, right = _best(direction, asked)
    answerable = np.array([a.answerable for a in asked])
    given = slope * best + bias >= 0
    measured = {
        "questions": len(asked),
        "answerable": int(answerable.sum()),
        "handled_rightly": np.where(given, right, ~answerable).mean(),
        "right_among_answers": right[given].mean() if given.any() else 0.0,
        "answered_of_answerable": given[answerable].mean(),
        "refused_of_unanswerable": (~given[~answerable]).mean(),
        "right_sentence_first": right[answerable].mean(),
        "auroc_answerable": roc_auc_score(answerable, best),
    }
    return {name: round(float(value), 3) for name, value in measured.items()}


if __name__ == "__main__":
    main()
