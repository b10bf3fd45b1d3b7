"""What readers thought of answers, kept beside the index for ``rag eval --from-feedback``.

A line of JSON for each verdict, with the keys that ``evals/feedback.py`` documents.
"""

import datetime as dt
import os
from io import FileIO
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field

from rag.errors import IndexUnusable
from rag.records import Record, dumped
from rag.values import History
from rag.web.turn import Verdict

FILE = "feedback.jsonl"
MAX_COMMENT_CHARS = 2000  # a remark; more is a document
_WAIT_S = 10  # for another page that is storing a line, which takes milliseconds


class Judgement(BaseModel):
    """A reader's verdict on a turn, as the page sends it."""

    model_config = ConfigDict(frozen=True)

    turn: int = Field(ge=1)
    verdict: Verdict
    comment: str = Field("", max_length=MAX_COMMENT_CHARS)


def store(folder: Path, *, verdict: Verdict, comment: str, history: History, record: Record) -> None:
    """Append a verdict to the file in the folder of the index: a whole line or nothing. Raises IndexUnusable."""
    line = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "verdict": verdict,
        "comment": comment.strip() or None,
        "history": [list(turn) for turn in history],
        "record": record,
    }
    try:
        with FileLock(folder / f"{FILE}.lock", timeout=_WAIT_S), (folder / FILE).open("ab", buffering=0) as file:
            _append(file, _end_of_cut_line(folder / FILE) + dumped(line).encode() + b"\n")
    except (OSError, TimeoutError) as error:
        raise IndexUnusable(f"{folder / FILE}: the verdict was not stored ({error}); try again") from error


def _append(file: FileIO, line: bytes) -> None:
    before = file.seek(0, os.SEEK_END)
    try:
        while line:  # a full disk takes a part first, and refuses the rest
            line = line[file.write(line) :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise


def _end_of_cut_line(path: Path) -> bytes:
    r"""Return ``\n`` if the file ends inside a line, as a power cut can leave it."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return b""
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"
