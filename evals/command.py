"""What ``rag eval`` does: gold questions asked of an index, with one variant of the engine or several, and shown.

Without a gold file those of the seeds are asked, of an index of the seeds made for the purpose. With one, they are
asked of the user's own index as it is.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from rich.console import Group
from rich.table import Table

from rag import Rag, Settings
from rag.errors import RagError, UsageError
from rag.index import OnProgress
from rag.models import TrainedEvidence
from rag.values import Mode

from .gate import measured as measured_gate
from .gate import rows as gate_rows
from .gate import table as gate_table
from .gold import SEEDS_GOLD, load
from .judge import LOST_AT
from .report import render_variants
from .run import evaluate, write
from .scores import METRICS
from .variants import Variant, variants

SEEDS = Path(__file__).parents[1] / "seeds"
Split = Literal["dev", "test", "all"]
Summary = Mapping[str, Any]


def run(
    gold: Path | None,
    *,
    index: Path | None,
    out: Path,
    split: Split = "all",
    mode: Mode | None = None,
    vary: Sequence[str] = (),
    baseline: Summary | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> list[dict[str, Any]]:
    """Evaluate and return a summary for each variant.

    With ``vary``, each has a folder of its own below ``out``, and ``variants.html`` there is the table of all. Variants
    are compared with the default if it is among them, else with the first. Raises RagError for whatever keeps all of it
    from being measured.
    """
    if vary and baseline:
        raise UsageError("--vary compares variants with each other; leave out --baseline")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; --out is a folder")
    chosen = sorted(variants(vary), key=lambda variant: variant != Variant())  # stable: the default comes first
    if not (gold or index or SEEDS.is_dir()):
        raise UsageError("the seed documents are not installed; run this in a clone, or name your own GOLD questions")
    file = gold or SEEDS_GOLD
    questions = [question for question in load(file) if split in {"all", question.split}]
    if not questions:
        raise UsageError(f"{file}: no question of split {split}; use --split all")
    # Of the shipped model, once: no variant changes what the gate makes of a sentence. The half that was tuned on has
    # four in five of them and tells less, so it is measured only where it is asked for.
    gated_split = "dev" if split == "dev" else "test"
    gated = [] if gold or index else gate_rows(measured_gate(gated_split, support=TrainedEvidence().support))
    folders = [variant.folder if vary else "." for variant in chosen]
    summaries: list[dict[str, Any]] = []
    with _index(gold, index, on_progress) as index_dir:
        for variant, folder in zip(chosen, folders, strict=True):
            summary = evaluate(
                questions,
                gold=file,
                index_dir=index_dir,
                out=out / folder,
                variant=variant,
                split=split,
                mode=mode,
                baseline=baseline or next(iter(summaries), None),
                gate=gated,
                on_progress=on_progress,
            )
            summaries.append(summary)
    if vary:
        write(out / "variants.html", render_variants(summaries, folders))
    return summaries


@contextmanager
def _index(gold: Path | None, index: Path | None, on_progress: OnProgress) -> Iterator[Path]:
    """Yield the user's index for the user's questions, and else one of the seeds that is gone afterwards."""
    if gold or index:
        yield index or Settings().index_dir
        return
    with tempfile.TemporaryDirectory() as folder:
        rag = Rag(Settings(index_dir=Path(folder, "index")))
        report = rag.ingest([SEEDS], on_progress=on_progress)
        rag.close()
        if report.failed:
            raise RagError(f"the seeds could not be ingested: {report.failed[0][1]}")
        yield rag.settings.index_dir


def record(summaries: Sequence[Summary]) -> dict[str, Any]:
    """Return the figures of all variants as one JSON object; the questions one by one are in the files."""
    return {"variants": [{name: value for name, value in s.items() if name != "questions"} for s in summaries]}


def text(summaries: Sequence[Summary]) -> Group:
    """Return what a terminal shows of one run, or of several variants."""
    if len(summaries) > 1:
        return Group(_variants(summaries))
    (summary,) = summaries
    gated = [gate_table(summary["gate"])] if summary["gate"] else []
    return Group(_figures(summary), _lost(summary), *gated, *([_differences(summary)] if summary["comparison"] else []))


def regression(summary: Summary) -> str | None:
    """Return a line that says what dropped against the baseline; None if nothing guarded did, or none was named."""
    comparison = summary["comparison"]
    if comparison is None or comparison["passed"]:
        return None
    if comparison["missing"] or not comparison["n"]:
        return f"questions of the baseline gone or with other gold: {comparison['missing']}; renew it on purpose"
    dropped = [found for found in comparison["metrics"] if found["guarded"] and found["verdict"] == "drop"]
    named = (f"{found['label']} {_number(found['old'])} -> {_number(found['new'])}" for found in dropped)
    return f"worse than the baseline: {', '.join(named)}"


def _figures(summary: Summary) -> Table:
    table = _table(f"{summary['made']['variant']}: {len(summary['questions'])} questions", "metric", "value", "95 %")
    for figure in summary["metrics"]:
        name = figure["label"] if figure["group"] == "overall" else f"{figure['group']}: {figure['label']}"
        table.add_row(name, _number(figure["value"]), _range(figure))
    for stage, cost in summary["cost_ms"].items():
        table.add_row(f"ms: {stage}", str(cost["p50"]), f"p95 {cost['p95']}")
    return table


def _lost(summary: Summary) -> Table:
    table = _table("where wrong answers were lost", "stage", "questions", "")
    for stage, n in summary["lost"].items():
        table.add_row(stage, str(n), LOST_AT[stage])
    return table


def _differences(summary: Summary) -> Table:
    comparison = summary["comparison"]
    title = f"against the run of {comparison['baseline_on'][:10]}, {comparison['n']} questions in both"
    if comparison["differs"]:
        title += f"; not as it was: {', '.join(comparison['differs'])}"
    table = _table(title, "guarded metric", "before", "now", "difference", "95 %", "")
    for found in comparison["metrics"]:
        if found["guarded"]:
            numbers = (_number(found[name]) for name in ("old", "new", "difference"))
            interval = _range(found)
            table.add_row(found["label"], *numbers, interval, found["verdict"])
    return table


def _variants(summaries: Sequence[Summary]) -> Table:
    """Show the guarded metrics; beside each the verdict of its paired difference to the first row."""
    first, *others = summaries
    guarded = [metric for metric in METRICS if metric.guarded]
    title = f"{len(first['questions'])} questions; drop and gain: a significant difference to the first row"
    table = _table(title, "variant", *(f"{m.group}: {m.label}" for m in guarded))
    for summary in (first, *others):
        value = {figure["name"]: _number(figure["value"]) for figure in summary["metrics"]}
        found = summary["comparison"]["metrics"] if summary["comparison"] else []
        verdict = {difference["name"]: difference["verdict"] for difference in found}
        marks = (verdict.get(metric.name, "same") for metric in guarded)
        cells = (f"{value[m.name]} {'' if mark == 'same' else mark}" for m, mark in zip(guarded, marks, strict=True))
        table.add_row(summary["made"]["variant"], *cells)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _range(figure: Mapping[str, Any]) -> str:
    return "-" if figure["low"] is None else f"{_number(figure['low'])} to {_number(figure['high'])}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
