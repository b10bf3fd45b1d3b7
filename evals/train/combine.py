"""Fit the classifier that weighs the trained reader against retrieval, and measure both with the product's retrieval.

    python -m evals.train.combine MODEL_FOLDER READING_FOLDER [--questions 300] [--found CACHE.pkl] [--examples FOLDER]

Questions on held-out articles are asked of an index of all held-out paragraphs; of every third one the paragraphs that
hold its answer are taken away, which makes it a natural near-miss; those of SQuAD 2.0 are unanswerable on purpose. The
development questions over the seeds count, too; the test questions are only measured. Fitted are: all sentences first,
then the three likeliest of each question, among which the decision falls; then slope and bias (Platt, 1999) to how
often the likeliest sentence is right; and slope and bias of "supports this statement" to statements made of held-out
questions. Writes decision.json, and the weights, into OUT, the package's own folder of weights without.
"""

import argparse
import hashlib
import json
import pickle
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from evals.baselines import RetrievalScores
from evals.train import statements
from evals.train.measure_reader import calibration_error, risk_coverage
from evals.train.reading import Question, is_held_out, load
from rag import Settings
from rag.engine import Rag
from rag.index import Snapshot
from rag.models import Candidate, SentenceEncoder
from rag.models.reader import Reader
from rag.models.trained_evidence import FEATURES, WEIGHTS, features
from rag.retrieval import Filters, question_itself, retrieve

ROOT = Path(__file__).parents[2]
SOURCES = {"squad2_tune": 0.35, "squadshifts_new_wiki": 0.4, "nq_oracle": 0.25}  # shares of the questions asked
READER_ALONE = ("answers", "evidence", "share", "span", "answers_margin", "evidence_margin")
RETRIEVAL_ALONE = ("similarity", "coverage", "reciprocal_rank", "similarity_margin", "coverage_margin")
MIN_GIVEN = 20  # answers from which an error is measured; fewer say nothing
HARD = 5  # sentences a question that the second fit sees


