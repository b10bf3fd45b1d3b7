"""Reads and indexes files in separate processes, so that questions do not have to wait for them.

One process checks whether files can be read, with time and memory limits for each file, so that a harmful file affects
only its own result. Another updates the index. Both run at a lower priority than the server. Requests and answers are
lines of JSON on standard input and output.
"""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from rag import errors
from rag.config import SECRET, Settings
from rag.engine import Rag
from rag.errors import DocumentError, RagError
from rag.index import IngestReport, OnProgress
from rag.web.server.limits import READ_MEMORY_MB, READ_S, READ_S_PER_MB

_NICE = 5  # questions take precedence on the same cores
_MB = 1024 * 1024


class ReadingFailed(RagError):
    """The process ended without reporting a result."""


class Reader(Protocol):
    """Checks and indexes files for the library."""

    def problem(self, path: Path) -> str | None:
        """Return the line that says why a file cannot be ingested, or None if it can."""

    def ingest(self, paths: Sequence[Path], *, on_progress: OnProgress) -> IngestReport:
        """Ingest like ``Rag.ingest``, raising the same errors, or ReadingFailed if the process ends prematurely."""


def reader(rag: Rag) -> AbstractContextManager[Reader]:
    """Return a reader for this engine; it uses other processes unless the encoder exists only in this one."""
    return Background(rag.settings) if not rag.has_own_encoder else nullcontext(Foreground(rag))


class Foreground:
    """Reads files in this process."""

    def __init__(self, rag: Rag) -> None:
        self._rag = rag

    def problem(self, path: Path) -> str | None:
        """Return why a file cannot be ingested, or None if it can."""
        outcome = next(iter(self._rag.preview([path])))
        return str(outcome) if isinstance(outcome, DocumentError) else None

    def ingest(self, paths: Sequence[Path], *, on_progress: OnProgress) -> IngestReport:
        """Bring the index up to date with these files."""
        return self._rag.ingest(paths, on_progress=on_progress)


# -- in the server -----------------------------------------------------------------------------------------------------


class Background:
    """Reads files in two processes, which live as long as the context."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._trying: _Process | None = None
        self._indexing = _Process(settings, "index")  # loads the model while files are being checked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in (self._trying, self._indexing):
            if process:
                process.end()

    def problem(self, path: Path) -> str | None:
        """Return why a file cannot be ingested, or None; exceeding a time or memory limit ends the checking process."""
        self._trying = self._trying or _Process(self._settings, "try")
        limit_s = READ_S + READ_S_PER_MB * path.stat().st_size / _MB
        until = time.monotonic() + limit_s
        timer = threading.Timer(limit_s, self._trying.kill)
        timer.start()
        said = next(self._trying.ask([str(path)]), None)
        timer.cancel()
        has_expired = time.monotonic() > until
        if said is None or has_expired:  # the process has ended, or is about to
            self._trying.end()
            self._trying = None
        if said is not None:
            problem: str | None = said["problem"]
            return problem
        if has_expired:
            return f"{path}: takes longer than {limit_s:.0f} seconds to read; split it, or save it as plain text"
        return f"{path}: cannot be read within {READ_MEMORY_MB:,} MB; split it, or save it as plain text"

    def ingest(self, paths: Sequence[Path], *, on_progress: OnProgress) -> IngestReport:
        """Bring the index up to date with these files."""
        for said in self._indexing.ask([str(path) for path in paths]):
            if "progress" in said:
                on_progress(*said["progress"])
            elif "error" in said:
                raise _error(*said["error"])
            else:
                return _report(said["report"])
        raise ReadingFailed("the files were not taken in: the process that reads them has ended; try again")


class _Process:
    """A process that does one kind of work: ``try`` or ``index``."""

    def __init__(self, settings: Settings, kind: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - runs this module with fixed arguments
            [sys.executable, "-m", "rag.web.server.background", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(kind),
        )
        given = settings.model_dump(mode="json", exclude=set(SECRET))
        self._send({"settings": given, "memory_mb": READ_MEMORY_MB if kind == "try" else 0})

    def ask(self, paths: Sequence[str]) -> Iterator[Any]:
        """Send paths to the process and yield its messages until it ends."""
        assert self._process.stdout
        self._send(paths)
        return map(json.loads, self._process.stdout)

    def kill(self) -> None:
        """Kill the process; a pending ``ask`` ends without an answer."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process, close its pipes and wait for it."""
        self.kill()
        with suppress(OSError):  # the pipe may have no reader any more
            self._process.__exit__(None, None, None)

    def _send(self, message: object) -> None:
        assert self._process.stdin
        with suppress(OSError):  # the process has ended, which ``ask`` notices
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()


def _environment(kind: str) -> dict[str, str]:
    """Return this process's environment without the settings, which are sent as JSON; ``try`` gets single threads."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("RAG_")}
    few = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
    return inherited | few if kind == "try" else inherited


def _error(kind: str, line: str) -> RagError:
    known = getattr(errors, kind, RagError)
    return ReadingFailed(line) if issubclass(known, DocumentError) else known(line)


def _report(said: dict[str, Any]) -> IngestReport:
    lists = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
    return IngestReport(**{**said, **lists, "failed": tuple((path, line) for path, line in said["failed"])})


# -- in the process ----------------------------------------------------------------------------------------------------


def main(kind: str) -> None:
    """Process the lines on standard input: first the settings, then the paths of each request."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # keeps output of libraries out of the answers
    if hasattr(os, "nice"):
        os.nice(_NICE)
    begun = json.loads(sys.stdin.readline())
    rag = Rag(Settings(**begun["settings"]))
    if kind == "try":
        _limit_memory(begun["memory_mb"] * _MB)
    else:
        with suppress(RagError):  # the ingest hits and reports the same error
            rag.warm_up_encoder()
    for line in sys.stdin:
        paths = [Path(path) for path in json.loads(line)]
        if kind == "try":
            _say(out, {"problem": Foreground(rag).problem(paths[0])})
        else:
            _say(out, _ingested(rag, paths, lambda *sign: _say(out, {"progress": sign})))


def _ingested(rag: Rag, paths: Sequence[Path], on_progress: Callable[[int, int, str], None]) -> dict[str, Any]:
    try:
        return {"report": dataclasses.asdict(rag.ingest(paths, on_progress=on_progress))}
    except RagError as error:
        return {"error": [type(error).__name__, str(error)]}


def _limit_memory(n_bytes: int) -> None:
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit, macOS may refuse it
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


def _say(out: IO[str], answer: dict[str, Any]) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
