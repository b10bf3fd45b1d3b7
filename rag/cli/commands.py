"""The command ``rag``: arguments in, text or JSON out. The work is done by ``rag.engine`` and ``evals``.

Every error is one line on standard error. Exit codes: 0 success (including a refusal to answer), 1 failure, 2 usage.
Heavy modules are imported inside the commands, so that ``rag --help`` responds immediately.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import typer

from rag.cli import models
from rag.cli.terminal import UNWRAPPED_COLUMNS, fail, progress
from rag.errors import DocumentError, RagError, UsageError
from rag.question_options import MAX_TOP_K, MODE, SINCE, SOURCE, TOP_K, UNTIL, filters
from rag.values import Mode

if TYPE_CHECKING:
    from rag.engine import Rag
    from rag.records import Record

app = typer.Typer(
    help="Ask your documents, get answers you can check.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models.app, name="models")
INTERRUPTED = 130  # 128 plus the signal number, by shell convention
_SHOWN_PROBLEMS = 10  # of a gold file; the last line counts them all
ClickUsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer exports only the subclass

IndexOption = Annotated[
    Path | None, typer.Option("--index", readable=False, help="Folder of the index; RAG_INDEX_DIR, else .footnote.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
BatchOption = Annotated[
    Path | None, typer.Option("--batch", readable=False, help="Read questions from JSONL, one object a line.")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Write records to JSONL, in the same order.")]
ModeOption = Annotated[Mode | None, typer.Option(help=MODE)]
SourceOption = Annotated[str | None, typer.Option(help=SOURCE)]
SinceOption = Annotated[str | None, typer.Option(help=SINCE)]
UntilOption = Annotated[str | None, typer.Option(help=UNTIL)]


def main() -> None:
    """Run the command line; the only place where an error becomes an exit code."""
    try:
        logging.basicConfig(level=_log_level(), format="%(name)s: %(message)s")
        code = app(standalone_mode=False)
    except RagError as error:
        code = fail(str(error), error.exit_code)
    except ClickUsageError as error:
        code = fail(f"{error.format_message().rstrip('.')}; rag --help lists what there is", 2)  # type: ignore[attr-defined]
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # the user's request ends here
        if os.environ.get("FOOTNOTE_LOG", "").upper() == "DEBUG":
            raise
        code = fail(f"unexpected {type(error).__name__}: {_first_line(error)}; FOOTNOTE_LOG=DEBUG shows where", 1)
    if code == INTERRUPTED:  # raised, or returned by typer, which turns Ctrl-C into it
        fail("stopped; the index is as it was before", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


@app.command()
def ingest(
    paths: Annotated[
        list[Path] | None, typer.Argument(readable=False, help="Files and folders; without any, those already known.")
    ] = None,
    index: IndexOption = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove documents whose files are gone.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be indexed and what is left out.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the index up to date with documents."""
    from rag.cli.render import preview_record, preview_text, report_record, report_text

    rag = _rag(index)
    if dry_run:
        if not paths:
            raise UsageError("--dry-run needs a path: rag ingest --dry-run PATH")
        previews = list(rag.preview(paths))
        _say(previews, as_json=as_json, record=preview_record, text=preview_text)
        refused = [str(item) for item in previews if isinstance(item, DocumentError)]
    else:
        with progress() as on_progress:
            report = rag.ingest(paths or [], prune=prune, on_progress=on_progress)
        _say(report, as_json=as_json, record=report_record, text=report_text)
        refused = [line for _, line in report.failed]
    for line in refused:
        fail(line, 1)
    raise typer.Exit(1 if refused else 0)


@app.command()
def search(
    question: Annotated[str | None, typer.Argument(help="What to look for.")] = None,
    top_k: Annotated[int | None, typer.Option("-k", min=1, max=MAX_TOP_K, help=TOP_K)] = None,
    source: SourceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
    batch: BatchOption = None,
    out: OutOption = None,
) -> None:
    """Find the passages nearest to a question."""
    from rag.cli.render import hits_text
    from rag.records import search_record

    chosen = filters(source, since, until, prefix="--")
    rag = _rag(index)

    def answer(line: dict[str, Any]) -> "Record":
        hits = rag.search(line["question"], top_k=top_k, **chosen)
        return search_record(line["question"], hits, question_id=line.get("id"))

    if _is_batch(question, batch, out):
        rag.check()  # before --out is emptied
        raise typer.Exit(_run_batch(batch, out, answer))
    hits = rag.search(str(question), top_k=top_k, **chosen)
    _say(hits, as_json=as_json, record=lambda found: search_record(str(question), found), text=hits_text)


@app.command()
def ask(
    question: Annotated[str | None, typer.Argument(help="The question.")] = None,
    mode: ModeOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
    batch: BatchOption = None,
    out: OutOption = None,
) -> None:
    """Answer a question from the documents, or say that they do not."""
    from rag.cli.render import result_text
    from rag.records import ask_record

    options = {"mode": mode, **filters(source, since, until, prefix="--")}
    rag = _rag(index)

    def answer(line: dict[str, Any]) -> "Record":
        history = [(asked, answered) for asked, answered in line.get("history") or []]
        return ask_record(rag.ask(line["question"], history=history, **options), question_id=line.get("id"))

    if _is_batch(question, batch, out):
        rag.check()  # before --out is emptied
        raise typer.Exit(_run_batch(batch, out, answer))
    _say(rag.ask(str(question), **options), as_json=as_json, record=ask_record, text=result_text)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; RAG_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; RAG_PORT, else 7860.")] = None,
    index: IndexOption = None,
) -> None:
    """Open the chat page."""
    from rag.web.server.serve import serve as serve_page

    serve_page(_rag(index, host=host, port=port))


