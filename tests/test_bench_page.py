"""The load test: that it sees what is wrong, and a short run of it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evals.bench_page import faults
from rag import Rag
from rag.records import ask_record

ROOT = Path(__file__).parents[1]
SEEDS = ROOT / "seeds"
ELECTION = "Who won the early presidential election with over 81% of the vote?"
OFF_TOPIC = "What is the boiling point of tungsten?"
ROWS = [
    "command", "machine", "date", "questions", "time by /v1", "time by /ask", "errors", "wrong places", "answered",
    "ingests meanwhile",
]  # fmt: skip


@pytest.fixture(scope="module")
def answered(seeds: Rag) -> dict[str, Any]:
    return ask_record(seeds.ask(ELECTION))


def test_what_the_engine_answers_has_no_fault(answered: dict[str, Any], seeds: Rag):
    assert answered["answered"]
    assert not list(faults(answered, [SEEDS]))
    assert not list(faults(ask_record(seeds.ask(OFF_TOPIC)), [SEEDS]))


def test_a_place_that_is_off_by_one_is_seen(answered: dict[str, Any], seeds: Rag):
    (first, *others) = answered["citations"]
    moved = {**answered, "citations": [{**first, "start": first["start"] + 1, "end": first["end"] + 1}, *others]}
    assert list(faults(moved, [SEEDS]))
    refused = ask_record(seeds.ask(OFF_TOPIC))
    refused["nearest"][0]["end"] -= 1
    assert list(faults(refused, [SEEDS]))


def test_a_claim_that_says_something_else_or_nothing_is_seen(answered: dict[str, Any]):
    (first, *others) = answered["claims"]
    assert list(faults({**answered, "claims": [{**first, "text": f"{first['text']} So it is."}, *others]}, [SEEDS]))
    assert list(faults({**answered, "claims": [{**first, "citations": [99]}, *others]}, [SEEDS]))
    assert list(faults({**answered, "claims": []}, [SEEDS]))


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    return subprocess.run(
        [sys.executable, "-m", "evals.bench_page", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=400,
        check=False,
    )


def test_a_short_run_finds_nothing_wrong():
    done = run("--askers", "2", "--seconds", "4")
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in done.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ROWS
    values = {row[0]: row[1] for row in rows}
    assert (values["errors"], values["wrong places"]) == ("0", "0")
    assert int(values["questions"].split()[0]) >= 2
    assert int(values["ingests meanwhile"]) >= 1


@pytest.mark.parametrize(
    "given", [["--askers", "0"], ["--askers", "1000"], ["--seconds", "0"], ["--seconds", "1e9"], ["--work", "seeds"]]
)
def test_a_run_without_bounds_is_refused(given: list[str]):
    done = run(*given)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
