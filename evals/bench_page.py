"""How the server holds when many ask at once while documents come in: errors, wrong citations, times.

    python -m evals.bench_page [--askers 30] [--seconds 120] [--work DIR]

Starts ``rag serve`` over a copy of the seeds. Half of the askers come by /v1, half by gradio_client's /ask; each asks
one gold question after the other without a pause, while ``rag ingest`` adds made-up documents to the same index, again
and again, as a process of its own. Every answer is held against the files: each quote is exactly the characters it
names. Prints a Markdown table. Exit code 1 if anything was an error or wrong. Loopback only, and it ends by itself.
"""

import argparse
import contextlib
import datetime as dt
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from gradio_client import Client
from rich.console import Console

from .bench_pipeline import Table, machine, percentiles
from .gold import Question, load
from .made_up_corpus import write_document

SEEDS = Path(__file__).parents[1] / "seeds"
GOLD = Path(__file__).parent / "gold" / "seeds.jsonl"
MAX_ASKERS, MAX_SECONDS = 100, 1800
DOCUMENTS_AT_ONCE = 2  # added by each ingest
PATIENCE_S = 300  # for one answer; the machine may be small and the line long

Record = dict[str, Any]
Ask = Callable[[Question], Record]


@dataclass(frozen=True, slots=True)
class Reply:
    """One question: by which door, how long it took, and what came of it."""

    door: str
    seconds: float
    record: Record = field(default_factory=dict)
    error: str = ""


# -- asking ------------------------------------------------------------------------------------------------------------


