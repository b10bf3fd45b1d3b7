"""The page's API: ``/ask`` and ``/search`` for gradio_client, returning the same records as every other surface.

The endpoints are part of the page's Blocks and so share the queue with its readers. No other part of the page is open
to programs.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio.events import api  # gr.api, which Gradio does not declare for type checkers

from rag.engine import Rag
from rag.errors import RagError, UsageError
from rag.question_options import checked_mode, checked_top_k, filters
from rag.records import ask_record, search_record
from rag.values import History, Mode

ENGINE = "engine"  # queue for everything that asks the engine
UNEXPECTED = "Something went wrong inside Footnote, and the question was not answered. Its log says what."
_log = logging.getLogger(__name__)


def add_endpoints(rag: Rag) -> None:
    """Add the endpoints to the Blocks under construction."""

    def ask(  # noqa: PLR0917 - programs give them by name or in this order
        question: str,
        history: list[list[str]] | None = None,
        source: str | None = None,
        since: str | None = None,
        until: str | None = None,
        mode: Mode | None = None,
    ) -> dict[str, Any]:
        """Answer a question from the documents, or say that they do not; the record of ``rag ask --json``."""
        with _told():
            turns = _pairs(history)
            chosen = filters(source, since, until)
            return ask_record(rag.ask(_text(question), history=turns, mode=checked_mode(mode), **chosen))

    def search(question: str, top_k: int | None = None) -> dict[str, Any]:
        """Find the passages nearest to a question; the record of ``rag search --json``."""
        with _told():
            return search_record(_text(question), rag.search(question, top_k=checked_top_k(top_k)))

    api(ask, api_name="ask", concurrency_id=ENGINE)
    api(search, api_name="search", concurrency_id=ENGINE)


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors into the single line that a program receives."""
    try:
        yield
    except RagError as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:
        report(error)
        raise gr.Error(UNEXPECTED, print_exception=False) from error


def _text(question: object) -> str:
    if not isinstance(question, str):
        raise UsageError(f"question is a {type(question).__name__}; give a text")
    return question


def _pairs(history: object) -> History:
    pairs = history or []
    if isinstance(pairs, list) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        return [(_text(asked), _text(answered)) for asked, answered in pairs]
    raise UsageError("history is a list of [question, answer] pairs, oldest first")


def report(error: Exception) -> None:
    """Log an unexpected error; the traceback only at level DEBUG, because messages may quote documents."""
    where = error if _log.isEnabledFor(logging.DEBUG) else None
    _log.error("a question ended in %s; FOOTNOTE_LOG=DEBUG shows where", type(error).__name__, exc_info=where)
