"""How fast the pipeline is, and how much it takes: ingest, search, ask and the command line over a made-up corpus.

    python -m evals.bench_pipeline [--passages 20000] [--questions 200] [--runs 5] [--work DIR]

The corpus is that of ``evals.made_up_corpus``. Always the real embedding model. Prints a Markdown table, and
``measure`` returns it. Exit code 1 if adding a document changed vector files that were there.
"""

import argparse
import contextlib
import datetime as dt
import hashlib
import json
import math
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rag import Rag, Settings
from rag.models import SentenceEncoder, Vectors

from .made_up_corpus import (
    PASSAGES_A_DOCUMENT,
    Question,
    questions,
    write_corpus,
    write_document,
)


@dataclass(slots=True)
class TimedEncoder:
    """The real encoder; counts what it encodes and the seconds it takes."""

    encoder: SentenceEncoder
    n_texts: int = 0
    seconds: float = 0.0
    name: str = field(init=False)
    max_pieces: int = field(init=False)

    def __post_init__(self) -> None:
        self.name, self.max_pieces = self.encoder.name, self.encoder.max_pieces

    def count_pieces(self, text: str) -> int:
        """Return the number of word pieces."""
        return self.encoder.count_pieces(text)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors."""
        start = time.perf_counter()
        vectors = self.encoder.encode(texts)
        self.seconds += time.perf_counter() - start
        self.n_texts += len(texts)
        return vectors


@dataclass(slots=True)
class Table:
    """Rows of (what, value, how), printed as they come in."""

    console: Console
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, what: str, value: str, how: str = "") -> None:
        """Add a row."""
        self.rows.append((what, value, how))
        self.console.print(f"{what}: {value}", highlight=False, markup=False)

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = ["| what | value | how |", "|---|---|---|"]
        return "\n".join([*lines, *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in self.rows)])


def measure(
    *, passages: int, n_questions: int, runs: int, work: Path, console: Console, command: str
) -> tuple[str, int]:
    """Measure everything; return the table in Markdown and the bytes of vector files changed by adding a document.

    passages: at least so many are ingested. runs: of each cold command. work: an empty folder, for corpus and index.
    """
    table = Table(console)
    table.add("command", f"`{command}`")
    table.add("machine", machine())
    table.add("date", dt.datetime.now(dt.UTC).date().isoformat())
    n_documents = max(2, math.ceil(passages / PASSAGES_A_DOCUMENT))
    corpus, index = work / "corpus", work / "index"
    table.add("text of the corpus", _size(write_corpus(corpus, n_documents)), f"{n_documents:,} documents")
    encoder = TimedEncoder(SentenceEncoder())
    rag = Rag(Settings(index_dir=index), encoder=encoder)
    with contextlib.closing(rag):
        _ingest(rag, encoder, corpus, passages, table)
        n_changed = _add_one(rag, corpus, n_documents, table)
        asked = questions(n_questions, n_documents)
        _warm(rag, asked, table)
    _cold(index, asked[0].text, runs, table)
    _sizes(index, table)
    return table.markdown(), n_changed


def _ingest(rag: Rag, encoder: TimedEncoder, corpus: Path, passages: int, table: Table) -> None:
    start = time.perf_counter()
    encoder.encode(["warm"])
    table.add("load the embedding model", f"{time.perf_counter() - start:.1f} s", "first text in the process")
    encoder.n_texts, encoder.seconds = 0, 0.0
    with progress(table.console) as on_progress:
        start = time.perf_counter()
        report = rag.ingest([corpus], on_progress=on_progress)
        seconds = time.perf_counter() - start
    assert not report.failed, report.failed
    entries = rag.documents()
    n_passages = sum(entry.n_passages for entry in entries)
    n_texts = sum(entry.n_passages + entry.n_sentences for entry in entries)
    assert n_passages >= passages, f"{n_passages} passages, {passages} asked for"
    how = "`rag.ingest([corpus])`, model loaded"
    table.add("corpus", f"{len(entries):,} documents, {n_passages:,} passages, {n_texts:,} texts", "as ingested")
    table.add("ingest", f"{seconds:.1f} s", how)
    table.add("ingest rate", f"{n_passages / seconds:.1f} passages/s, {n_texts / seconds:.0f} texts/s", how)
    share = encoder.seconds / seconds
    rate = encoder.n_texts / encoder.seconds
    table.add("ingest: embedding", f"{encoder.seconds:.1f} s ({share:.0%}), {rate:.0f} texts/s", "inside the encoder")
    rest = seconds - encoder.seconds
    table.add(
        "ingest: the rest", f"{rest:.1f} s ({1 - share:.0%}), {n_passages / rest:.0f} passages/s", "load to commit"
    )
    table.add("peak RSS of ingest", _size(peak_rss()), "this process, at the end of ingest")


def _add_one(rag: Rag, corpus: Path, n_documents: int, table: Table) -> int:
    vectors = rag.settings.index_dir / "vectors"
    before = {path: _digest(path) for path in vectors.rglob("*") if path.is_file()}
    sizes = {path: path.stat().st_size for path in before}
    source, _ = write_document(corpus, n_documents)
    start = time.perf_counter()
    report = rag.ingest([corpus])
    seconds = time.perf_counter() - start
    assert report.added == (source,), report
    changed = [path for path, digest in before.items() if not path.exists() or _digest(path) != digest]
    n_changed = sum(sizes[path] for path in changed)
    table.add("add one document", f"{seconds:.2f} s", "`rag.ingest([corpus])`, warm, all other files looked at")
    table.add(
        "bytes of existing vector files changed by it", f"{n_changed:,}", f"of {_size(sum(sizes.values()))}, by hash"
    )
    start = time.perf_counter()
    assert not rag.ingest([corpus]).added
    table.add("ingest without a change", f"{time.perf_counter() - start:.2f} s", "`rag.ingest([corpus])`, warm")
    return n_changed


def _warm(rag: Rag, asked: Sequence[Question], table: Table) -> None:
    rag.ask(asked[0].text)  # opens what the first question opens
    stages: dict[str, list[float]] = {}

    def ask(question: Question) -> None:
        for stage, spent_ms in rag.ask(question.text).trace.timings_ms.items():
            stages.setdefault(stage, []).append(spent_ms)

    cases: dict[str, Callable[[Question], object]] = {
        "search": lambda q: rag.search(q.text),
        "search, one source of ten": lambda q: rag.search(q.text, source=q.source),
        "search, later half of the dates": lambda q: rag.search(q.text, since=q.since),
        "ask": ask,
        "ask, one source of ten": lambda q: rag.ask(q.text, source=q.source),
        "ask, later half of the dates": lambda q: rag.ask(q.text, since=q.since),
    }
    for what, answer in cases.items():
        spent_ms = []
        for question in asked:
            start = time.perf_counter()
            answer(question)
            spent_ms.append((time.perf_counter() - start) * 1000)
        table.add(f"warm {what}", percentiles(spent_ms), f"{len(asked)} questions")
    for stage, spent_ms in stages.items():
        table.add(f"ask, stage {stage}", percentiles(spent_ms), "from the trace, without filters")


def _cold(index: Path, question: str, runs: int, table: Table) -> None:
    rag = shutil.which("rag", path=str(Path(sys.executable).parent))
    assert rag, "the command rag is not installed beside this Python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    commands = {
        "rag ask QUESTION": [rag, "ask", question, "--index", str(index), "--json"],
        "rag --help": [rag, "--help"],
    }
    for what, command in commands.items():
        measured = [_run(command, environment) for _ in range(runs)]
        seconds = [spent for spent, _ in measured]
        value = f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
        table.add(f"cold `{what}`", value, f"wall time, median and range of {runs}")
        if what.startswith("rag ask"):
            table.add("peak RSS of ask", _size(max(peak for _, peak in measured)), f"`{what}`, a process of its own")


# A child's peak memory starts from that of the process it is forked from, which here holds a model: a small process in
# between starts the command and measures it.
_LAUNCHER = """
import json, os, sys, time
start = time.perf_counter()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, 1, 0)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([time.perf_counter() - start, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]))
"""


def _run(command: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """Run to the end; return the seconds it took and its peak resident memory in bytes."""
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command]
    done = subprocess.run(launcher, stdout=subprocess.PIPE, env=environment, check=True)  # noqa: S603 - our own command
    seconds, max_rss, code = json.loads(done.stdout)
    assert code == 0, f"{command} ended with {code}"
    return seconds, max_rss * _RSS_UNIT


def _sizes(index: Path, table: Table) -> None:
    total = 0
    for part, pattern in (("catalogue", "catalog.sqlite3*"), ("vectors", "vectors/**/*"), ("words", "lexical/**/*")):
        n_bytes = sum(path.stat().st_size for path in index.glob(pattern) if path.is_file())
        total += n_bytes
        table.add(f"index on disk: {part}", _size(n_bytes), f"`{pattern}`")
    table.add("index on disk", _size(total), "with what the last minute's commits replaced")


# -- small things ------------------------------------------------------------------------------------------------------

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage counts kilobytes, on macOS bytes


def peak_rss() -> int:
    """Return the peak resident memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def machine() -> str:
    """Return cores, processor, system and versions; no name of a host."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores of {model}, {platform.system()}, Python {platform.python_version()}"


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """Show documents done."""
    columns = (TextColumn("ingest"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("ingest", total=None)
        yield lambda done, total, _: bar.update(task, completed=done, total=total)


def percentiles(spent_ms: Sequence[float]) -> str:
    """Return the 50th and 95th percentile, each a value that was measured (nearest rank)."""
    ordered = sorted(spent_ms)
    p50, p95 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.50, 0.95))
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    """Read the arguments, measure, print the table."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench_pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=20_000, help="passages at least (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=200, help="questions asked warm (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each cold command (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="empty folder for corpus and index; else a temporary one")
    given = parser.parse_args()
    if min(given.passages, given.questions, given.runs) < 1:
        parser.error("--passages, --questions and --runs count from 1")
    if given.work and given.work.exists() and any(given.work.iterdir()):
        parser.error(f"--work {given.work}: is not empty; choose another folder")
    sizes = f"--passages {given.passages} --questions {given.questions} --runs {given.runs}"
    with tempfile.TemporaryDirectory() as temporary:
        table, n_changed = measure(
            passages=given.passages,
            n_questions=given.questions,
            runs=given.runs,
            work=given.work or Path(temporary),
            console=Console(stderr=True),
            command=f"python -m evals.bench_pipeline {sizes}",
        )
    print(table)
    if n_changed:
        print(f"adding a document changed {n_changed:,} bytes of vector files that were there", file=sys.stderr)
    return 1 if n_changed else 0


if __name__ == "__main__":
    sys.exit(main())