def by_v1(url: str) -> Ask:
    """Return how a chat client asks."""
    client = httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)

    def ask(question: Question) -> Record:
        turns = [
            (role, text) for turn in question.history for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
        messages = [{"role": role, "content": text} for role, text in [*turns, ("user", question.question)]]
        answered = client.post("/v1/chat/completions", json={"model": "footnote", "messages": messages})
        answered.raise_for_status()
        record: Record = answered.json()["choices"][0]["message"]["footnote"]
        return record

    return ask


def by_ask(url: str) -> Ask:
    """Return how a program asks that uses gradio_client."""
    client = Client(url, verbose=False)

    def ask(question: Question) -> Record:
        job = client.submit(question.question, history=[list(turn) for turn in question.history], api_name="/ask")
        record: Record = job.result(timeout=PATIENCE_S)
        return record

    return ask


def asker(number: int, *, url: str, questions: Sequence[Question], until: float) -> list[Reply]:
    """Ask until the time is over, beginning elsewhere than the others."""
    door, opened = (("/v1", by_v1), ("/ask", by_ask))[number % 2]
    ask = opened(url)
    replies: list[Reply] = []
    for question in itertools.islice(itertools.cycle(questions), number * 7 % len(questions), None):
        if time.monotonic() >= until:
            break
        start = time.monotonic()
        try:
            record, error = ask(question), ""
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is counted
            record, error = {}, f"{type(failure).__name__}: {failure}"[:200]
        replies.append(Reply(door, time.monotonic() - start, record, error))
    return replies


# -- holding against the sources ---------------------------------------------------------------------------------------


def faults(record: Record, folders: Sequence[Path]) -> Iterator[str]:
    """Yield what is wrong with the places that an answer names."""
    quotes = {citation["marker"]: citation["quote"] for citation in record["citations"]}
    for cited in record["citations"]:
        if _text(cited["source"], folders)[cited["start"] : cited["end"]] != cited["quote"]:
            yield f"{cited['source']}:{cited['start']}-{cited['end']} is not what [{cited['marker']}] quotes"
    for hit in record["nearest"]:
        if _text(hit["source"], folders)[hit["start"] : hit["end"]] != hit["text"]:
            yield f"{hit['source']}:{hit['start']}-{hit['end']} is not the passage shown"
    for claim in record["claims"]:
        if claim["text"] != quotes.get(claim["citations"][0]):
            yield f"a claim is not what its footnote quotes: {claim['text'][:60]!r}"
    if record["answered"] != bool(record["claims"]):
        yield "answered without a claim, or the other way round"


def _text(source: str, folders: Sequence[Path]) -> str:
    """Read a source as any reader would, without Footnote's own code."""
    path = next(folder / source for folder in folders if (folder / source).is_file())
    return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")


# -- the server, and documents that come in ----------------------------------------------------------------------------


def rag_command(*arguments: object) -> list[str]:
    """Return the command ``rag`` installed beside this Python, with its arguments."""
    program = shutil.which("rag", path=str(Path(sys.executable).parent))
    assert program, "the command rag is not installed beside this Python"
    return [program, *map(str, arguments)]


@contextlib.contextmanager
def serving(index: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run ``rag serve`` at a free port of loopback and return its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = rag_command("serve", "--index", index, "--port", port)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:  # noqa: S603 - our own
        try:
            assert server.stdout
            line = server.stdout.readline()
            assert line, f"the server ended with {server.wait()}"
            yield line.split()[-1]
        finally:
            server.terminate()


def ingesting(more: Path, index: Path, environment: dict[str, str], over: threading.Event) -> list[int]:
    """Add documents to the index until it is over; return the exit code of each ingest."""
    codes: list[int] = []
    while not over.is_set():
        for _ in range(DOCUMENTS_AT_ONCE):
            write_document(more, len(list(more.rglob("*.txt"))))
        command = rag_command("ingest", more, "--index", index)
        done = subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, timeout=PATIENCE_S, check=False)  # noqa: S603 - our own
        codes.append(done.returncode)
    return codes


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(*, askers: int, seconds: float, work: Path, console: Console, command: str) -> tuple[str, int]:
    """Measure; return the table in Markdown and the number of errors and wrong places. work: an empty folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    seeds, more, index = work / "seeds", work / "more", work / "index"
    shutil.copytree(SEEDS, seeds)
    subprocess.run(  # noqa: S603 - our own
        rag_command("ingest", seeds, "--index", index), stdout=subprocess.DEVNULL, env=environment, check=True
    )
    questions = load(GOLD)
    over = threading.Event()
    with serving(index, environment) as url, ThreadPoolExecutor(askers + 1) as threads:
        by_v1(url)(questions[0])  # the first question waits for the models
        start = time.monotonic()
        ingests = threads.submit(ingesting, more, index, environment, over)
        one = partial(asker, url=url, questions=questions, until=start + seconds)
        replies = [reply for asked in threads.map(one, range(askers)) for reply in asked]
        took = time.monotonic() - start
        over.set()
        codes = ingests.result()
    table = Table(console)
    table.add("command", f"`{command}`")
    table.add("machine", machine())
    table.add("date", dt.datetime.now(dt.UTC).date().isoformat())
    n_faults = _report(table, replies, codes, took, [seeds, more])
    return table.markdown(), n_faults


def _report(table: Table, replies: Sequence[Reply], codes: Sequence[int], took: float, folders: Sequence[Path]) -> int:
    answered = [reply for reply in replies if not reply.error]
    wrong = [fault for reply in answered for fault in faults(reply.record, folders)]
    errors = Counter(reply.error for reply in replies if reply.error)
    errors.update(f"an ingest ended with {code}" for code in codes if code)
    for line, count in [*errors.most_common(5), *Counter(wrong).most_common(5)]:
        table.console.print(f"{count} times: {line}", highlight=False, markup=False)
    versions = [reply.record["trace"]["index_version"] for reply in answered]
    n_places = sum(len(reply.record["citations"]) + len(reply.record["nearest"]) for reply in answered)
    table.add("questions", f"{len(replies):,} in {took:.0f} s, {len(replies) / took:.2f} a second")
    for door in ("/v1", "/ask"):
        spent_ms = [reply.seconds * 1000 for reply in answered if reply.door == door]
        table.add(f"time by {door}", percentiles(spent_ms) if spent_ms else "none", f"{len(spent_ms):,} answers")
    table.add("errors", f"{errors.total()}", "of questions and of ingests")
    table.add("wrong places", f"{len(wrong)}", f"of {n_places:,} quotes and passages, held against the files")
    table.add("answered", f"{sum(reply.record['answered'] for reply in answered):,}", "the others were refused")
    table.add(
        "ingests meanwhile",
        f"{len(codes)}",
        f"index versions {min(versions, default=0)} to {max(versions, default=0)} answered",
    )
    return errors.total() + len(wrong)


def main() -> int:
    """Read the arguments, measure, print the table."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench_page", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--askers", type=int, default=30, help="asking at the same time (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=120, help="for so long (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="empty folder for documents and index; else a temporary one")
    given = parser.parse_args()
    if not (1 <= given.askers <= MAX_ASKERS and 1 <= given.seconds <= MAX_SECONDS):
        parser.error(f"--askers goes from 1 to {MAX_ASKERS}, --seconds from 1 to {MAX_SECONDS}")
    if given.work and given.work.exists() and any(given.work.iterdir()):
        parser.error(f"--work {given.work}: is not empty; choose another folder")
    with tempfile.TemporaryDirectory() as temporary:
        table, n_faults = measure(
            askers=given.askers,
            seconds=given.seconds,
            work=given.work or Path(temporary),
            console=Console(stderr=True),
            command=f"python -m evals.bench_page --askers {given.askers} --seconds {given.seconds:g}",
        )
    print(table)
    return 1 if n_faults else 0


if __name__ == "__main__":
    sys.exit(main())
