"""The trained evidence model: a small transformer that reads the question and a passage together.

One forward pass a passage. Every sentence is preceded by a mark of its own, at which the model says whether it is
evidence; the first token says whether the passage answers at all; tokens say where the short answer begins and ends.
Knows nothing about indexes or answers. torch and transformers are imported at the first question, never earlier.
"""

import json
import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.encode import check_sha256
from rag.evidence import Candidate, PassageEvidence, SentenceEvidence
from rag.types import Span

MARK = 1  # [unused0] of BERT's vocabulary: stands before each sentence
CLS, SEP, PAD = 101, 102, 0
LABELS = ("answers", "evidence", "start", "end")  # what the four outputs of a token mean
MAX_PIECES = 320  # a passage has at most some 220 word pieces, a question seldom 40
MAX_QUESTION_PIECES = 64
_MAX_ANSWER_PIECES = 24
_BATCH = 3  # passages; small batches keep their numbers in the cache and the workers evenly busy


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and a passage as the model reads them.

    passage_at: where the passage begins. marks: position of each sentence's mark, None where the passage was cut before
    it. offsets: (sentence, start, end) in characters of the sentence for each word piece from passage_at on, None for
    marks and the like.
    """

    ids: tuple[int, ...]
    passage_at: int
    marks: tuple[int | None, ...]
    offsets: tuple[tuple[int, int, int] | None, ...]


def encode_pair(tokenizer: Any, question: str, sentences: Sequence[str]) -> Pair:
    """Return the word pieces of ``[CLS] question [SEP] mark sentence mark sentence … [SEP]``.

    tokenizer: of the tokenizers package, without truncation and padding. What is beyond MAX_PIECES is left out, whole
    sentences at the end first.
    """
    first, *rest = tokenizer.encode_batch([question, *sentences], add_special_tokens=False)
    ids = [CLS, *first.ids[:MAX_QUESTION_PIECES], SEP]
    passage_at = len(ids)
    marks: list[int | None] = []
    offsets: list[tuple[int, int, int] | None] = []
    for number, sentence in enumerate(rest):
        room = MAX_PIECES - 2 - len(ids)  # the mark and the last [SEP]
        if len(sentence.ids) > room and marks and (marks[-1] is None or room < len(sentence.ids) // 2):
            marks.append(None)
            continue
        marks.append(len(ids))
        ids += [MARK, *sentence.ids[:room]]
        offsets += [None, *((number, start, end) for start, end in sentence.offsets[:room])]
    return Pair((*ids, SEP), passage_at, tuple(marks), (*offsets, None))


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model says of one passage, as logits.

    answers: that the passage answers. evidence: that each sentence is evidence; a sentence that was cut off has -inf.
    spans: for each sentence its best short answer as (start, end, logit), in characters of the sentence; None without.
    """

    answers: float
    evidence: tuple[float, ...]
    spans: tuple[tuple[int, int, float] | None, ...]


