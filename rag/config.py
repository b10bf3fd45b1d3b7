"""All settings, flat and frozen. Each comes from an argument, from ``RAG_<NAME>`` in the environment or a default.

An unknown ``RAG_…`` variable is an error, so that a typo does not silently fall back to the default.
"""

import difflib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from rag.errors import SettingsError
from rag.question_options import MAX_TOP_K

BUNDLED_ENCODER = "all-MiniLM-L6-v2"
SHAPING = ("encoder", "max_passage_tokens", "overlap_sentences")
SECRET = frozenset({"llm_api_key", "auth"})  # must not leave the settings except to the one place that needs them
NOT_ANSWERING = SECRET | {"index_dir", "host", "port", "llm_timeout_s"}  # settings that cannot change an answer


class Settings(BaseSettings):
    """How Footnote works; ``SHAPING`` names the settings that an existing index was built with."""

    model_config = SettingsConfigDict(env_prefix="RAG_", frozen=True, extra="forbid", env_ignore_empty=True)

    index_dir: Path = Field(Path(".footnote"), description="folder of the index; relative to the working directory")
    encoder: str = Field(
        BUNDLED_ENCODER,
        min_length=1,
        description="sentence-transformers model: the bundled one needs no network; else a folder or a hub name",
    )
    max_passage_tokens: int = Field(
        200, ge=32, le=512, description="tiktoken tokens a passage; 200 stays below MiniLM's 256 word pieces in English"
    )
    overlap_sentences: int = Field(
        1, ge=0, le=3, description="sentences repeated from the passage before; 1 keeps 'He added that' readable"
    )
    threads: int = Field(0, ge=0, le=256, description="torch threads; 0 means one for each core this process may use")
    max_file_mb: int = Field(50, ge=1, le=4096, description="megabytes; a larger file is refused rather than read")
    top_k: int = Field(10, ge=1, le=MAX_TOP_K, description="hits that a search returns when the caller names no number")
    candidates: int = Field(
        50, ge=5, le=500, description="units taken from each ranking before fusion; beyond 50 the seeds gain nothing"
    )
    passages_read: int = Field(
        4,
        ge=1,
        le=50,
        description="passages the evidence model reads; a tenth of a second each, and more of them answer hardly more",
    )
    min_probability: float = Field(
        0.42,
        ge=0.0,
        le=1.0,
        description="the likeliest sentence answers from this probability on; see docs/decisions/0013",
    )
    max_error: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="share of the answers given that may be wrong, by the curve measured on the development questions; "
        "it can only raise min_probability, and 1 leaves that alone",
    )
    max_claims: int = Field(3, ge=1, le=10, description="quotes an answer may have; a fact needs one, a comparison two")
    max_question_chars: int = Field(
        2000, ge=10, le=100_000, description="characters; the encoder reads about 1,000 and a longer one is a document"
    )
    llm_base_url: str = Field(
        "",
        pattern=r"^(https?://\S+|anthropic)?$",
        description="where a language model writes answers: an OpenAI-compatible endpoint such as "
        "http://127.0.0.1:11434/v1, or the word anthropic; empty means that answers are quotes",
    )
    llm_model: str = Field("", description="name of the model at llm_base_url; empty means that answers are quotes")
    llm_api_key: SecretStr = Field(
        SecretStr(""), description="key for llm_base_url, which gets it and nobody else; never logged, hashed or shown"
    )
    llm_timeout_s: float = Field(
        60.0,
        gt=0.0,
        le=3600.0,
        description="seconds a model may be silent, before its first word or between two; a slow laptop reads some "
        "3,000 tokens in that time",
    )
    auth: SecretStr = Field(
        SecretStr(""),
        description="who may use the page: user:password pairs separated by commas, or the path of a file with one a "
        "line; empty means everybody who reaches it",
    )
    host: str = Field(
        "127.0.0.1", min_length=1, description="address of the page; loopback, since the page has no login by default"
    )
    port: int = Field(7860, ge=1, le=65535, description="port of the page; Gradio's usual one")

    def __init__(self, **values: Any) -> None:
        unknown = [name for name in values if name not in type(self).model_fields]
        unknown += [
            key
            for key in os.environ
            if key.upper().startswith("RAG_") and key[4:].lower() not in type(self).model_fields
        ]
        if unknown:
            raise SettingsError(_unknown(unknown[0], list(type(self).model_fields)))
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            if name in SECRET or "@" in str(first.get("input")):  # a URL may contain a password
                raise SettingsError(f"setting {name}: {first['msg'].lower()}") from None
            raise SettingsError(f"setting {name} is {first.get('input')!r}: {first['msg'].lower()}") from error

    def hash(self) -> str:
        """Return 12 hex digits over all settings that can change an answer."""
        return _digest(self.model_dump(mode="json", exclude=set(NOT_ANSWERING)))

    @property
    def writes(self) -> bool:
        """Whether a language model is configured."""
        return bool(self.llm_base_url and self.llm_model)

    def shaping(self) -> dict[str, str | int]:
        """Return the settings that shape the contents of an index; opening it with different ones is an error."""
        return {name: getattr(self, name) for name in SHAPING}


def _unknown(name: str, known: list[str]) -> str:
    is_variable = name.upper().startswith("RAG_")
    close = difflib.get_close_matches(name[4:].lower() if is_variable else name, known, n=1)
    if not close:
        return f"unknown setting {name}: known are: {', '.join(known)}"
    return f"unknown setting {name}: did you mean {f'RAG_{close[0].upper()}' if is_variable else close[0]}?"


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
