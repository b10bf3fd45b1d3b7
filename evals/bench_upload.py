"""What a hostile upload costs those who ask meanwhile: their times with it and without, in turns.

    python -m evals.bench_upload [--askers 2] [--seconds 60] [--rounds 2] [--work DIR]

Starts ``rag serve`` over a copy of the seeds. Askers ask one gold question after the other by /v1; in every other turn
somebody uploads, again and again, files that are made to take long: markers, brackets, dots and spaces without end,
lines of one character, a sentence that never ends. Prints a Markdown table. Loopback only, and it ends by itself.
"""

import argparse
import contextlib
import datetime as dt
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from rich.console import Console

from .bench_page import GOLD, PATIENCE_S, SEEDS, by_v1, rag_command, serving
from .bench_pipeline import Table, machine, percentiles
from .gold import Question, load

MAX_ASKERS, MAX_SECONDS, MAX_ROUNDS = 16, 600, 10
HOSTILE = (".[1", "[", ".", " a\n", "a, ", "no ", "“", "Mr. ", "1.", "(a) ")
FILE_BYTES = 1024 * 1024


def uploading(url: str, over: threading.Event) -> int:
    """Upload hostile files, each one new to the library, until it is over; return how many."""
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        for n in itertools.count():
            piece = HOSTILE[n % len(HOSTILE)]
            body = (f"Upload {n}\n\n" + piece * (FILE_BYTES // len(piece))).encode()
            with (
                contextlib.suppress(httpx.TransportError),
                client.stream("POST", "/upload", files={"files": (f"{n}.txt", body)}) as answered,
            ):
                for _ in answered.iter_lines():
                    if over.is_set():
                        return n + 1
    raise AssertionError("without end")


def times(url: str, questions: Sequence[Question], *, askers: int, seconds: float) -> list[float]:
    """Ask for so long and return the milliseconds of each answer."""

    def ask(number: int) -> list[float]:
        client, spent = by_v1(url), list[float]()
        until = time.monotonic() + seconds
        for question in itertools.islice(itertools.cycle(questions), number * 7, None):
            start = time.monotonic()
            if start >= until:
                break
            client(question)
            spent.append((time.monotonic() - start) * 1000)
        return spent

    with ThreadPoolExecutor(askers) as threads:
        return [each for spent in threads.map(ask, range(askers)) for each in spent]


def measure(*, askers: int, seconds: float, rounds: int, work: Path, command: str) -> str:
    """Measure; return the table in Markdown. work: an empty folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    seeds, index = work / "seeds", work / "index"
    shutil.copytree(SEEDS, seeds)
    subprocess.run(  # noqa: S603 - our own
        rag_command("ingest", seeds, "--index", index), stdout=subprocess.DEVNULL, env=environment, check=True
    )
    questions = load(GOLD)
    alone, beside, n_uploads = list[list[float]](), list[list[float]](), 0
    with serving(index, environment) as url, ThreadPoolExecutor(1) as thread:
        times(url, questions[:1], askers=1, seconds=1)  # the first question waits for the models
        for _ in range(rounds):
            alone.append(times(url, questions, askers=askers, seconds=seconds))
            over = threading.Event()
            uploads = thread.submit(uploading, url, over)
            beside.append(times(url, questions, askers=askers, seconds=seconds))
            over.set()
            n_uploads += uploads.result()
    table = Table(Console(stderr=True))
    table.add("command", f"`{command}`")
    table.add("machine", machine())
    table.add("date", dt.datetime.now(dt.UTC).date().isoformat())
    for name, turns in (("alone", alone), ("beside uploads", beside)):
        spent = [each for turn in turns for each in turn]
        table.add(f"a question {name}", percentiles(spent), f"{len(spent):,} answers by {askers} askers")
    ratios = [np.percentile(b, 95) / np.percentile(a, 95) for a, b in zip(alone, beside, strict=True)]
    table.add("p95 beside / alone", ", ".join(f"{ratio:.2f}" for ratio in ratios), f"{n_uploads} uploads of 1 MB begun")
    return table.markdown()


def main() -> int:
    """Read the arguments, measure, print the table."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench_upload", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--askers", type=int, default=2, help="asking at the same time (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="of each turn (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="of a turn without and one with (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="empty folder for documents and index; else a temporary one")
    given = parser.parse_args()
    if not (1 <= given.askers <= MAX_ASKERS and 1 <= given.seconds <= MAX_SECONDS and 1 <= given.rounds <= MAX_ROUNDS):
        parser.error(f"--askers up to {MAX_ASKERS}, --seconds up to {MAX_SECONDS}, --rounds up to {MAX_ROUNDS}")
    if given.work and given.work.exists() and any(given.work.iterdir()):
        parser.error(f"--work {given.work}: is not empty; choose another folder")
    arguments = f"--askers {given.askers} --seconds {given.seconds:g} --rounds {given.rounds}"
    with tempfile.TemporaryDirectory() as temporary:
        print(
            measure(
                askers=given.askers,
                seconds=given.seconds,
                rounds=given.rounds,
                work=given.work or Path(temporary),
                command=f"python -m evals.bench_upload {arguments}",
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
