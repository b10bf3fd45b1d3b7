"""How long a passage may be: limits in tokens, counted offline.

tiktoken would download its vocabulary on first use; this module points it at the file in the LlamaIndex wheel.
"""

import functools
import hashlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tiktoken

from rag.errors import InvalidValue, ModelUnavailable

MIN_LIMIT = 8  # one character can take four tokens; leave room for more than one
O200K_FILE = "fb374d419588a4632f3f557e76b4b70aebbca790"  # tiktoken's cache name: SHA-1 of the download URL
O200K_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


@dataclass(frozen=True, slots=True)
class Limit:
    """An upper bound on a passage: ``count(text)`` must be at most ``maximum``."""

    name: str
    count: Callable[[str], int]
    maximum: int

    def __post_init__(self) -> None:
        if self.maximum < MIN_LIMIT:
            raise InvalidValue(f"limit {self.name} is {self.maximum}; it is at least {MIN_LIMIT}")


def token_limit(maximum: int) -> Limit:
    """Return a limit in tokens of tiktoken's o200k_base. Raises ModelUnavailable if the vocabulary is missing."""
    _o200k()
    return Limit("tokens", count_tokens, maximum)


def count_tokens(text: str) -> int:
    """Return the number of tokens in a text, treating control tokens in it as ordinary text."""
    return len(_o200k().encode_ordinary(text))


@functools.cache
def _o200k() -> tiktoken.Encoding:
    """Load the vocabulary that llama-index-core ships, so that tiktoken downloads nothing.

    tiktoken deletes and re-downloads a cached file with a wrong hash. Checking the hash here first ensures that it only
    reads.
    """
    folder = _vocabulary_folder()
    try:
        raw = (folder / O200K_FILE).read_bytes()
    except OSError as error:
        raise ModelUnavailable(f"{folder / O200K_FILE}: cannot be read; reinstall llama-index-core") from error
    if hashlib.sha256(raw).hexdigest() != O200K_SHA256:
        raise ModelUnavailable(f"{folder / O200K_FILE}: not the o200k_base vocabulary; reinstall llama-index-core")
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        return tiktoken.get_encoding("o200k_base")
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _vocabulary_folder() -> Path:
    """Find the folder in llama-index-core without importing it, which takes seconds."""
    spec = importlib.util.find_spec("llama_index.core")
    if spec is None or spec.origin is None:
        raise ModelUnavailable("llama-index-core: not installed, and it carries the tokenizer's vocabulary; install it")
    return Path(spec.origin).parent / "_static" / "tiktoken_cache"
