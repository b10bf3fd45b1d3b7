"""The chat page: components, and what happens when a question is asked.

Everything it shows comes from ``Rag.stream`` and is put into HTML by ``rag.web.rendering``. This module knows Gradio
and no part of the pipeline; ``rag.web.server`` serves it.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from rag.engine import Rag, Stage
from rag.errors import RagError
from rag.types import Answer, Claim, History
from rag.web.api import ENGINE, UNEXPECTED, add_endpoints, report
from rag.web.examples import example_questions
from rag.web.rendering import Turn, conversation_html, evidence_html, opening_html, unavailable_html

Turns = tuple[Turn, ...]


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
            concurrency_id=ENGINE,
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
        add_endpoints(rag)
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
        report(error)
        yield replace(turn, problem=UNEXPECTED)


def _history(turns: Turns) -> History:
    return [(turn.question, turn.result.text if isinstance(turn.result, Answer) else "") for turn in turns]
