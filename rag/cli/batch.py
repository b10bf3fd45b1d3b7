"""JSONL in, JSONL out: one question per line, one record per line, in the same order and in constant memory.

A line that cannot be answered becomes a record with ``error`` and does not affect the others.
"""

import json
import os
from collections.abc import Callable
from typing import IO, Any, NoReturn

from rag.errors import IndexUnusable, ModelUnavailable, RagError
from rag.records import Record, dumped, error_record

MAX_LINE_BYTES = 10 * 1024 * 1024  # a question with its history takes a few kilobytes


def run_batch(
    questions: IO[bytes],
    records: IO[str],
    answer: Callable[[dict[str, Any]], Record],
    *,
    on_progress: Callable[[int, int, str], None] = lambda *_: None,
) -> int:
    """Write a record for each line that is not blank, and return the number of records with an error.

    IndexUnusable and ModelUnavailable would recur on every line, so they end the run. on_progress: bytes read, total
    bytes (0 for a pipe, whose size is unknown), and a label for the current work.
    """
    n_bytes, n_read, n_failed = _size(questions), 0, 0
    while raw := questions.readline(MAX_LINE_BYTES):
        n_read += len(raw)
        is_whole = raw.endswith(b"\n") or len(raw) < MAX_LINE_BYTES
        if not is_whole:
            n_read += _skip_line(questions)
        if raw.strip():
            record = _answered(raw, answer) if is_whole else error_record("line is larger than 10 MB; nobody asks that")
            n_failed += "error" in record
            records.write(dumped(record) + "\n")
            records.flush()
        on_progress(n_read, n_bytes, "questions")
    return n_failed


def _size(file: IO[bytes]) -> int:
    if not file.seekable():
        return 0
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    return n_bytes


def _skip_line(questions: IO[bytes]) -> int:
    n_read = 0
    while rest := questions.readline(MAX_LINE_BYTES):
        n_read += len(rest)
        if rest.endswith(b"\n"):
            break
    return n_read


def _answered(raw: bytes, answer: Callable[[dict[str, Any]], Record]) -> Record:
    try:
        line = json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested too deeply
        return error_record(f"line is not JSON: {str(error).splitlines()[0][:200]}")
    if not isinstance(line, dict):
        return error_record('line is not a JSON object; write {"id": …, "question": …}')
    if problem := _problem(line):
        return error_record(problem, question_id=line.get("id"))
    try:
        return answer(line)
    except (IndexUnusable, ModelUnavailable):
        raise
    except RagError as error:
        return error_record(str(error), question_id=line.get("id"))
    except Exception as error:  # noqa: BLE001 - an error affects this line only
        return error_record(f"unexpected {type(error).__name__}: {error}", question_id=line.get("id"))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def _problem(line: dict[str, Any]) -> str | None:
    if not isinstance(line.get("question"), str):
        return "'question' is missing or not a text"
    history = line.get("history") or []
    if not isinstance(history, list) or not all(_is_turn(turn) for turn in history):
        return "'history' is not a list of [question, answer] pairs of texts"
    return None


def _is_turn(turn: object) -> bool:
    return isinstance(turn, list) and len(turn) == 2 and all(isinstance(text, str) for text in turn)
