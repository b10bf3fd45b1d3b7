"""Drafts of gold questions from what readers thought of answers, for a person to complete.

Feedback is stored as JSONL in UTF-8, a verdict a line; whoever stores it writes these keys:

    at        when the verdict was given: ISO 8601 with an offset, as "2026-02-03T14:05:09+00:00"
    verdict   "up" or "down": whether the reader found the answer, or the refusal, right
    comment   what the reader wrote, or null; may be missing
    history   the turns that went before as [question, answer] pairs, oldest first; may be missing
    record    the ask record that was shown, as docs/schemas/ask.schema.json has it

Other keys are allowed and passed over. ``rag eval --from-feedback`` calls ``drafts`` and writes what comes of it.
Nothing here judges an answer: a verdict is one reader's opinion, so every draft says in its note what is left to do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from rag.records import Record, dumped

from .gold import Said, asked
from .lines import Malformed, numbered_lines, parsed


@dataclass(frozen=True, slots=True)
class Drafts:
    """Draft gold entries, as evals/gold/README.md describes them, and a line for each line that gave none."""

    entries: list[Record]
    complaints: list[str]


class _Stored(BaseModel):
    """A JSON object of which only the keys named here are read, with their types exactly as written."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Range(_Stored):
    start: int = Field(ge=0)
    end: int


class _Place(_Range):
    source: str


class _Near(_Place):
    sentence: _Range | None = None  # records of earlier versions have none

    @property
    def place(self) -> _Place:
        """Where the sentence stands, or the passage."""
        at = self.sentence or self
        return _Place(source=self.source, start=at.start, end=at.end)


class _Citation(_Place):
    marker: int
    quote: Said


class _Claim(_Stored):
    citations: tuple[int, ...] = Field(min_length=1)


class _AskRecord(_Stored):
    question: Said
    answered: bool
    text: str
    claims: tuple[_Claim, ...]
    citations: tuple[_Citation, ...]
    reason: str | None
    nearest: tuple[_Near, ...]

    @model_validator(mode="after")
    def _holds_together(self) -> "_AskRecord":
        known = {citation.marker for citation in self.citations}
        cited = {marker for claim in self.claims for marker in claim.citations}
        if missing := sorted(cited - known):
            raise ValueError(f"cites {missing}, but has only the citations {sorted(known)}; store the record as it was")
        if self.answered != bool(self.claims):
            raise ValueError(f"has {len(self.claims)} claims although answered is {self.answered}; store it as it was")
        return self


class _Feedback(_Stored):
    at: AwareDatetime
    verdict: Literal["up", "down"]
    comment: str | None = None
    history: tuple[tuple[str, str], ...] = ()
    record: _AskRecord


def drafts(path: Path) -> Drafts:
    """Turn stored feedback into draft gold entries, in the order in which their questions first came.

    A question with the same history counts once, with its latest verdict (of one instant, the later line's), and is
    named ``feedback-N`` after the first line N that asks it, so that ids stay as the file grows. Its draft is

    - answerable if an answer was found right: a part for each claim, whose alternatives are the claim's citations;
    - not answerable if a refusal was found right;
    - undecided if either was found wrong: ``"answerable": null``, which ``evals.gold.load`` refuses.

    ``facts`` are always left to be written, so that ``evals.gold.problems`` reports a draft that is not completed.
    A line that cannot be read is passed over with a complaint, ``file:line: what; what to do``; so is an empty file.
    Raises UsageError if the file is missing or cannot be read.
    """
    latest: dict[object, tuple[int, _Feedback]] = {}
    complaints = []
    lines = numbered_lines(path)
    for number, raw in lines:
        try:
            given = parsed(_Feedback, raw)
        except Malformed as error:
            complaints.append(f"{path}:{number}: {error}; the line is passed over")
            continue
        key = asked(given.record.question, given.history)
        first, known = latest.get(key, (number, given))
        latest[key] = (first, given if given.at >= known.at else known)
    if not lines:
        complaints.append(f"{path}: holds no feedback; give the file that the page stores it in")
    return Drafts([_draft(given, first) for first, given in latest.values()], complaints)


def write_drafts(entries: Iterable[Record], out: IO[str]) -> None:
    """Write draft entries as JSONL, a line each."""
    for entry in entries:
        out.write(dumped(entry) + "\n")


def _draft(given: _Feedback, number: int) -> Record:
    record, is_right = given.record, given.verdict == "up"
    is_answer = record.answered and is_right
    return {
        "id": f"feedback-{number}",
        "split": "dev",
        "kind": "unsorted",
        "question": record.question,
        "history": [list(turn) for turn in given.history],
        "answerable": record.answered if is_right else None,
        "facts": [],
        "evidence": _parts(record) if is_answer else [],
        "note": " ".join([*_told(given), f"Left to do: {_TO_DO[record.answered, given.verdict]}"]),
    }


def _parts(record: _AskRecord) -> list[list[Record]]:
    """Return a part for each claim; one for claims that cite the same, since two parts share no place."""
    place = {c.marker: c.model_dump(include={"source", "start", "end", "quote"}) for c in record.citations}
    cited = dict.fromkeys(tuple(sorted(set(claim.citations))) for claim in record.claims)
    return [[place[marker] for marker in markers] for markers in cited]


_TO_DO = {
    (True, "up"): "write facts, set the kind; check that every part is needed and which other places say the same.",
    (True, "down"): "decide answerable; if true, write facts and evidence, and set the kind.",
    (False, "up"): "set the kind, and say why the documents do not answer.",
    (False, "down"): "decide answerable; if true, write facts and evidence, perhaps from what came nearest.",
}


def _told(given: _Feedback) -> list[str]:
    """Return sentences: what was shown, what the reader found, and what a refusal names."""
    record, verdict = given.record, "right" if given.verdict == "up" else "wrong"
    shown = f"Answered: {_quoted(record.text)}" if record.answered else f"Refused: {_quoted(record.reason or '')}"
    told = [shown, f"The reader said on {given.at.date()} that this is {verdict}{_because(given.comment)}"]
    if not record.answered and given.verdict == "down":
        told.append(f"Nearest: {_listed([near.place for near in record.nearest])}.")
    return told


def _because(comment: str | None) -> str:
    return f": {_quoted(comment)}" if comment and comment.strip() else "."


def _quoted(text: str) -> str:
    return f"“{' '.join(text.split())}”"


def _listed(places: Sequence[_Place]) -> str:
    return ", ".join(f"{p.source} [{p.start}, {p.end})" for p in places) or "none"
