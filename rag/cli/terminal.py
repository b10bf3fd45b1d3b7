"""Progress bars and one-line errors for the command line programs of this project.

rich is imported only when a progress bar is needed.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag.text.characters import printable

if TYPE_CHECKING:
    from rag.index import OnProgress

UNWRAPPED_COLUMNS = 1_000_000  # width for files and pipes, where nothing should wrap


def fail(line: str, code: int, *, program: str = "rag") -> int:
    """Print a one-line error to standard error and return the exit code."""
    sys.stderr.write(f"{program}: {printable(' '.join(line.split()))}\n")
    return code


@contextmanager
def progress() -> Iterator["OnProgress"]:
    """Show a progress bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("ingest", total=None)
        yield lambda done, total, at_work: bar.update(task, completed=done, total=total, description=at_work)
