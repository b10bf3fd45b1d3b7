"""The bundled evidence model: a logistic classifier over the trained reader's outputs and retrieval scores."""

import json
import math
from collections.abc import Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import SettingsError
from rag.models.encoder import check_sha256
from rag.models.evidence import Candidate, PassageEvidence, SentenceEvidence
from rag.models.reader import Reader, ReaderOutput
from rag.values import Span

WEIGHTS = Path(str(files("rag.models.weights")))
FEATURES = (
    "answers",  # logit: the passage answers
    "evidence",  # logit: the sentence is evidence
    "share",  # log of the sentence's share of the evidence in its passage
    "span",  # log score of its best short answer, minus the best of the passage's other sentences
    "similarity",
    "coverage",
    "reciprocal_rank",  # of its passage
    "answers_margin",  # each margin: difference to the best of all sentences read
    "evidence_margin",
    "similarity_margin",
    "coverage_margin",
)
_LOWEST = -12.0  # logit of a sentence that the model could not read
_SURE_OF_ANSWER = math.log(0.5)  # likelier than all other spans of the passage combined


def features(candidates: Sequence[Candidate], readings: Sequence[ReaderOutput]) -> list[NDArray[np.float64]]:
    """Return an (n_sentences, n_features) array per passage, combining the reader's outputs and retrieval scores."""
    rows = [_own_features(c, r, rank) for rank, (c, r) in enumerate(zip(candidates, readings, strict=True), start=1)]
    read = [row for row in rows if len(row)]
    if not read:
        return rows
    best = np.concatenate(read).max(axis=0)
    margins = [FEATURES.index(name.removesuffix("_margin")) for name in FEATURES if name.endswith("_margin")]
    return [np.hstack([row, row[:, margins] - best[margins]]) if len(row) else row for row in rows]


def _own_features(candidate: Candidate, reading: ReaderOutput, rank: int) -> NDArray[np.float64]:
    n_sentences = len(candidate.similarities)
    evidence = np.maximum(np.array(reading.evidence, dtype=float), _LOWEST)
    share = evidence - np.logaddexp.reduce(evidence) if n_sentences else evidence
    spans = np.array([span[2] if span else _LOWEST for span in reading.spans], dtype=float)
    others = np.array([np.delete(spans, i).max() if n_sentences > 1 else spans[i] for i in range(n_sentences)])
    columns = [
        np.full(n_sentences, max(reading.answers, _LOWEST)),
        evidence,
        np.maximum(share, _LOWEST),
        np.clip(spans - others, _LOWEST, -_LOWEST),
        np.array(candidate.similarities, dtype=float),
        np.array(candidate.coverages, dtype=float),
        np.full(n_sentences, 1.0 / rank),
    ]
    return np.stack(columns, axis=1)


class TrainedEvidence:
    """Combines the trained reader and retrieval scores with a calibrated logistic classifier.

    folder: holds the weights and decision.json; defaults to the bundled ones. The first read loads the weights and
    raises ModelUnavailable if they are not the ones that the classifier was fitted to.
    """

    def __init__(self, folder: Path | None = None, *, threads: int = 0) -> None:
        folder = folder or WEIGHTS
        weights = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
        self.name = str(weights["name"])
        self._weights = np.array([weights["weights"][name] for name in FEATURES])
        self._bias = float(weights["bias"])
        self._support = weights["support"]["slope"], weights["support"]["bias"]
        self._open = partial(_reader, folder, str(weights["sha256"]), threads)

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:
        """Return the evidence in each passage, in order."""
        texts = [[c.passage.quote(span) for span in c.passage.sentences] for c in candidates]
        readings = self._open().read([c.question or question for c in candidates], texts)
        return [
            self._passage(candidate, reading, rows)
            for candidate, reading, rows in zip(candidates, readings, features(candidates, readings), strict=True)
        ]

    def warm_up(self) -> None:
        """Verify and load the weights."""
        self.support("Warm up.", ["Warm up."])

    def support(self, statement: str, sentences: Sequence[str]) -> float:
        """Return the probability that these sentences, read as one passage, support the statement."""
        slope, bias = self._support
        (reading,) = self._open().read([statement], [sentences])
        return float(1.0 / (1.0 + np.exp(-(slope * reading.answers + bias))))

    def _passage(self, candidate: Candidate, reading: ReaderOutput, rows: NDArray[np.float64]) -> PassageEvidence:
        passage = candidate.passage
        if not passage.sentences:
            return PassageEvidence(passage, 0.0, ())
        probabilities = 1.0 / (1.0 + np.exp(-(rows @ self._weights + self._bias)))
        sentences = tuple(
            SentenceEvidence(span, float(probability), _placed(span, answer))
            for span, probability, answer in zip(passage.sentences, probabilities, reading.spans, strict=True)
        )
        return PassageEvidence(passage, max(s.probability for s in sentences), sentences)


@cache
def _reader(folder: Path, sha256: str, threads: int) -> Reader:
    """Return the shared reader of a folder, whose weights are verified and loaded once."""
    check_sha256(folder / "model.safetensors", sha256, name="evidence model")
    return Reader(folder, threads=threads)


def _placed(sentence: Span, answer: tuple[int, int, float] | None) -> Span | None:
    """Return the short answer's span in the document, if the reader is sure enough to mark it."""
    if answer is None or answer[2] < _SURE_OF_ANSWER or answer[0] == answer[1]:
        return None
    return Span(sentence.start + answer[0], sentence.start + answer[1])


def min_probability_for(max_error: float) -> float:
    """Return the lowest threshold at which at most this share of the trained model's answers is wrong.

    The threshold comes from the risk-coverage curve in decision.json, measured on development questions with
    out-of-sample predictions. Raises SettingsError if no measured threshold does that well.
    """
    if max_error == 1.0:
        return 0.0
    curve = json.loads((WEIGHTS / "decision.json").read_text(encoding="utf-8"))["risk"]
    for point in sorted(curve, key=lambda point: float(point["threshold"])):
        if point["wrong"] <= max_error:
            return float(point["threshold"])
    best = min(float(point["wrong"]) for point in curve)
    raise SettingsError(f"setting max_error is {max_error}: the lowest error measured is {best:.2f}; allow as much")