class Reader:
    """The model's forward pass over one question and many passages; safe to share between threads.

    Passages go to single-threaded workers in batches of like length: one core that another program keeps busy would
    otherwise hold up all. bf16 where the processor has it, since that is two to three times as fast.
    """

    def __init__(self, folder: Path, *, threads: int = 0, bf16: bool | None = None) -> None:
        self._folder = folder
        self._threads = threads or _cores()
        self._bf16 = bf16
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Load the model now."""
        self.read("warm up", [["warm up"]])

    def read(self, question: str, passages: Sequence[Sequence[str]]) -> list[Reading]:
        """Return what the model says of each passage, given as its sentences, in the order given."""
        pairs = [encode_pair(self._tokenizer, question, sentences) for sentences in passages]
        order = sorted(range(len(pairs)), key=lambda i: -len(pairs[i].ids))
        parts = [order[i : i + _BATCH] for i in range(0, len(order), _BATCH)]
        read: dict[int, Reading] = {}
        with self._lock:  # the threads of one question are all that the processor has
            for part, found in zip(
                parts, self._pool.map(lambda p: self._run([pairs[i] for i in p]), parts), strict=True
            ):
                read.update(zip(part, found, strict=True))
        return [read[i] for i in range(len(pairs))]

    def _run(self, pairs: Sequence[Pair]) -> list[Reading]:
        import torch  # noqa: PLC0415 - seconds to import

        width = max(len(pair.ids) for pair in pairs)
        ids, types, mask = (torch.zeros((len(pairs), width), dtype=torch.long) for _ in range(3))
        for row, pair in enumerate(pairs):
            ids[row, : len(pair.ids)] = torch.tensor(pair.ids)
            types[row, pair.passage_at : len(pair.ids)] = 1
            mask[row, : len(pair.ids)] = 1
        with torch.inference_mode():
            logits = self._model(input_ids=ids, token_type_ids=types, attention_mask=mask).logits.float().numpy()
        return [_reading(pair, logits[row]) for row, pair in enumerate(pairs)]

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        import torch  # noqa: PLC0415 - seconds to import

        # the number of threads is a property of the calling thread
        return ThreadPoolExecutor(self._threads, "reader", initializer=torch.set_num_threads, initargs=(1,))

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer  # noqa: PLC0415 - comes with the model

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        import torch  # noqa: PLC0415 - seconds to import
        from transformers import BertForTokenClassification  # noqa: PLC0415 - seconds to import

        bf16 = _has_bf16() if self._bf16 is None else self._bf16
        kind = torch.bfloat16 if bf16 else torch.float32
        model: Any = BertForTokenClassification.from_pretrained(
            self._folder, dtype=kind, local_files_only=True, attn_implementation="eager"
        )
        return model.eval()


def _reading(pair: Pair, logits: NDArray[np.float32]) -> Reading:
    """logits: (n_pieces, 4) of one pair."""
    n_sentences = len(pair.marks)
    evidence = tuple(float(logits[mark, 1]) if mark is not None else -math.inf for mark in pair.marks)
    best: list[tuple[int, int, float] | None] = [None] * n_sentences
    places = [(at, place) for at, place in enumerate(pair.offsets, start=pair.passage_at) if place is not None]
    for i, (at, (sentence, start, _)) in enumerate(places):
        for to, (same, _, end) in places[i : i + _MAX_ANSWER_PIECES]:
            if same != sentence:
                break
            score = float(logits[at, 2] + logits[to, 3])
            known = best[sentence]
            if known is None or score > known[2]:
                best[sentence] = (start, end, score)
    return Reading(float(logits[0, 0]), evidence, tuple(best))


def _has_bf16() -> bool:
    import torch  # noqa: PLC0415 - seconds to import

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


FEATURES = (
    "answers",  # logit: the passage answers
    "evidence",  # logit: the sentence is evidence
    "share",  # log of the sentence's share among those of its passage
    "span",  # logit of its best short answer, beyond that of the passage's other sentences
    "similarity",
    "coverage",
    "reciprocal_rank",  # of its passage
    "answers_margin",  # each margin: how far behind the best of all that was read
    "evidence_margin",
    "similarity_margin",
    "coverage_margin",
)
_LOWEST = -12.0  # logit of a sentence that the model could not read


def features(candidates: Sequence[Candidate], readings: Sequence[Reading]) -> list[NDArray[np.float64]]:
    """Return (n_sentences, n_features) for each passage, what the model says and what retrieval says side by side."""
    rows = [_own_features(c, r, rank) for rank, (c, r) in enumerate(zip(candidates, readings, strict=True), start=1)]
    read = [row for row in rows if len(row)]
    if not read:
        return rows
    best = np.concatenate(read).max(axis=0)
    margins = [FEATURES.index(name.removesuffix("_margin")) for name in FEATURES if name.endswith("_margin")]
    return [np.hstack([row, row[:, margins] - best[margins]]) if len(row) else row for row in rows]


def _own_features(candidate: Candidate, reading: Reading, rank: int) -> NDArray[np.float64]:
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
    """The trained reader and retrieval, weighed by a logistic classifier that was fitted to be calibrated.

    Raises ModelUnavailable if the weights are not the bytes that the classifier was fitted to.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        weights = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
        self.name = str(weights["name"])
        self._weights = np.array([weights["weights"][name] for name in FEATURES])
        self._bias = float(weights["bias"])
        check_sha256(folder / "model.safetensors", str(weights["sha256"]), name=self.name)
        self._reader = Reader(folder, threads=threads)

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:
        """Return the evidence in each passage, in the order given."""
        texts = [[c.passage.quote(span) for span in c.passage.sentences] for c in candidates]
        readings = self._reader.read(question, texts)
        return [
            self._passage(candidate, reading, rows)
            for candidate, reading, rows in zip(candidates, readings, features(candidates, readings), strict=True)
        ]

    def _passage(self, candidate: Candidate, reading: Reading, rows: NDArray[np.float64]) -> PassageEvidence:
        passage = candidate.passage
        if not passage.sentences:
            return PassageEvidence(passage, 0.0, ())
        probabilities = 1.0 / (1.0 + np.exp(-(rows @ self._weights + self._bias)))
        sentences = tuple(
            SentenceEvidence(span, float(probability), _placed(span, answer))
            for span, probability, answer in zip(passage.sentences, probabilities, reading.spans, strict=True)
        )
        return PassageEvidence(passage, max(s.probability for s in sentences), sentences)


def _placed(sentence: Span, answer: tuple[int, int, float] | None) -> Span | None:
    return None if answer is None else Span(sentence.start + answer[0], sentence.start + answer[1])
