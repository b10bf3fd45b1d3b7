"""One pipeline: the same question gets the same record, whichever way it is asked."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import RAG, environment, here, in_a_process
from gradio_client import Client

from rag import Rag
from rag.records import ask_record

ELECTION = "Who won the early presidential election with over 81% of the vote?"
QUESTIONS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "answerable": (ELECTION, []),
    "answered by several sources": ("What did Tokayev say about Putin's attitude towards friends and colleagues?", []),
    "unanswerable": ("What is the boiling point of tungsten?", []),
    "a follow-up": ("And where?", [(ELECTION, "Tokayev won the early presidential election. [1]")]),
    "a follow-up that is no question": ("Thanks!", [(ELECTION, "Tokayev won the early presidential election. [1]")]),
}
Records = dict[str, dict[str, Any]]


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """Everything but the id and how long things took; which stages ran, and in which order, stays."""
    return {**record, "id": None, "trace": {**record["trace"], "timings_ms": list(record["trace"]["timings_ms"])}}


@pytest.fixture(scope="module")
def by_python(seeds: Rag) -> Records:
    return {name: ask_record(seeds.ask(asked, history=before)) for name, (asked, before) in QUESTIONS.items()}


@pytest.fixture(scope="module")
def by_batch(seeds_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("batch")
    lines = [{"id": name, "question": asked, "history": before} for name, (asked, before) in QUESTIONS.items()]
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    done = in_a_process("ask", "--batch", folder / "in.jsonl", "--out", folder / "out.jsonl", "--index", seeds_index)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    records = [json.loads(line) for line in (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["id"] for record in records] == list(QUESTIONS)
    return {record["id"]: record for record in records}


@pytest.fixture(scope="module")
def page(seeds_index: Path) -> Iterator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with subprocess.Popen(
        [RAG, "serve", "--index", str(seeds_index), "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            assert line, server.communicate()[1]
            client = Client(line.split()[-1], verbose=False)
            yield client
            client.close()
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=60)


def test_the_questions_are_of_all_kinds(by_python: Records):
    answered = {name: record["answered"] for name, record in by_python.items()}
    assert answered["answerable"]
    assert answered["answered by several sources"]
    assert not answered["unanswerable"]
    assert not answered["a follow-up that is no question"]
    follow_up = by_python["a follow-up"]
    assert follow_up["standalone_question"] != follow_up["question"]
    assert len({record["text"] for record in by_python.values() if record["answered"]}) >= 2


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_batch_gives_the_records_of_the_python_interface(name: str, by_python: Records, by_batch: Records):
    assert comparable(by_batch[name]) == comparable(by_python[name])


@pytest.mark.parametrize("name", [name for name, (_, before) in QUESTIONS.items() if not before])
def test_the_command_gives_the_record_of_the_python_interface(name: str, by_python: Records, seeds_index: Path):
    """It has no option for a conversation: follow-ups go through ``--batch``, which is a process here."""
    record = json.loads(here("ask", QUESTIONS[name][0], "--index", seeds_index, "--json").stdout)
    assert record["id"] is None
    assert comparable(record) == comparable(by_python[name])


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_page_gives_programs_the_record_of_the_python_interface(name: str, by_python: Records, page: Client):
    asked, before = QUESTIONS[name]
    record = page.predict(asked, history=[list(turn) for turn in before], api_name="/ask")
    assert comparable(record) == comparable(by_python[name])
