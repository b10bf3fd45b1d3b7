"""The tools for language models: asked by a real MCP client, over standard input and output."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.types import CallToolResult

from rag import Rag, Settings
from rag.answer_text import plain_text
from rag.cli import main
from rag.integrations.mcp import server
from rag.records import ask_record, search_record

RAG = str(Path(sys.executable).parent / "rag")
SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"
WAIT_S = 120

ELECTION = "Who won the early presidential election with over 81% of the vote?"
OFF_TOPIC = "What is the boiling point of tungsten?"


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "FOOTNOTE_"))}


def with_client(index: Path, use: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    """Start ``rag mcp``, connect to it and use it."""

    async def connected() -> Any:
        parameters = StdioServerParameters(command=RAG, args=["mcp", "--index", str(index)], env=environment())
        with anyio.fail_after(WAIT_S):
            async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
                await session.initialize()
                return await use(session)

    return in_a_thread(connected)


def in_a_thread(work: Callable[..., Awaitable[Any]], *arguments: object) -> Any:
    """Run it in an event loop of its own: the browser of other tests keeps one in the main thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, work, *arguments).result()


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("ask_documents", {"question": ELECTION}),
    ("ask_documents", {"question": OFF_TOPIC}),
    ("ask_documents", {"question": ELECTION, "until": "1999-12-31"}),
    ("ask_documents", {"question": ELECTION, "source": "000_7ba066b34c146bee.txt"}),
    ("search_documents", {"question": ELECTION, "top_k": 3, "since": "2022-01-01"}),
    ("search_documents", {"question": "?"}),
    ("ask_documents", {"question": 7}),
    ("ask_documents", {}),
    ("ask_documents", {"question": ELECTION, "since": "yesterday"}),
    ("ask_documents", {"question": ELECTION, "mode": "sung"}),
    ("search_documents", {"question": ELECTION, "top_k": 0}),
    ("forget_documents", {}),
]


@pytest.fixture(scope="module")
def replies(seeds_index: Path) -> dict[str, Any]:
    """What one client got for one call after the other, and what it sees of the tools."""

    async def use(session: ClientSession) -> dict[str, Any]:
        called = [await session.call_tool(name, given) for name, given in CALLS]
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        return {"tools": tools, **{json.dumps(call): done for call, done in zip(CALLS, called, strict=True)}}

    found: dict[str, Any] = with_client(seeds_index, use)
    return found


def reply(replies: dict[str, Any], number: int) -> CallToolResult:
    found: CallToolResult = replies[json.dumps(CALLS[number])]
    return found


def text(done: CallToolResult) -> str:
    (content,) = done.content
    assert content.type == "text"
    return content.text


def comparable(record: Any) -> Any:
    return {**record, "trace": {**record["trace"], "timings_ms": list(record["trace"]["timings_ms"])}}


@pytest.mark.parametrize("number", [0, 1, 3])
def test_an_answer_is_the_record_of_the_engine_and_its_text_with_footnotes(
    replies: dict[str, Any], seeds: Rag, number: int
):
    given = CALLS[number][1]
    result = seeds.ask(given["question"], source=given.get("source"))
    done = reply(replies, number)
    assert not done.is_error
    assert comparable(done.structured_content) == comparable(ask_record(result))
    assert text(done) == plain_text(result)


def test_what_was_asked_for_is_what_is_searched(replies: dict[str, Any]):
    assert reply(replies, 0).structured_content["answered"]
    assert not reply(replies, 2).structured_content["answered"]
    nearest = reply(replies, 3).structured_content["nearest"]
    assert {hit["source"] for hit in nearest} <= {"000_7ba066b34c146bee.txt"}


def test_a_search_is_the_record_of_the_engine_and_its_passages(replies: dict[str, Any], seeds: Rag):
    hits = seeds.search(ELECTION, top_k=3, since=dt.date(2022, 1, 1))
    done = reply(replies, 4)
    assert done.structured_content == search_record(ELECTION, hits)
    assert all(hit.passage.text in text(done) for hit in hits)
    assert text(reply(replies, 5)) == "Nothing found."


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (6, "question: "),
        (7, "question: Field required"),
        (8, "since yesterday: not a day; write it as YYYY-MM-DD"),
        (9, "mode: "),
        (10, "top_k: "),
        (11, "forget_documents"),
    ],
)
def test_a_mistake_is_one_line(replies: dict[str, Any], number: int, line: str):
    done = reply(replies, number)
    assert done.is_error
    assert line in text(done)
    assert "\n" not in text(done)


def test_without_an_index_the_client_is_told_what_to_run(tmp_path: Path):
    without = Rag(Settings(index_dir=tmp_path / "none"))
    done = in_a_thread(server(without).call_tool, "ask_documents", {"question": ELECTION})
    assert isinstance(done, CallToolResult)
    assert done.is_error
    assert "run rag ingest" in text(done)


def test_an_unforeseen_error_keeps_what_it_says_to_itself(
    seeds: Rag, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret of a document")

    monkeypatch.setattr(seeds, "search", fail)
    done = in_a_thread(server(seeds).call_tool, "search_documents", {"question": ELECTION})
    assert isinstance(done, CallToolResult)
    assert done.is_error
    assert "secret" not in text(done) + caplog.text
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize(("tool", "schema"), [("ask_documents", "ask"), ("search_documents", "search")])
def test_the_type_of_a_result_has_the_keys_of_its_schema(replies: dict[str, Any], tool: str, schema: str):
    known = json.loads((SCHEMAS / f"{schema}.schema.json").read_text(encoding="utf-8"))
    typed = replies["tools"][tool].output_schema
    assert set(typed["properties"]) == set(known["properties"])
    for name, described in known["$defs"].items():
        assert set(typed["$defs"][name]["properties"]) == set(described["properties"])


def test_the_tools_say_what_they_take_and_that_they_only_read(replies: dict[str, Any]):
    tools = replies["tools"]
    assert set(tools) == {"ask_documents", "search_documents"}
    assert set(tools["ask_documents"].input_schema["properties"]) == {"question", "source", "since", "until", "mode"}
    assert set(tools["search_documents"].input_schema["properties"]) == {
        "question",
        "source",
        "since",
        "until",
        "top_k",
    }
    for tool in tools.values():
        assert tool.annotations.read_only_hint
        assert all(
            parameter.get("description") or "enum" in parameter
            for parameter in tool.input_schema["properties"].values()
        )


def test_standard_output_belongs_to_the_protocol(seeds_index: Path):
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    call = {"name": "ask_documents", "arguments": {"question": ELECTION}}
    asked = [
        {"id": 1, "method": "initialize", "params": about},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": call},
    ]
    lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in asked)
    with subprocess.Popen(
        [RAG, "mcp", "--index", str(seeds_index)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    ) as running:  # fmt: skip
        assert running.stdin
        assert running.stdout
        running.stdin.write(lines)
        running.stdin.flush()
        said = [json.loads(running.stdout.readline()) for _ in range(2)]
        rest, complaints = running.communicate(timeout=WAIT_S)
    assert [message["id"] for message in said] == [1, 2]
    assert said[1]["result"]["structuredContent"]["answered"]
    assert (running.returncode, rest, complaints) == (0, "", "")


def test_without_the_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delitem(sys.modules, "rag.integrations.mcp", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.server", None)
    monkeypatch.setattr("sys.argv", ["rag", "mcp"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err == "rag: mcp.server cannot be imported; pip install 'footnote-rag[mcp]'\n"
