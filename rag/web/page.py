"""The chat page: components, what happens when a question is asked, and the two endpoints for programs.

Everything it shows comes from ``Rag.stream`` and is put into HTML by ``rag.web.rendering``; everything a program gets
is a record of ``rag.records``. This module knows Gradio and no part of the pipeline.
"""

import datetime as dt
import errno
import ipaddress
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib.resources import files
from typing import Any

import gradio as gr
from gradio.events import api  # gr.api, which Gradio does not declare for type checkers

from rag.engine import Rag, Stage
from rag.errors import PortInUse, RagError, UsageError
from rag.records import ask_record, search_record
from rag.types import Answer, Claim, History
from rag.web.examples import example_questions
from rag.web.rendering import Turn, conversation_html, evidence_html, opening_html, unavailable_html

_AT_ONCE = 4  # questions in work; the encoder takes them one after the other, so that more only makes all of them wait
_WAITING = 64  # in the queue; who comes later is told so at once
_UNEXPECTED = "Something went wrong inside Footnote, and the question was not answered. Its log says what."
_ENGINE = "engine"  # the queue's name for all that asks the engine
_log = logging.getLogger(__name__)

Turns = tuple[Turn, ...]


def serve(rag: Rag) -> None:
    """Open the page at the address of the settings and stay until interrupted; raises PortInUse."""
    host, port = rag.settings.host, rag.settings.port
    if not _reserve(host, port).is_loopback:
        sys.stderr.write(f"rag: {host} can be reached from other machines, and the page has no login\n")
    _ask_own_page_directly(host)
    page = build(rag)
    threading.Thread(target=_warm_up, args=(rag,), daemon=True).start()  # while the first question is typed
    try:
        page.launch(
            server_name=f"[{host}]" if ":" in host else host,  # an IPv6 address as in a URL
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            run_history=False,  # else the browser would keep every question
            enable_monitoring=False,
            footer_links=[],
            app_kwargs={"openapi_url": None},
            max_file_size=f"{rag.settings.max_file_mb}mb",
            theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            head=f"<style>{_asset('style.css')}</style><script>{_asset('page.js')}</script>",
        )
    except OSError as error:  # taken since it was looked at
        raise _cannot_listen(host, port, error) from error
    try:
        sys.stdout.write(f"Footnote: {str(page.local_url).rstrip('/')}\n")
        sys.stdout.flush()
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        page.close(verbose=False)


def build(rag: Rag) -> gr.Blocks:
    """Return the page over this engine, not yet served."""
    page = gr.Blocks(title="Footnote", analytics_enabled=False, fill_width=True)
    with page:
        turns = gr.State(())
        _html("<header class='masthead'><h1>Footnote</h1><p>Answers in the words of the documents</p></header>")
        with gr.Row(elem_id="columns"):
            with gr.Column(elem_id="talk"):
                conversation = _html(elem_id="conversation")
                with gr.Row(elem_id="composer"):
                    question = gr.Textbox(
                        label="Question",
                        placeholder="Your question",
                        show_label=False,
                        container=False,
                        lines=1,  # with one line Enter sends, and Shift+Enter starts another
                        max_lines=8,
                        autofocus=True,
                        elem_id="question",
                    )
                    send = gr.Button("Ask", variant="primary", elem_id="send")
                    clear = gr.Button("Clear", variant="secondary", elem_id="clear")
            with gr.Column(elem_id="sources"):
                evidence = _html(evidence_html(()), elem_id="evidence")

        asking = gr.on(
            [question.submit, send.click],
            partial(converse, rag),
            inputs=[question, turns],
            outputs=[question, conversation, evidence, turns],
            show_progress="hidden",
            trigger_mode="once",  # while one is answered, a second stays in the box
            concurrency_id=_ENGINE,
            api_visibility="private",
        )
        clear.click(
            lambda: (opening(rag), evidence_html(()), ()),
            outputs=[conversation, evidence, turns],
            show_progress="hidden",
            cancels=asking,
            queue=False,
            api_visibility="private",
        )
        page.load(
            partial(opening, rag),
            outputs=conversation,
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        )
        _add_endpoints(rag)
    page.queue(default_concurrency_limit=_AT_ONCE, max_size=_WAITING, api_open=False)
    return page


def _html(value: str = "", *, elem_id: str | None = None) -> gr.HTML:
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False)  # Gradio's would set it as Markdown


def opening(rag: Rag) -> str:
    """Return the page's beginning: what can be asked, or what to run so that something can."""
    try:
        entries = rag.documents()
    except RagError as error:
        return unavailable_html(str(error))
    return opening_html([entry.document for entry in entries], example_questions(entry.root for entry in entries))


