"""JSONL in, JSONL out: one question a line, one record a line, in the same order and in constant memory.

A line that cannot be answered becomes a record with ``error`` and stops nothing.
"""

import json
from collections.abc import Callable
from typing import IO, Any

from rag.errors import IndexUnusable, ModelUnavailable, RagError
from rag.records import Record, error_record

MAX_LINE_BYTES = 10 * 1024 * 1024


def run_batch(
    questions: IO[bytes],
    records: IO[str],
    answer: Callable[[dict[str, Any]], Record],
    *,
    on_progress: Callable[[int, int, str], None] = lambda *_: None,
) -> int:
    """Write a record for each line that is not blank and return how many hold an error.

    What is wrong with the index or a model would be wrong for every line, so IndexUnusable and ModelUnavailable end the
    run. on_progress: bytes read, bytes in all, and what is at work.
    """
    questions.seek(0, 2)
    n_bytes, n_failed = questions.tell(), 0
    questions.seek(0)
    while raw := questions.readline(MAX_LINE_BYTES):
        if raw.strip():
            record = _answered(raw, answer)
            n_failed += "error" in record
            records.write(json.dumps(record, ensure_ascii=False) + "\n")
            records.flush()
        on_progress(questions.tell(), n_bytes, "questions")
    return n_failed


def _answered(raw: bytes, answer: Callable[[dict[str, Any]], Record]) -> Record:
    question_id = None
    try:
        line = json.loads(raw)
        if not isinstance(line, dict):
            return error_record('line is not a JSON object; write {"id": …, "question": …}')
        question_id = line.get("id")
        if problem := _problem(line):
            return error_record(problem, question_id=question_id)
        return answer(line)
    except (IndexUnusable, ModelUnavailable):
        raise
    except RagError as error:
        return error_record(str(error), question_id=question_id)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested beyond reason
        return error_record(f"line is not JSON: {str(error).splitlines()[0][:200]}", question_id=question_id)


def _problem(line: dict[str, Any]) -> str | None:
    if not isinstance(line.get("question"), str):
        return "'question' is missing or not a text"
    history = line.get("history") or []
    if not isinstance(history, list) or not all(_is_turn(turn) for turn in history):
        return "'history' is not a list of [question, answer] pairs of texts"
    return None


def _is_turn(turn: object) -> bool:
    return isinstance(turn, list) and len(turn) == 2 and all(isinstance(text, str) for text in turn)
