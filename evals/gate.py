"""Measure the claim gate: sound and faulty sentences over the seeds, and what it makes of them.

    python -m evals.gate [--split dev|test|all] [--no-model] [--json]

A fault is caught if the sentence is refused, for whatever reason; it is named if it is refused for this one.
``rag eval`` puts the same table into its report.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.table import Table

from rag import Rag
from rag.cli.terminal import UNWRAPPED_COLUMNS
from rag.documents import read_synonyms
from rag.errors import DocumentError, UsageError
from rag.gate.claims import check_text
from rag.models import Support, TrainedEvidence
from rag.values import Fault, Removed, Source

from .gold import Place
from .lines import values
from .scores import share

GOLD = Path(__file__).with_name("gold") / "gate.jsonl"
SEEDS = Path(__file__).parents[1] / "seeds"
SOUND = "sound"
KINDS = (SOUND, *get_args(Fault))
Synonyms = Sequence[Sequence[str]]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PassageAt(_Strict):
    """A passage by its place; it is one as the splitter makes them."""

    source: str
    start: int
    end: int


class Sentence(_Strict):
    """A written sentence with its markers, the passages that these mean, and what is wrong with it, if anything."""

    id: str
    split: Literal["dev", "test"]
    kind: str
    question: str
    text: str
    sources: tuple[PassageAt, ...] = Field(strict=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the gate made of a sentence: "sound", or the first fault it found."""

    sentence: Sentence
    found: str
    detail: str = ""


def load(path: Path = GOLD) -> list[Sentence]:
    """Return the sentences of a file; raises UsageError for a line that is none."""
    return values(Sentence, path)


def passages_of(folder: Path) -> dict[Place, Source]:
    """Return every passage of the documents of a folder, as ingest would make them; no index is made."""
    found: dict[Place, Source] = {}
    for prepared in Rag().preview([folder]):
        if isinstance(prepared, DocumentError):
            raise prepared
        for passage in prepared.passages:
            place = Place(prepared.document.source, passage.span.start, passage.span.end)
            found[place] = Source(passage, prepared.document)
    return found


def judge(
    sentences: Iterable[Sentence], passages: Mapping[Place, Source], *, support: Support | None, synonyms: Synonyms = ()
) -> list[Outcome]:
    """Put each sentence through the gate. Raises UsageError for a passage that the splitter does not make."""
    return [_judged(sentence, passages, support=support, synonyms=synonyms) for sentence in sentences]


def _judged(
    sentence: Sentence, passages: Mapping[Place, Source], *, support: Support | None, synonyms: Synonyms
) -> Outcome:
    places = [Place(at.source, at.start, at.end) for at in sentence.sources]
    if unknown := [place for place in places if place not in passages]:
        raise UsageError(
            f"{sentence.id}: {unknown[0]} is no passage; take those that rag ingest --dry-run --json shows"
        )
    sources = [passages[place] for place in places]
    found = check_text(sentence.text, sources, question=sentence.question, support=support, synonyms=synonyms)
    removed = [item for item in found if isinstance(item, Removed)]
    return Outcome(sentence, removed[0].fault if removed else SOUND, removed[0].detail if removed else "")


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return a row for each kind of each split, with 95 % Wilson intervals.

    recall: of faulty sentences the share refused, of sound ones the share passed. named: the share refused for this
    fault. precision: of the sentences that were given this verdict, the share that deserves it.
    """
    return [
        _row([o for o in outcomes if o.sentence.split == split], split, kind)
        for split in sorted({o.sentence.split for o in outcomes})
        for kind in KINDS
        if any(o.sentence.split == split and o.sentence.kind == kind for o in outcomes)
    ]


def _row(outcomes: Sequence[Outcome], split: str, kind: str) -> dict[str, Any]:
    of_kind = [o for o in outcomes if o.sentence.kind == kind]
    given = [o for o in outcomes if o.found == kind]
    n_right = sum(o.found == SOUND if kind == SOUND else o.found != SOUND for o in of_kind)
    return {
        "split": split,
        "kind": kind,
        "n": len(of_kind),
        "recall": share(n_right, len(of_kind)),
        "named": share(sum(o.found == kind for o in of_kind), len(of_kind)),
        "precision": share(sum(o.sentence.kind == kind for o in given), len(given)),
    }


def measured(split: str = "all", *, support: Support | None) -> list[Outcome]:
    """Judge the sentences of a split over the seeds."""
    sentences = [sentence for sentence in load() if split in {"all", sentence.split}]
    return judge(sentences, passages_of(SEEDS), support=support, synonyms=read_synonyms(SEEDS))


def table(found: Sequence[Mapping[str, Any]]) -> Table:
    """Return the rows for a terminal."""
    shown = Table(title="the claim gate", title_justify="left")
    for column in ("split", "kind", "n", "recall", "95 %", "named", "precision", "95 %"):
        shown.add_column(column)
    for row in found:
        recall, precision = row["recall"], row["precision"]
        figures = (_figure(recall), _interval(recall), _figure(row["named"]), _figure(precision), _interval(precision))
        shown.add_row(row["split"], row["kind"], str(row["n"]), *figures)
    return shown


def _figure(value: Mapping[str, float | None]) -> str:
    return "-" if value["value"] is None else f"{value['value']:.3f}"


def _interval(value: Mapping[str, float | None]) -> str:
    return "-" if value["low"] is None else f"{value['low']:.3f} to {value['high']:.3f}"


def main() -> None:
    """Measure, print the table and every sentence that was judged wrongly."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", choices=["dev", "test", "all"], default="all")
    parser.add_argument("--no-model", action="store_true", help="without the evidence model: words alone decide")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    outcomes = measured(options.split, support=None if options.no_model else TrainedEvidence().support)
    missed = [o for o in outcomes if (o.found == SOUND) != (o.sentence.kind == SOUND)]
    if options.json:
        wrong = [{"id": o.sentence.id, "found": o.found, "detail": o.detail, "text": o.sentence.text} for o in missed]
        sys.stdout.write(json.dumps({"rows": rows(outcomes), "missed": wrong}, ensure_ascii=False) + "\n")
        return
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else UNWRAPPED_COLUMNS)
    console.print(table(rows(outcomes)))
    for o in missed:
        console.print(f"{o.sentence.id} -> {o.found}{': ' * bool(o.detail)}{o.detail}\n    {o.sentence.text}")


if __name__ == "__main__":
    main()