def converse(rag: Rag, question: str, before: Turns) -> Iterator[tuple[Any, ...]]:
    """Ask, and yield (question box, conversation, evidence, turns) at every event; what stays as it is is skipped."""
    if not question.strip():
        yield gr.skip(), gr.skip(), gr.skip(), gr.skip()
        return
    box: Any = ""  # emptied at once, and then left to the user, who may be typing the next question
    for turn in _reply(rag, question.strip(), before):
        turns = (*before, turn)
        done = not turn.is_pending
        yield (
            box,
            conversation_html(turns),
            evidence_html(turns) if done else gr.skip(),
            turns if done else gr.skip(),
        )
        box = gr.skip()


def _reply(rag: Rag, question: str, before: Turns) -> Iterator[Turn]:
    """Yield the turn as it grows; the last one has a result or a problem."""
    turn = Turn(question)
    yield turn
    try:
        for event in rag.stream(question, history=_history(before)):
            if isinstance(event, Stage):
                turn = replace(turn, stages=(*turn.stages, event.detail))
            elif isinstance(event, Claim):
                turn = replace(turn, claims=(*turn.claims, event))
            else:
                turn = replace(turn, result=event)
            yield turn
    except RagError as error:
        yield replace(turn, problem=str(error))
    except Exception as error:  # noqa: BLE001 - a user's request ends here
        _report(error)
        yield replace(turn, problem=_UNEXPECTED)


def _history(turns: Turns) -> History:
    return [(turn.question, turn.result.text if isinstance(turn.result, Answer) else "") for turn in turns]


# -- for programs ------------------------------------------------------------------------------------------------------


def _add_endpoints(rag: Rag) -> None:
    def ask(
        question: str,
        history: list[list[str]] | None = None,
        source: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> dict[str, Any]:
        """Answer a question from the documents, or say that they do not; the record of ``rag ask --json``."""
        with _told():
            turns = _pairs(history)
            first, last = _day("since", since), _day("until", until)
            return ask_record(rag.ask(_text(question), history=turns, source=source, since=first, until=last))

    def search(question: str, top_k: int = rag.settings.top_k) -> dict[str, Any]:
        """Find the passages nearest to a question; the record of ``rag search --json``."""
        with _told():
            if type(top_k) is not int or not 1 <= top_k <= 100:
                raise UsageError(f"top_k is {top_k!r}; give a whole number from 1 to 100")
            return search_record(_text(question), rag.search(question, top_k=top_k))

    api(ask, api_name="ask", concurrency_id=_ENGINE)
    api(search, api_name="search", concurrency_id=_ENGINE)


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors into the one line that a program's call gets back."""
    try:
        yield
    except RagError as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:
        _report(error)
        raise gr.Error(_UNEXPECTED, print_exception=False) from error


def _text(question: object) -> str:
    if not isinstance(question, str):
        raise UsageError(f"question is a {type(question).__name__}; give a text")
    return question


def _pairs(history: object) -> History:
    pairs = history or []
    if isinstance(pairs, list) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        return [(_text(asked), _text(answered)) for asked, answered in pairs]
    raise UsageError("history is a list of [question, answer] pairs, oldest first")


def _day(name: str, text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} is {text!r}: not a day; write it as YYYY-MM-DD") from error


# -- serving -----------------------------------------------------------------------------------------------------------


def _reserve(host: str, port: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address a host name stands for, having seen that the port is free; Gradio would take another one."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    return ipaddress.ip_address(str(address[0]).partition("%")[0])


def _warm_up(rag: Rag) -> None:
    with suppress(RagError):  # the first question meets the same error, and says it to a reader
        rag.warm_up()


def _ask_own_page_directly(host: str) -> None:
    """Except the page from the environment's proxy: Gradio requests its own address at launch."""
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, [exempt, host, "localhost"]))


def _cannot_listen(host: str, port: int, error: OSError) -> PortInUse:
    if error.errno in {errno.EADDRINUSE, None}:  # Gradio raises its own without a number
        return PortInUse(f"{host}:{port}: another program listens there; choose another port with --port or RAG_PORT")
    return PortInUse(
        f"{host}:{port}: cannot listen there ({error.strerror}); choose another address with --host and --port"
    )


def _report(error: Exception) -> None:
    """Log an error that nobody foresaw, with the place only where that is asked for: messages may quote documents."""
    where = error if _log.isEnabledFor(logging.DEBUG) else None
    _log.error("a question ended in %s; FOOTNOTE_LOG=DEBUG shows where", type(error).__name__, exc_info=where)


def _asset(name: str) -> str:
    return files("rag.web").joinpath(name).read_text(encoding="utf-8")
