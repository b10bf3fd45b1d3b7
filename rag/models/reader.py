"""A small transformer that reads a question and a passage together: the forward pass of the trained evidence model.

Each passage takes one pass. The output at the mark before each sentence says whether the sentence is evidence, the
first token whether the passage answers at all, and the other tokens where the short answer begins and ends. torch and
transformers are imported only at the first question.
"""

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

from rag.errors import ModelUnavailable
from rag.models.encoder import bundled_folder
from rag.models.packed_weights import read_packed

CLS, PAD, SEP = 0, 1, 2
SHIFT = 4  # MPNet's vocabulary is four words of its own, then BERT's, which the bundled encoder uses
MARK = 1 + SHIFT  # [unused0]: stands before each sentence
LABELS = ("answers", "evidence", "start", "end")  # the four outputs of each token
MAX_PIECES = 320  # a passage has at most about 220 word pieces, a question seldom 40
MAX_QUESTION_PIECES = 64
_MAX_ANSWER_PIECES = 24


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """A question and a passage as the model reads them.

    passage_at: where the passage begins. marks: position of each sentence's mark, None if truncation dropped it.
    offsets: (sentence, start, end) for each word piece from passage_at on, in characters of the sentence; None for
    marks and other special tokens.
    """

    ids: tuple[int, ...]
    passage_at: int
    marks: tuple[int | None, ...]
    offsets: tuple[tuple[int, int, int] | None, ...]


