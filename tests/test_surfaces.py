"""One pipeline: the same question gets the same record, whichever way it is asked."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from commands import RAG, environment, here, in_a_process
from gradio_client import Client
from llm_server import LlmServer, says
from serving import chat, served

from rag import Rag, Settings
from rag.integrations.mcp import server as mcp_server
from rag.models import SentenceEncoder
from rag.records import ask_record
from rag.web.conversation import Conversation, replies

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


WRITTEN = "Tokayev won the early presidential election with over 81% of the vote. [1]"


@pytest.mark.parametrize("writes", [True, False], ids=["with a language model", "without"])
def test_every_surface_answers_in_the_same_mode_by_default(
    writes: bool, seeds_index: Path, encoder: SentenceEncoder, llm_server: LlmServer, tmp_path: Path
):
    llm_server.behave = says(WRITTEN)
    model = {"llm_base_url": llm_server.url, "llm_model": "m"} if writes else {}
    variables = {f"RAG_{name.upper()}": value for name, value in model.items()}
    rag = Rag(Settings(index_dir=seeds_index, **model), encoder=encoder)
    modes = {"Python": ask_record(rag.ask(ELECTION))["mode"]}
    modes["command"] = json.loads(here("ask", ELECTION, "--index", seeds_index, "--json", **variables).stdout)["mode"]
    (tmp_path / "in.jsonl").write_text(json.dumps({"question": ELECTION}), encoding="utf-8")
    here("ask", "--batch", tmp_path / "in.jsonl", "--out", tmp_path / "out", "--index", seeds_index, **variables)
    modes["batch"] = json.loads((tmp_path / "out").read_text(encoding="utf-8"))["mode"]
    with ThreadPoolExecutor(1) as thread:  # an event loop of its own: browser tests keep one in the main thread
        called = thread.submit(anyio.run, mcp_server(rag).call_tool, "ask_documents", {"question": ELECTION}).result()
    modes["MCP"] = called.structured_content["mode"]
    with served(rag) as url:
        modes["/v1"] = chat(url).json()["choices"][0]["message"]["footnote"]["mode"]
        client = Client(url, verbose=False)
        modes["/ask"] = client.predict(ELECTION, api_name="/ask")["mode"]
        client.close()
    conversation = Conversation()
    *_, turn = replies(rag, conversation.begin(ELECTION, ""))
    assert turn.result
    modes["page"] = turn.result.mode
    rag.close()
    assert modes == dict.fromkeys(modes, "written" if writes else "quotes")
    assert len(modes) == 7


def test_the_number_of_passages_is_that_of_the_setting_wherever_none_is_named(seeds_index: Path, seeds: Rag):
    found = json.loads(here("search", ELECTION, "--index", seeds_index, "--json", RAG_TOP_K="3").stdout)
    assert len(found["hits"]) == 3
    found = json.loads(here("search", ELECTION, "-k", "2", "--index", seeds_index, "--json", RAG_TOP_K="3").stdout)
    assert len(found["hits"]) == 2
    assert len(seeds.search(ELECTION)) == seeds.settings.top_k