@app.command()
def verify(
    answer: Annotated[Path, typer.Argument(readable=False, help="What rag ask --json or --batch wrote.")],
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check stored answers against their sources, without any model."""
    from rag.cli.render import verdicts_record, verdicts_text
    from rag.gate import audit, read_records

    records = read_records(answer)
    with _rag(index).catalog() as catalog:
        verdicts = [v for r in records for v in audit(r, catalog.document_by_source, synonyms=catalog.synonyms())]
    _say(verdicts, as_json=as_json, record=verdicts_record, text=verdicts_text)
    for verdict in verdicts:
        for fault in verdict.faults:
            fail(f"{answer}: {fault}", 1)
    raise typer.Exit(1 if any(verdict.faults for verdict in verdicts) else 0)


@app.command()
def mcp(index: IndexOption = None) -> None:
    """Serve the documents to an MCP client, over standard input and output."""
    try:
        from rag.integrations.mcp import serve
    except ImportError as error:
        raise RagError(f"{error.name} cannot be imported; pip install 'footnote-rag[mcp]'") from error

    serve(_rag(index))


@app.command("eval")
def evaluate(
    gold: Annotated[
        Path | None, typer.Argument(readable=False, help="Gold questions for your index; without, those of the seeds.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the answers, figures and the report.")] = Path("eval-report"),
    baseline: Annotated[
        Path | None, typer.Option(readable=False, help="summary.json to compare with; exit code 1 if quality dropped.")
    ] = None,
    split: Annotated[Literal["dev", "test", "all"], typer.Option(help="Which of the questions.")] = "all",
    mode: ModeOption = None,
    vary: Annotated[
        list[str] | None, typer.Option(help="NAME=value,value: retrieval, evidence or a setting; may be repeated.")
    ] = None,
    from_feedback: Annotated[
        Path | None, typer.Option(readable=False, help="Print draft gold questions made of the page's feedback.")
    ] = None,
    index: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure answers against gold questions."""
    try:
        from rag.evals import command, feedback, run
    except ImportError as error:
        raise RagError(f"{error.name} cannot be imported; pip install 'footnote-rag[eval]', or make test") from error

    if from_feedback:
        if gold or baseline or vary:
            raise UsageError("--from-feedback only drafts questions; leave out GOLD, --baseline and --vary")
        found = feedback.drafts(from_feedback)
        feedback.write_drafts(found.entries, sys.stdout)
        raise typer.Exit(max([fail(line, 1) for line in found.complaints], default=0))
    if baseline and baseline.resolve() == (out / "summary.json").resolve():
        raise UsageError(f"--baseline {baseline}: is what --out {out} will overwrite; choose another --out")
    earlier = run.read_summary(baseline) if baseline else None
    try:
        with progress() as on_progress:
            summaries = command.run(
                gold,
                index=index,
                out=out,
                split=split,
                mode=mode,
                vary=vary or (),
                baseline=earlier,
                on_progress=on_progress,
            )
    except run.GoldProblems as error:
        for line in error.lines[:_SHOWN_PROBLEMS]:
            fail(line, 1)
        raise
    _say(summaries, as_json=as_json, record=command.record, text=command.text)
    if earlier and (dropped := command.regression(summaries[0])):
        raise typer.Exit(fail(f"{dropped}; see {out / 'report.html'}", 1))


def _rag(index: Path | None, **settings: Any) -> "Rag":
    from rag.config import Settings
    from rag.engine import Rag

    given = {name: value for name, value in {"index_dir": index, **settings}.items() if value is not None}
    return Rag(Settings(**given))


def _say(value: Any, *, as_json: bool, record: Callable[[Any], "Record"], text: Callable[[Any], Any]) -> None:
    from rich.console import Console

    from rag.records import dumped

    # Do not wrap quotes in a file or a pipe: that would add line ends that are not in the source.
    width = None if sys.stdout.isatty() else UNWRAPPED_COLUMNS
    if as_json:
        visible = dumped(record(value)) + "\n"
    else:
        console = Console(highlight=False, markup=False, emoji=False, width=width)
        with console.capture() as captured:  # rich would exit by itself on a broken pipe
            console.print(text(value))
        visible = captured.get()
    try:
        sys.stdout.write(visible)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has all it wanted, as in `rag search … | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _log_level() -> str:
    level = os.environ.get("FOOTNOTE_LOG", "").upper() or "ERROR"
    if level not in logging.getLevelNamesMapping():
        raise UsageError(f"FOOTNOTE_LOG={level.lower()}: no level; use error, warning, info or debug")
    return level


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:300]


def _is_batch(question: str | None, batch: Path | None, out: Path | None) -> bool:
    if (question is None) == (batch is None):
        raise UsageError("give a QUESTION or --batch IN.jsonl, one of the two")
    if (batch is None) != (out is None):
        raise UsageError("--batch IN.jsonl and --out OUT.jsonl belong together")
    if batch and out and batch.resolve() == out.resolve():
        raise UsageError(f"--out {out}: is the file that --batch reads; choose another")
    return batch is not None


def _run_batch(batch: Path | None, out: Path | None, answer: Callable[[dict[str, Any]], "Record"]) -> int:
    """Answer line by line in constant memory; return 1 if any line could not be answered."""
    from rag.cli.batch import run_batch

    assert batch is not None
    assert out is not None
    with _opened(batch, "rb") as questions, _opened(out, "w") as records, progress() as on_progress:
        n_failed = run_batch(questions, records, answer, on_progress=on_progress)
    if n_failed:
        return fail(
            f"{batch}: {n_failed} line{'s' if n_failed > 1 else ''} could not be answered; see 'error' in {out}", 1
        )
    return 0


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[IO[Any]]:
    try:
        with path.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
    except OSError as error:
        raise RagError(f"{path}: {error.strerror or error}; check the path and its permissions") from error