def encode_pair(tokenizer: Any, question: str, sentences: Sequence[str]) -> EncodedPair:
    """Encode ``[CLS] question [SEP] mark sentence mark sentence … [SEP]`` as word pieces with MPNet's ids.

    tokenizer: the bundled encoder's, without truncation or padding. Anything beyond MAX_PIECES is dropped, whole
    sentences at the end first.
    """
    first, *rest = tokenizer.encode_batch([question, *sentences], add_special_tokens=False)
    ids = [CLS, *_shifted(first.ids[:MAX_QUESTION_PIECES]), SEP]
    passage_at = len(ids)
    marks: list[int | None] = []
    offsets: list[tuple[int, int, int] | None] = []
    for number, sentence in enumerate(rest):
        room = MAX_PIECES - 2 - len(ids)  # reserve the mark and the last [SEP]
        if len(sentence.ids) > room and marks and (marks[-1] is None or room < len(sentence.ids) // 2):
            marks.append(None)
            continue
        marks.append(len(ids))
        ids += [MARK, *_shifted(sentence.ids[:room])]
        offsets += [None, *((number, start, end) for start, end in sentence.offsets[:room])]
    return EncodedPair((*ids, SEP), passage_at, tuple(marks), (*offsets, None))


def _shifted(ids: Sequence[int]) -> list[int]:
    return [number + SHIFT for number in ids]


@dataclass(frozen=True, slots=True)
class ReaderOutput:
    """What the model says of one passage, as logits.

    answers: that the passage answers. evidence: that each sentence is evidence; -inf for a truncated sentence.
    spans: the best short answer in each sentence as (start, end, log probability among all spans of the passage), in
    characters of the sentence; None if there is none.
    """

    answers: float
    evidence: tuple[float, ...]
    spans: tuple[tuple[int, int, float] | None, ...]


class Reader:
    """The model's forward pass over questions and passages; safe to share between threads.

    Single-threaded workers take passages as they become free, because a core that another program keeps busy would
    stall a multi-threaded operation. In fp32 they take one passage at a time, in bf16 a batch of similar length, with
    the same number of batches for each worker. bf16 is used if the processor supports it: it is two to three times as
    fast.
    """

    def __init__(self, folder: Path, *, threads: int = 0, bf16: bool | None = None) -> None:
        self._folder = folder
        self._threads = threads or _cores()
        self._asked_for_bf16 = bf16
        self._lock = threading.Lock()

    def read(self, questions: Sequence[str], passages: Sequence[Sequence[str]]) -> list[ReaderOutput]:
        """Read each passage, given as sentences, with the question at the same index."""
        pairs = [encode_pair(self._tokenizer, q, texts) for q, texts in zip(questions, passages, strict=True)]
        order = sorted(range(len(pairs)), key=lambda i: -len(pairs[i].ids))
        n_parts = self._threads * math.ceil(len(order) / (self._threads * self._largest_batch))
        parts = [part.tolist() for part in np.array_split(order, min(n_parts, len(order)))] if order else []
        read: dict[int, ReaderOutput] = {}
        with self._lock:  # one question already uses every core
            for part, found in zip(
                parts, self._pool.map(lambda p: self._run([pairs[i] for i in p]), parts), strict=True
            ):
                read.update(zip(part, found, strict=True))
        return [read[i] for i in range(len(pairs))]

    def _run(self, pairs: Sequence[EncodedPair]) -> list[ReaderOutput]:
        import torch  # noqa: PLC0415 - seconds to import

        width = max(len(pair.ids) for pair in pairs)
        ids = torch.full((len(pairs), width), PAD)
        for row, pair in enumerate(pairs):
            ids[row, : len(pair.ids)] = torch.tensor(pair.ids)
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=(ids != PAD).long()).logits.float().numpy()
        return [_reading(pair, logits[row]) for row, pair in enumerate(pairs)]

    @cached_property
    def _bf16(self) -> bool:
        return has_bf16() if self._asked_for_bf16 is None else self._asked_for_bf16

    @property
    def _largest_batch(self) -> int:
        return 5 if self._bf16 else 1  # bf16 needs many rows to be fast; fp32 does not, and avoids padding this way

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        import torch  # noqa: PLC0415 - seconds to import

        # torch keeps the number of threads per calling thread
        return ThreadPoolExecutor(self._threads, "reader", initializer=torch.set_num_threads, initargs=(1,))

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer  # noqa: PLC0415 - comes with the model

        tokenizer = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))  # training did not change it
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        import torch  # noqa: PLC0415 - seconds to import
        from safetensors import SafetensorError  # noqa: PLC0415 - comes with the next
        from transformers import MPNetConfig, MPNetForTokenClassification  # noqa: PLC0415 - seconds to import
        from transformers.utils import logging as transformers_logging  # noqa: PLC0415 - comes with the above

        kind = torch.bfloat16 if self._bf16 else torch.float32
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # as in the encoder
        try:
            weights = read_packed(self._folder / "model.safetensors")
            loaded: Any = MPNetForTokenClassification.from_pretrained(
                None,
                config=MPNetConfig.from_pretrained(self._folder, local_files_only=True),
                state_dict={name: torch.from_numpy(value) for name, value in weights.items()},
                dtype=kind,
                output_loading_info=True,
            )
            model, found = loaded
            if any(found.values()):  # missing weights would be initialised at random
                raise ValueError(found)  # noqa: TRY301 - handled just below
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelUnavailable(
                f"evidence model: cannot be loaded from {self._folder.name}; install again"
            ) from error
        return model.eval()


def _reading(pair: EncodedPair, logits: NDArray[np.float32]) -> ReaderOutput:
    """Interpret the logits of one pair, of shape (n_pieces, 4)."""
    n_sentences = len(pair.marks)
    evidence = tuple(float(logits[mark, 1]) if mark is not None else -math.inf for mark in pair.marks)
    best: list[tuple[int, int, float] | None] = [None] * n_sentences
    inside = logits[pair.passage_at : len(pair.ids), 2:]
    rest = float(np.logaddexp.reduce(inside[:, 0]) + np.logaddexp.reduce(inside[:, 1]))
    places = [(at, place) for at, place in enumerate(pair.offsets, start=pair.passage_at) if place is not None]
    for i, (at, (sentence, start, _)) in enumerate(places):
        for to, (same, _, end) in places[i : i + _MAX_ANSWER_PIECES]:
            if same != sentence:
                break
            score = float(logits[at, 2] + logits[to, 3]) - rest
            known = best[sentence]
            if known is None or score > known[2]:
                best[sentence] = (start, end, score)
    return ReaderOutput(float(logits[0, 0]), evidence, tuple(best))


def has_bf16() -> bool:
    """Return whether the processor supports bf16; without it, torch runs bf16 about 20 times slower than fp32."""
    import torch  # noqa: PLC0415 - seconds to import

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
