"""Options of a question, with the same names, wording, bounds and defaults on every surface."""

import datetime as dt
from typing import Any, get_args

from rag.errors import UsageError
from rag.values import Mode

MAX_TOP_K = 100
_MODES: tuple[Mode, ...] = get_args(Mode)
MODE = "Verbatim quotes, or checked sentences by the language model; the latter where one is configured."
SOURCE = "Only this document, or this folder of documents."
SINCE = "Only documents dated on or after this day, YYYY-MM-DD."
UNTIL = "Only documents dated on or before this day, YYYY-MM-DD."
TOP_K = f"Number of passages, at most {MAX_TOP_K}; RAG_TOP_K, else 10."


def filters(source: str | None, since: str | None, until: str | None, *, prefix: str = "") -> dict[str, Any]:
    """Parse strings into the arguments of ``Rag.ask`` and ``Rag.search`` that select documents.

    prefix: put before option names in errors. Raises UsageError for an invalid date.
    """
    return {
        "source": source or None,
        "since": _day(f"{prefix}since", since),
        "until": _day(f"{prefix}until", until),
    }


def checked_mode(mode: object) -> Mode | None:
    """Return the mode, or None for the default; raises UsageError for an unknown one."""
    for known in _MODES:
        if mode == known:
            return known
    if mode is not None:
        raise UsageError(f"mode is {mode!r}; give one of {', '.join(_MODES)}")
    return None


def checked_top_k(top_k: object) -> int | None:
    """Return the number of passages, or None for the default; raises UsageError for an invalid one."""
    if top_k is not None and (type(top_k) is not int or not 1 <= top_k <= MAX_TOP_K):
        raise UsageError(f"top_k is {top_k!r}; give a whole number from 1 to {MAX_TOP_K}")
    return top_k


def _day(name: str, text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} {text}: not a day; write it as YYYY-MM-DD") from error
