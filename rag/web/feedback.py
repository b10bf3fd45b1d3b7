"""Readers' verdicts on answers, stored beside the index for ``rag eval --from-feedback``.

Each verdict is one line of JSON with the keys documented in ``evals/feedback.py``.
"""

import datetime as dt
import os
from io import FileIO
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field

from rag.errors import IndexUnusable, UsageError
from rag.records import Record, dumped
from rag.values import History
from rag.web.turn import Verdict

FILE = "feedback.jsonl"
MAX_COMMENT_CHARS = 2000  # enough for a remark
_MAX_LINE_BYTES = 512 * 1024  # of what is stored of a verdict: the answer and the conversation before it
_WAIT_S = 10  # for another writer to finish its line, which takes milliseconds


class Judgement(BaseModel):
    """A reader's verdict on a turn, as the page sends it."""

    model_config = ConfigDict(frozen=True)

    turn: int = Field(ge=1)
    verdict: Verdict
    comment: str = Field("", max_length=MAX_COMMENT_CHARS)


def store(folder: Path, *, verdict: Verdict, comment: str, history: History, record: Record) -> None:
    """Append a verdict to the file in the index folder, as a whole line or not at all.

    Raises UsageError if it is too large, and IndexUnusable.
    """
    line = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "verdict": verdict,
        "comment": comment.strip() or None,
        "history": [list(turn) for turn in history],
        "record": record,
    }
    written = dumped(line).encode() + b"\n"
    if len(written) > _MAX_LINE_BYTES:
        raise UsageError(f"the conversation is larger than {_MAX_LINE_BYTES // 1024} KB, so the verdict was not stored")
    try:
        with FileLock(folder / f"{FILE}.lock", timeout=_WAIT_S), (folder / FILE).open("ab", buffering=0) as file:
            _append(file, _end_of_cut_line(folder / FILE) + written)
    except (OSError, TimeoutError) as error:
        raise IndexUnusable(f"{folder / FILE}: the verdict was not stored ({error}); try again") from error


def _append(file: FileIO, line: bytes) -> None:
    before = file.seek(0, os.SEEK_END)
    try:
        while line:  # a nearly full disk may accept only part of the line
            line = line[file.write(line) :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise


def _end_of_cut_line(path: Path) -> bytes:
    r"""Return ``\n`` if the file ends mid-line, as after a power cut."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return b""
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"
