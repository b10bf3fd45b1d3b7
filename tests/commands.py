"""The command ``rag`` as tests run it: in a process of its own, or here, where nothing has to be imported again."""

import io
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from rag import Rag
from rag.cli import commands as cli

RAG = shutil.which("rag", path=str(Path(sys.executable).parent)) or "rag is not installed beside this Python"
WAIT_S = 300
Done = subprocess.CompletedProcess[str]


def environment(**settings: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "FOOTNOTE_"))}
    return clean | settings


def in_a_process(*arguments: object, **settings: str) -> Done:
    """Run the installed command: what the console script, the streams and a fresh interpreter make of it."""
    return subprocess.run(
        [RAG, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(**settings),
        timeout=WAIT_S,
        check=False,
    )


def here(*arguments: object, **settings: str) -> Done:
    """Run the same command line in this process, with models of its own."""
    opened: list[Rag] = []

    def open_(*given: object, **named: object) -> Rag:
        opened.append(make(*given, **named))
        return opened[-1]

    make, out, err = cli._rag, io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in os.environ.keys() - environment():
            patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr("sys.argv", ["rag", *map(str, arguments)])
        patch.setattr(cli, "_rag", open_)  # to be closed, which the end of a process does for a command
        try:
            with pytest.raises(SystemExit) as ended:
                cli.main()
        finally:
            for rag in opened:
                rag.close()
    return Done(arguments, int(ended.value.code or 0), out.getvalue(), err.getvalue())
