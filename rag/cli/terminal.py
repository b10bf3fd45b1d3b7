"""What programs of this project show on a terminal beside their results: progress, and errors of one line.

rich is imported when a bar is first needed.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag.text.characters import printable

if TYPE_CHECKING:
    from rag.index import OnProgress

UNWRAPPED_COLUMNS = 1_000_000  # of a file or pipe, where nothing is to be wrapped


def fail(line: str, code: int, *, program: str = "rag") -> int:
    """Say on standard error what went wrong, in one line, and return the exit code."""
    sys.stderr.write(f"{program}: {printable(' '.join(line.split()))}\n")
    return code


@contextmanager
def progress() -> Iterator["OnProgress"]:
    """Show how far the work is on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("ingest", total=None)
        yield lambda done, total, at_work: bar.update(task, completed=done, total=total, description=at_work)
