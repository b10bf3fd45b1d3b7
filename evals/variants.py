"""What an evaluation runs with: the engine as users get it, or with one of its choices made otherwise.

A variant changes what the engine is given and never how it works, so that a figure of a variant is the figure that
users would get with it.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.config import NOT_ANSWERING, SHAPING, Settings
from rag.engine import Rag
from rag.errors import UsageError
from rag.models import Encoder, EvidenceModel
from rag.retrieval import RANKINGS, Ranking

from .baselines import EVIDENCE_MODELS

RETRIEVALS: Mapping[str, tuple[Ranking, ...]] = {"fused": RANKINGS, "dense": ("dense",), "lexical": ("lexical",)}
_DEFAULTS = {"retrieval": next(iter(RETRIEVALS)), "evidence": next(iter(EVIDENCE_MODELS))}
# What changes the index, or nothing about an answer, is not varied.
_NOT_VARIED = {*SHAPING, *NOT_ANSWERING, "max_file_mb", "top_k", "threads", "llm_base_url", "llm_model"}


@dataclass(frozen=True, slots=True)
class Variant:
    """A choice for retrieval, evidence model and any setting that shapes no index; without arguments, the default.

    settings: those that are not at their default.
    """

    retrieval: str = _DEFAULTS["retrieval"]
    evidence: str = _DEFAULTS["evidence"]
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self._choices.items())

    @property
    def folder(self) -> str:
        """A name for the folder of its report."""
        return "_".join(f"{name}-{value}" for name, value in self._choices.items())

    @property
    def _choices(self) -> dict[str, str]:
        return {"retrieval": self.retrieval, "evidence": self.evidence, **self.settings}

    def model(self) -> EvidenceModel:
        """Load its evidence model."""
        return EVIDENCE_MODELS[self.evidence]()

    def open(self, index_dir: Path, *, evidence: EvidenceModel, encoder: Encoder | None = None) -> Rag:
        """Open an index with these choices. evidence: its model, or what stands around it."""
        settings: dict[str, Any] = {"index_dir": index_dir, **self.settings}
        return Rag(Settings(**settings), encoder=encoder, evidence=evidence, rankings=RETRIEVALS[self.retrieval])


def variants(asked_for: Sequence[str]) -> list[Variant]:
    """Return every combination of the choices, each written ``NAME=value,value``; the default alone without any.

    Raises UsageError or SettingsError for a name or value that does not exist, or a name that comes twice.
    """
    choices: dict[str, list[str]] = {}
    for name, values in map(_choice, asked_for):
        if name in choices:
            raise UsageError(f"--vary {name}: comes twice; write all of its values in one list")
        choices[name] = values
    combined = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    return [
        Variant(
            **{name: chosen.pop(name, default) for name, default in _DEFAULTS.items()},
            settings={name: value for name, value in chosen.items() if value != str(getattr(Settings(), name))},
        )
        for chosen in combined
    ]


def _choice(text: str) -> tuple[str, list[str]]:
    name, _, listed = text.partition("=")
    values = [value.strip() for value in listed.split(",")]
    if not all(values):
        raise UsageError(f"--vary {text}: write it as NAME=value,value")
    return name.strip(), list(dict.fromkeys(_checked(name.strip(), value) for value in values))


def _checked(name: str, value: str) -> str:
    """Return the value as it is usually written: .50 and 0.5 are one variant."""
    models: Mapping[str, Mapping[str, Any]] = {"retrieval": RETRIEVALS, "evidence": EVIDENCE_MODELS}
    if name in models:
        if value not in models[name]:
            raise UsageError(f"--vary {name}={value}: no such {name}; there are {', '.join(models[name])}")
        return value
    if name not in Settings.model_fields or name in _NOT_VARIED:
        raise UsageError(f"--vary {name}: not a choice; there are {', '.join(_names())}")
    return str(getattr(Settings(**{name: value}), name))  # raises a line that says what is wrong with the value


def _names() -> Iterator[str]:
    yield from _DEFAULTS
    yield from (name for name in Settings.model_fields if name not in _NOT_VARIED)