@dataclass(frozen=True, slots=True)
class Found:
    """What retrieval found for one question. holds: whether each of the sentences, in order, answers."""

    question: str
    group: str
    kind: str
    answerable: bool
    candidates: tuple[Candidate, ...]
    holds: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was found for one question. features: (n_sentences, n_features). holds: whether a sentence answers."""

    group: str
    kind: str
    answerable: bool
    features: NDArray[np.float64]
    holds: NDArray[np.bool_]


def main() -> None:
    """Ask, fit, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--questions", type=int, default=300, help="on held-out articles")
    parser.add_argument("--found", type=Path, help="keep what retrieval found here; used if it is there")
    parser.add_argument("--examples", type=Path, required=True, help="folder of make_examples, for its statements")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--only-find", action="store_true", help="end when that is written")
    arguments = parser.parse_args()
    if arguments.found and arguments.found.exists():
        found = pickle.loads(arguments.found.read_bytes())  # noqa: S301 - written by this program
    else:
        encoder = SentenceEncoder()
        found = [*_find_gold(encoder), *_find_held_out(arguments.data, arguments.questions, encoder)]
        if arguments.found:
            arguments.found.write_bytes(pickle.dumps(found))
    if arguments.only_find:
        return
    reader = Reader(arguments.model)
    asked = [read(reader, f) for f in track(found, "reading")]
    dev = [a for a in asked if a.group != "gold-test"]
    weights, bias = fit(dev)
    measured = {g: measure([a for a in asked if a.group == g], weights, bias) for g in sorted({a.group for a in asked})}
    baseline = {g: [a for a in asked if a.group == g] for g in measured}
    probabilities = cross_validated(dev)
    decision = {
        "name": "trained-reader",
        "sha256": hashlib.sha256((arguments.model / "model.safetensors").read_bytes()).hexdigest(),
        "bias": round(bias, 4),
        "weights": {name: round(float(w), 4) for name, w in zip(FEATURES, weights, strict=True)},
        "measured": {
            "fitted": measured,
            "five_folds": by_group(dev, *probabilities),
            "five_folds_reader_alone": by_group(dev, *cross_validated(_only(dev, READER_ALONE))),
            "five_folds_retrieval_alone": by_group(dev, *cross_validated(_only(dev, RETRIEVAL_ALONE))),
            "baseline": {g: by_group(some, *_judged_by_baseline(some))[g] for g, some in baseline.items()},
        },
        "risk": risk(*probabilities),
        "support": fit_support(reader, arguments.examples),
    }
    arguments.out.mkdir(exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        if arguments.out != arguments.model:
            shutil.copy(arguments.model / name, arguments.out)
    (arguments.out / "decision.json").write_text(json.dumps(decision, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(decision, indent=1))


def read(reader: Reader, found: Found) -> Asked:
    """Let the model read what retrieval found."""
    texts = [[c.passage.quote(span) for span in c.passage.sentences] for c in found.candidates]
    rows = features(found.candidates, reader.read([c.question or found.question for c in found.candidates], texts))
    return Asked(found.group, found.kind, found.answerable, np.concatenate([r for r in rows if len(r)]), found.holds)


def fit_support(reader: Reader, examples: Path) -> dict[str, float]:
    """Return slope and bias for one half of the held-out statements, and how well they tell on the other."""
    made = statements.held_out(examples / "dev.jsonl.gz", limit=600)
    logits = np.array([reader.read([text], [sentences])[0].answers for text, sentences, _ in track(made, "statements")])
    labels = np.array([supported for _, _, supported in made])
    half = np.arange(len(made)) // 2 % 2 == 0  # pairs of a true and a false one
    platt = _logistic(logits[half][:, None], labels[half], c=100.0)
    slope, bias = float(platt.coef_[0][0]), float(platt.intercept_[0])
    probability = 1 / (1 + np.exp(-(slope * logits[~half] + bias)))
    return {
        "slope": round(slope, 4),
        "bias": round(bias, 4),
        "statements": int((~half).sum()),
        "supported": int(labels[~half].sum()),
        "auroc": round(float(roc_auc_score(labels[~half], probability)), 3),
        "accuracy": round(float(((probability >= 0.5) == labels[~half]).mean()), 3),
        "ece": round(calibration_error(probability, labels[~half]), 3),
    }


def _find_gold(encoder: SentenceEncoder) -> Iterator[Found]:
    lines = (ROOT / "evals" / "gold" / "seeds.jsonl").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder:
        rag = Rag(Settings(index_dir=Path(folder)), encoder=encoder, evidence=RetrievalScores())
        rag.ingest([ROOT / "seeds"])
        with rag.index.read() as opened:
            find = partial(_find, opened=opened, encoder=encoder)
            for question in (q for q in map(json.loads, lines) if not q["history"]):
                spans = [span for part in question["evidence"] for span in part]
                answers = [(s["source"], s["start"], s["end"]) for s in spans]
                group = f"gold-{question['split']}"
                yield find(question["question"], answers, group, question["kind"])
        rag.close()


def _find_held_out(data: Path, n_questions: int, encoder: SentenceEncoder) -> Iterator[Found]:
    held_out = [q for q in load(data) if is_held_out(q.paragraph.source, q.paragraph.title)]
    held_out = [q for q in held_out if q.paragraph.source in SOURCES]
    names = {text: f"{i:05d}.txt" for i, text in enumerate(dict.fromkeys(q.paragraph.text for q in held_out))}
    chosen: list[Question] = []
    for source, share in SOURCES.items():
        here = [q for q in held_out if q.paragraph.source == source]
        chosen += random.Random(0).sample(here, min(len(here), int(share * n_questions)))  # noqa: S311 - nothing secret
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for text, name in names.items():
            (corpus / name).write_text(text, encoding="utf-8")
        rag = Rag(Settings(index_dir=Path(folder, "index")), encoder=encoder, evidence=RetrievalScores())
        rag.ingest([corpus])
        with rag.index.read() as opened:
            find = partial(_find, opened=opened, encoder=encoder)
            for number, q in enumerate(chosen):
                source = names[q.paragraph.text]
                answers = [(source, a.start, a.end) for a in q.answers]
                group = "adversarial" if q.paragraph.source == "squad2_tune" else "natural"
                without: tuple[str, ...] = ()
                if group == "natural" and number % 3 == 0:
                    said = {a.cut(q.paragraph.text).casefold().strip(" .,") for a in q.answers}
                    without = tuple(n for text, n in names.items() if any(a in text.casefold() for a in said))
                    answers = []
                kind = "answerable" if answers else "unanswerable"
                yield find(q.text, answers, group, kind, without=without)
        rag.close()


def _find(
    question: str,
    answers: Sequence[tuple[str, int, int]],
    group: str,
    kind: str,
    *,
    opened: Snapshot,
    encoder: SentenceEncoder,
    without: Sequence[str] = (),
) -> Found:
    """Retrieve as the product does. answers: (source, start, end); without: sources not to be read."""
    settings = Settings()
    question = question_itself(question)
    top_k = settings.passages_read + 20 * bool(without)
    found = retrieve(
        question,
        snapshot=opened,
        encoder=encoder,
        filters=Filters(),
        candidates=max(settings.candidates, top_k),
        top_k=top_k,
    )
    kept = [c for c in found.candidates if c.passage.source not in without][: settings.passages_read]
    holds = []
    for candidate in kept:
        places = [(start, end) for source, start, end in answers if source == candidate.passage.source]
        holds += [any(s.start < end and start < s.end for start, end in places) for s in candidate.passage.sentences]
    return Found(question, group, kind, bool(answers), tuple(kept), np.array(holds))


def fit(asked: Sequence[Asked]) -> tuple[NDArray[np.float64], float]:
    """Return weights and bias."""
    x = np.concatenate([a.features for a in asked])
    scale = x.std(axis=0) + 1e-6
    weights = _logistic(x / scale, np.concatenate([a.holds for a in asked]), c=1.0).coef_[0] / scale
    hard = [np.argsort(-(a.features @ weights))[:HARD] for a in asked]
    x = np.concatenate([a.features[i] for a, i in zip(asked, hard, strict=True)])
    y = np.concatenate([a.holds[i] for a, i in zip(asked, hard, strict=True)])
    weights = _logistic(x / scale, y, c=0.3).coef_[0] / scale
    best, right = _best(asked, weights)
    platt = _logistic(best[:, None], right, c=100.0)
    return platt.coef_[0][0] * weights, float(platt.intercept_[0])


def _logistic(x: NDArray[np.float64], y: NDArray[np.bool_], *, c: float) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=2000).fit(x, y)


def _best(asked: Sequence[Asked], weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    scores = [a.features @ weights for a in asked]
    right = [a.holds[score.argmax()] for a, score in zip(asked, scores, strict=True)]
    return np.array([score.max() for score in scores]), np.array(right)


def measure(asked: Sequence[Asked], weights: NDArray[np.float64], bias: float) -> dict[str, Any]:
    """Measure at probability one half."""
    best, right = _best(asked, weights)
    return _figures(asked, 1 / (1 + np.exp(-(best + bias))), right)


def cross_validated(asked: Sequence[Asked]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return each question's probability and whether its likeliest sentence is right, as four other fifths fitted."""
    fold = np.random.default_rng(0).permutation(len(asked)) % 5
    probability, right = np.zeros(len(asked)), np.zeros(len(asked), dtype=bool)
    for n in range(5):
        weights, bias = fit([a for a, f in zip(asked, fold, strict=True) if f != n])
        inside = [int(i) for i in np.flatnonzero(fold == n)]
        best, right[inside] = _best([asked[i] for i in inside], weights)
        probability[inside] = 1 / (1 + np.exp(-(best + bias)))
    return probability, right


def by_group(
    asked: Sequence[Asked], probability: NDArray[np.float64], right: NDArray[np.bool_]
) -> dict[str, dict[str, Any]]:
    """Return the figures of each group, and for the seeds how many of each kind were handled rightly."""
    groups = np.array([a.group for a in asked])
    found = {}
    for group in sorted(set(groups)):
        inside = [int(i) for i in np.flatnonzero(groups == group)]
        found[group] = _figures([asked[i] for i in inside], probability[inside], right[inside])
    return found


def risk(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Return, for thresholds, what share of questions is answered and what share of the answers is wrong."""
    rows = []
    for threshold in np.arange(0.1, 0.96, 0.05):
        given = probability >= threshold
        if given.sum() < MIN_GIVEN:
            break
        error = float((~right[given]).mean())
        rows.append({"threshold": round(float(threshold), 2), "answered": round(float(given.mean()), 3)})
        rows[-1]["wrong"] = round(error, 3)
    return rows


def _only(asked: Sequence[Asked], names: Sequence[str]) -> list[Asked]:
    kept = np.array([name in names for name in FEATURES])
    return [replace(a, features=a.features * kept) for a in asked]


def _judged_by_baseline(asked: Sequence[Asked]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what the model of retrieval scores, which the reader has to beat, says of the same sentences."""
    stored = json.loads((ROOT / "evals" / "retrieval_scores.json").read_text(encoding="utf-8"))
    weights = np.array([stored.get(name, 0.0) for name in FEATURES])
    best, right = _best(asked, weights)
    return 1 / (1 + np.exp(-(best + stored["bias"]))), right


def _figures(asked: Sequence[Asked], probability: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, Any]:
    answerable = np.array([a.answerable for a in asked])
    given = probability >= 0.5
    handled = np.where(given, right, ~answerable)
    kinds = np.array([a.kind for a in asked])
    return {
        "questions": len(asked),
        "answerable": int(answerable.sum()),
        **{
            name: round(float(value), 3)
            for name, value in {
                "handled_rightly": handled.mean(),
                "right_among_answers": right[given].mean() if given.any() else 0.0,
                "answered_of_answerable": given[answerable].mean(),
                "refused_of_unanswerable": (~given[~answerable]).mean() if not answerable.all() else 1.0,
                "right_sentence_first": right[answerable].mean(),
                "auroc_answerable": roc_auc_score(answerable, probability),
                "ece": calibration_error(probability, right),
                "aurc": risk_coverage(probability, right),
            }.items()
        },
        "by_kind": {kind: round(float(handled[kinds == kind].mean()), 3) for kind in sorted(set(kinds))},
    }


if __name__ == "__main__":
    main()
