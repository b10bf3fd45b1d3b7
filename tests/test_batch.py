"""Questions line by line: every line gets its record, in order, whatever stands in it."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag import Rag
from rag.cli.batch import run_batch
from rag.errors import IndexDamaged, ModelUnavailable, UsageError
from rag.records import ask_record

Record = dict[str, Any]


def echo(line: Record) -> Record:
    return {"id": line.get("id"), "question": line["question"], "history": line.get("history")}


def run(raw: bytes, answer: Callable[[Record], Record] = echo) -> tuple[int, list[Record]]:
    """Return the count of errors and the records, which are strict JSON, a line each."""
    written = io.StringIO()
    n_failed = run_batch(io.BytesIO(raw), written, answer)
    lines = written.getvalue().split("\n")
    assert lines.pop() == "", "every record ends its line"
    return n_failed, [json.loads(line, parse_constant=_no_constant) for line in lines]


def _no_constant(name: str) -> object:
    raise AssertionError(f"{name} is no JSON")


def jsonl(*lines: object) -> bytes:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def test_records_come_in_the_order_of_the_lines():
    lines = [{"id": f"q{i}", "question": f"Question {i}?"} for i in (3, 1, 2, 10, 0)]
    n_failed, records = run(jsonl(*lines))
    assert n_failed == 0
    assert [record["id"] for record in records] == ["q3", "q1", "q2", "q10", "q0"]
    assert [record["question"] for record in records] == [line["question"] for line in lines]


def test_blank_lines_are_no_questions():
    raw = b"\n  \t\r\n" + jsonl({"id": 1, "question": "a"}) + b"\n\n" + jsonl({"id": 2, "question": "b"}) + b"   "
    assert [record["id"] for record in run(raw)[1]] == [1, 2]
    assert run(b"") == (0, [])
    assert run(b"\n\n") == (0, [])


def test_the_last_line_needs_no_end():
    assert run(b'{"id": 1, "question": "a"}')[1] == [{"id": 1, "question": "a", "history": None}]


def test_a_byte_order_mark_and_windows_line_ends_are_read():
    raw = b'\xef\xbb\xbf{"id": 1, "question": "a"}\r\n{"id": 2, "question": "b"}\r\n'
    assert [(r["id"], r["question"]) for r in run(raw)[1]] == [(1, "a"), (2, "b")]


def test_characters_of_any_script_arrive_as_they_are():
    assert run(jsonl({"id": "ї", "question": "Хто? 誰? 🦉\u2028"}))[1][0]["question"] == "Хто? 誰? 🦉\u2028"


MALFORMED = {
    "no JSON": (b"Who won?", None, "not JSON"),
    "half an object": (b'{"id": "x", "question": "Who', None, "not JSON"),
    "a list": (b'["x", "Who?"]', None, "not a JSON object"),
    "a text": (b'"Who?"', None, "not a JSON object"),
    "null": (b"null", None, "not a JSON object"),
    "no question": (b'{"id": "x"}', "x", "'question'"),
    "a question that is a number": (b'{"id": "x", "question": 7}', "x", "'question'"),
    "a question that is null": (b'{"id": "x", "question": null}', "x", "'question'"),
    "a question that is a list": (b'{"id": "x", "question": ["Who?"]}', "x", "'question'"),
    "a history that is a text": (b'{"id": "x", "question": "a", "history": "b"}', "x", "'history'"),
    "a history of texts": (b'{"id": "x", "question": "a", "history": ["bc"]}', "x", "'history'"),
    "a history of a single": (b'{"id": "x", "question": "a", "history": [["b"]]}', "x", "'history'"),
    "a history of numbers": (b'{"id": "x", "question": "a", "history": [["b", 1]]}', "x", "'history'"),
    "a history of objects": (b'{"id": "x", "question": "a", "history": [{"b": "c"}]}', "x", "'history'"),
    "bytes that are not UTF-8": (b'{"id": "x", "question": "caf\xe9?"}', None, "not JSON"),
    "a number of 5,000 digits": (b'{"id": ' + b"9" * 5000 + b', "question": "a"}', None, "not JSON"),
    "lists 100,000 deep": (b'{"id": "x", "question": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "not JSON"),
    "objects 100,000 deep": (b'{"question":' * 100_000 + b"1" + b"}" * 100_000, None, "not JSON"),
}


@pytest.mark.parametrize(("line", "line_id", "said"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_line_is_an_error_in_its_place(line: bytes, line_id: object, said: str):
    before, after = jsonl({"id": "before", "question": "a"}), jsonl({"id": "after", "question": "b"})
    n_failed, (first, error, last) = run(before + line + b"\n" + after)
    assert n_failed == 1
    assert (first["id"], last["id"]) == ("before", "after")
    assert list(error) == ["id", "error"]
    assert error["id"] == line_id
    assert said in error["error"]
    assert "\n" not in error["error"]
    assert len(error["error"]) < 400


def test_every_bad_line_is_counted():
    lines = b"".join(line + b"\n" for line, _, _ in MALFORMED.values())
    n_failed, records = run(lines + jsonl({"id": 1, "question": "a"}))
    assert n_failed == len(MALFORMED) == len(records) - 1


def test_a_line_of_11_mb_is_one_error_and_the_next_line_is_answered():
    long = b'{"id": "long", "question": "' + b"a" * (11 * 1024 * 1024) + b'"}\n'
    n_failed, records = run(long + jsonl({"id": "after", "question": "b"}))
    assert [record.get("question", "error") for record in records] == ["error", "b"]
    assert n_failed == 1
    assert "MB" in records[0]["error"], "the limit is named"


def test_what_follows_the_limit_inside_a_long_line_is_no_question_of_its_own():
    """The rest of a line that is too long must not be taken for a line, even where it reads as one."""
    inner = '{"id": "inner", "question": "b"}'
    padding = " " * (10 * 1024 * 1024 - len('{"id": 1, "x": "'))
    n_failed, records = run(f'{{"id": 1, "x": "{padding}{inner}\n'.encode())
    assert [record.get("id") for record in records] == [None]
    assert n_failed == 1


def test_an_id_that_is_no_json_number_does_not_break_the_output():
    records = run(b'{"id": NaN, "question": "a"}\n' + jsonl({"id": 2, "question": "b"}))[1]
    assert len(records) == 2
    assert records[1]["id"] == 2


@pytest.mark.parametrize("line", [rb'{"id": "\ud800", "question": "a"}', rb'{"id": 1, "question": "Who is \ud800?"}'])
def test_half_a_surrogate_pair_does_not_end_the_run(line: bytes, tmp_path: Path):
    """Valid JSON, but no text that could be written as UTF-8."""
    out = tmp_path / "out.jsonl"
    with out.open("w", encoding="utf-8") as written:
        run_batch(io.BytesIO(line + b"\n" + jsonl({"id": "after", "question": "b"})), written, echo)
    records = [json.loads(text) for text in out.read_text(encoding="utf-8").splitlines()]
    assert len(records) == 2
    assert records[1]["question"] == "b"


def test_half_a_surrogate_pair_in_a_question_is_not_the_end_of_real_answers(seeds: Rag):
    raw = rb'{"id": 1, "question": "Who is \ud800?"}' + b"\n" + jsonl({"id": 2, "question": "Who is Putin?"})
    _, records = run(raw, lambda line: ask_record(seeds.ask(line["question"]), question_id=line["id"]))
    assert [record["id"] for record in records] == [1, 2]
    assert records[1]["question"] == "Who is Putin?"


def test_an_error_of_one_question_stands_in_its_place_with_its_own_words():
    def refuse_b(line: Record) -> Record:
        if line["question"] == "b":
            raise UsageError("mode written: no language model is configured")
        return echo(line)

    n_failed, records = run(jsonl(*({"id": i, "question": q} for i, q in enumerate("abc"))), refuse_b)
    assert n_failed == 1
    assert records[1] == {"id": 1, "error": "mode written: no language model is configured"}
    assert [record["id"] for record in records] == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError("inside"), KeyError("inside"), TypeError("inside")])
def test_a_fault_of_the_program_is_no_fault_of_the_line(error: Exception):
    """Whether it ends the run or not: nobody is told that a line was not JSON when it was."""

    def fail(line: Record) -> Record:
        raise error

    said = ""
    try:
        said = run(jsonl({"id": 1, "question": "a"}), fail)[1][0]["error"]
    except type(error) as raised:
        said = str(raised)
    assert "inside" in said
    assert "not JSON" not in said


@pytest.mark.parametrize("error", [IndexDamaged("gone; run rag ingest"), ModelUnavailable("gone; install it")])
def test_what_is_wrong_for_every_line_ends_the_run(error: Exception):
    asked: list[str] = []

    def answer(line: Record) -> Record:
        asked.append(line["question"])
        if len(asked) == 2:
            raise error
        return echo(line)

    written = io.StringIO()
    with pytest.raises(type(error), match="gone"):
        run_batch(io.BytesIO(jsonl(*({"question": q} for q in "abcd"))), written, answer)
    assert asked == ["a", "b"]
    assert [json.loads(line)["question"] for line in written.getvalue().splitlines()] == ["a"]


class Lines(io.RawIOBase):
    """A file of many lines that exists nowhere: each is made when it is read, and what was read is counted."""

    def __init__(self, n_lines: int) -> None:
        self.line = b'{"id": "%08d", "question": "Who?"}\n'
        self.width = len(self.line % 0)
        self.n_bytes = n_lines * self.width
        self.at = 0
        self.furthest = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + {0: 0, 1: self.at, 2: self.n_bytes}[whence]
        return self.at

    def readinto(self, buffer: Any) -> int:
        number, inside = divmod(self.at, self.width)
        part = (self.line % number)[inside:][: len(buffer)] if self.at < self.n_bytes else b""
        buffer[: len(part)] = part
        self.at += len(part)
        self.furthest = max(self.furthest, self.at)
        return len(part)


class Written(io.StringIO):
    """Notes how far the input was read whenever a record is written, and keeps no record."""

    def __init__(self, source: Lines) -> None:
        super().__init__()
        self.source = source
        self.read_before: list[int] = []

    def write(self, text: str) -> int:
        self.read_before.append(self.source.furthest)
        return len(text)


def test_no_more_is_read_than_the_line_at_work():
    source = Lines(2_000)
    written = Written(source)
    assert run_batch(io.BufferedReader(source, buffer_size=256), written, echo) == 0
    assert len(written.read_before) == 2_000
    ahead = [read - (i + 1) * source.width for i, read in enumerate(written.read_before)]
    assert max(ahead) <= 256, "bytes read beyond the line whose record is written"
    assert written.read_before[0] < source.n_bytes / 100


def test_a_record_can_be_read_as_soon_as_it_is_written(tmp_path: Path):
    out, seen = tmp_path / "out.jsonl", []

    def answer(line: Record) -> Record:
        seen.append(len(out.read_text(encoding="utf-8").splitlines()))
        return echo(line)

    with out.open("w", encoding="utf-8") as written:
        run_batch(io.BytesIO(jsonl(*({"question": q} for q in "abc"))), written, answer)
    assert seen == [0, 1, 2]


def test_progress_counts_the_bytes_of_the_file():
    raw = jsonl({"question": "a"}) + b"\n" + b"no JSON\n"
    told: list[tuple[int, int]] = []
    run_batch(io.BytesIO(raw), io.StringIO(), echo, on_progress=lambda done, total, _: told.append((done, total)))
    assert [total for _, total in told] == [len(raw)] * 3
    assert [done for done, _ in told] == [len(jsonl({"question": "a"})), len(raw) - 8, len(raw)]


def test_answers_do_not_depend_on_the_lines_around_them(seeds: Rag):
    question = jsonl({"id": 1, "question": "Who won the early presidential election with over 81% of the vote?"})

    def answer(line: Record) -> Record:
        record = ask_record(seeds.ask(line["question"]), question_id=line.get("id"))
        return {**record, "trace": None}

    bad = [line + b"\n" for line, _, _ in MALFORMED.values()]
    alone = run(question, answer)[1]
    among = run(b"".join(bad) + question + b"".join(bad), answer)[1]
    assert alone[0]["answered"]
    assert among[len(bad)] == alone[0]
