"""Collects what the engine learns about one question and builds its result."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TypedDict

from rag import reasons
from rag.config import Settings
from rag.models import PassageEvidence
from rag.quoting import by_probability
from rag.records import MAX_NEAREST
from rag.values import Abstention, Answer, Claim, EndedAt, Hit, Mode, Removed, Trace
from rag.writing import Draft, prompt_hash


class _Told(TypedDict):
    """Fields shared by answers and abstentions."""

    standalone_question: str
    removed: tuple[Removed, ...]
    notice: str


@dataclass(slots=True)
class ResultBuilder:
    """Facts gathered about one question, for its result and trace."""

    settings: Settings
    question: str
    models: dict[str, str]
    standalone: str = ""
    index_version: int = 0
    removed: tuple[Removed, ...] = ()
    notice: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)

    @property
    def mode(self) -> Mode:
        """The requested mode."""
        return "written" if "writer" in self.models else "quotes"

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Record how long a stage takes."""
        start = time.perf_counter()
        yield
        self.timings_ms[stage] = round((time.perf_counter() - start) * 1000, 2)

    @property
    def trace(self) -> Trace:
        """The trace so far."""
        return Trace(
            settings_hash=self.settings.hash(),
            prompt_hash=prompt_hash() if self.mode == "written" else None,
            models=self.models,
            index_version=self.index_version,
            timings_ms=self.timings_ms,
        )

    def answer(self, claims: tuple[Claim, ...], hits: tuple[Hit, ...], mode: Mode = "quotes") -> Answer:
        """Return the answer made of these claims."""
        return Answer(self.question, claims, hits, self.trace, mode=mode, **self._told())

    def written(self, draft: Draft, hits: tuple[Hit, ...]) -> Answer:
        """Return the model's answer, made of the claims that passed the checks."""
        self.removed = draft.removed
        self.notice = reasons.ended_early(draft)
        return self.answer(draft.claims, hits, "written")

    def not_written(self, draft: Draft) -> None:
        """Record why the model's answer is not used; quotes are used instead."""
        self.removed = draft.removed
        self.notice = reasons.not_written(draft)

    def leave_open(self, questions: Sequence[str]) -> None:
        """Note which parts of a compound question would be refused on their own, after any earlier notice."""
        self.notice = " ".join(filter(None, [self.notice, reasons.left_open(questions)]))

    def abstain(self, stage: EndedAt, reason: str, near: tuple[Hit, ...] = ()) -> Abstention:
        """Return an abstention with its reason and the nearest sentences."""
        return Abstention(self.question, reason, near, self.trace, stage, mode=self.mode, **self._told())

    def _told(self) -> _Told:
        return {
            "standalone_question": self.standalone or self.question,
            "removed": self.removed,
            "notice": self.notice,
        }


def nearest(evidence: Sequence[Sequence[PassageEvidence]]) -> tuple[Hit, ...]:
    """Return the likeliest sentences of everything read, each with its passage and without duplicates."""
    likeliest_first = by_probability(list(chain.from_iterable(evidence)))
    return tuple(
        Hit(quote.passage, quote.evidence.probability, rank, "evidence", quote.evidence.span)
        for rank, quote in enumerate(likeliest_first[:MAX_NEAREST], start=1)
    )
