"""The chat page: its components and their event handlers.

The views in this package produce the HTML; ``conversation``, ``library``, ``restore`` and ``feedback`` do the work.
This module deals with Gradio and contains no part of the pipeline; ``rag.web.server.serve`` serves it.

The views contain their own buttons. A button names a handler in ``data-wire``; page.js writes the button's other
attributes as JSON into the hidden text box of that handler, and the box's change event calls the handler. Every event
has a name, and ``rag.web.server.handlers`` lists what it accepts.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import gradio as gr
from pydantic import ValidationError

from rag.engine import Rag
from rag.errors import RagError
from rag.records import ask_record
from rag.web import library
from rag.web.conversation import Conversation, PendingQuestion, replies, searched
from rag.web.examples import example_questions
from rag.web.feedback import Judgement, store
from rag.web.restore import restored
from rag.web.server.api import ENGINE, UNEXPECTED, add_endpoints, report
from rag.web.server.handlers import HANDLERS, DocumentId, Kept, Nothing, TurnNumber
from rag.web.turn import history_of
from rag.web.views.choice import choice_html, health_html
from rag.web.views.conversation import conversation_html, opening_html, pending_html, unavailable_html
from rag.web.views.document import Pointer, document_html, gone_html, pointed_at
from rag.web.views.evidence import evidence_html
from rag.web.views.library import library_html
from rag.web.views.markup import anew, problem, said

_LIBRARY = "library"  # queue for everything that writes the index: one at a time, independent of questions
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_NOT_UNDERSTOOD = "The page sent what the server does not understand. Load it again."
_GONE = "This document is not in the library any more: it was replaced or deleted since."
_MASTHEAD = """
<nav class="skips" aria-label="Skip"><a href="#question">Skip to the question</a>
<a href="#evidence">Skip to the evidence</a></nav>
<header class="masthead"><h1>Footnote</h1><p>Answers in the words of the documents</p>
{log_out}<button type="button" data-theme-switch>Theme: auto</button></header>
"""
_LOG_OUT = '<form method="post" action="logout"><button>Log out</button></form>'
_ADD = """
<input type="file" id="files" multiple hidden>
<button type="button" data-add>Add documents</button>
"""
_ARRIVALS = '<div id="arrivals" role="status"></div>'  # page.js shows upload progress here
_TALK_TOOLS = """
<div class="talk-tools" role="group" aria-label="This conversation">
<button type="button" data-wire="new">New conversation</button>
<button type="button" data-export="md" aria-label="Export as Markdown"><span>Export </span>Markdown</button>
<button type="button" data-export="json" aria-label="Export as JSON"><span>Export </span>JSON</button></div>
"""
Shown = tuple[Any, ...]  # a value for each output; gr.skip() leaves it unchanged


class Talk(NamedTuple):
    """A value for each output of the Ask tab, in order; omitted ones stay unchanged.

    state: the conversation, shared by all handlers. Gradio drops the state of a closed tab an hour after it was last an
    output, but keeps a state that never was an output.
    """

    line: Any = gr.skip()
    box: Any = gr.skip()
    conversation: Any = gr.skip()
    pending: Any = gr.skip()
    evidence: Any = gr.skip()
    state: Any = gr.skip()


def build(rag: Rag, *, has_login: bool = False) -> gr.Blocks:
    """Build the page for this engine, without serving it."""
    page = gr.Blocks(title="Footnote", analytics_enabled=False, fill_width=True)
    with page:
        state, line = gr.State(Conversation()), _html(elem_id="said")
        _html(_MASTHEAD.format(log_out=_LOG_OUT if has_login else ""))
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Ask", elem_id="ask"):
                conversation, choice = _ask_tab(rag, page, state, line)
            with gr.Tab("Library", elem_id="library", render_children=True):
                shelf = _library_tab(rag, state, line, conversation, choice)
        listed = [conversation, choice, shelf]
        _wire("open", partial(open_document, rag), [line, _html(elem_id="document")], inputs=[state], queue=False)
        _wire("uploaded", partial(uploaded, rag), [line, *listed], inputs=[state], queue=False)
        page.load(partial(documents, rag), state, listed, api_name="opened", queue=False, **_QUIET)
        add_endpoints(rag)
    return page


def handlers_of(page: gr.Blocks) -> dict[int, str]:
    """Map Gradio's handler numbers to handler names; a page with an unknown handler is not served."""
    names = {number: str(function.api_name) for number, function in page.fns.items()}
    if unknown := sorted(names.values() - HANDLERS.keys()):
        raise AssertionError(f"handlers that rag.web.server.handlers does not know: {', '.join(unknown)}")
    return names


def _ask_tab(rag: Rag, page: gr.Blocks, state: gr.State, line: gr.HTML) -> tuple[gr.HTML, gr.HTML]:
    with gr.Row(elem_id="columns"):
        with gr.Column(elem_id="talk"):
            conversation, pending = _html(elem_id="conversation"), _html(elem_id="pending")
            with gr.Column(elem_id="composer"):
                with gr.Row(elem_id="asking"):
                    question = gr.Textbox(
                        label="Question",
                        placeholder="Your question",
                        show_label=False,
                        container=False,
                        lines=1,  # with one line, Enter sends and Shift+Enter adds a line
                        max_lines=8,
                        max_length=rag.settings.max_question_chars,
                        autofocus=True,
                        elem_id="question",
                    )
                    send = gr.Button("Ask", variant="primary", elem_id="send")
                    stop = gr.Button("Stop", variant="secondary", elem_id="stop")
                with gr.Row(elem_id="options"):
                    choice = _html(elem_id="choice")
                    health = _html(elem_id="health")
                    _html(_TALK_TOOLS, elem_id="talk-tools")
        with gr.Column(elem_id="sources"):
            evidence = _html(evidence_html(()), elem_id="evidence")

    chosen = gr.Textbox(elem_id="chosen", label="chosen", visible="hidden")
    talk = [line, question, conversation, pending, evidence, state]
    gr.on(
        [question.submit, send.click],
        partial(converse, rag),
        inputs=[question, chosen, state],
        outputs=talk,
        trigger_mode="multiple",  # ``begin`` decides: for Gradio an event ends later than the reader sees the answer
        concurrency_id=ENGINE,
        api_name="converse",
        **_QUIET,
    )
    stop.click(stop_asking, state, talk, api_name="stop", queue=False, **_QUIET)
    _wire("new", partial(begin_anew, rag), talk, inputs=[state], queue=False)
    _wire("restore", partial(restore, rag), talk, inputs=[state], queue=False)
    _wire("search_for", partial(search_for, rag), talk, inputs=[state], concurrency_id=ENGINE)
    _wire("feedback", partial(take_feedback, rag), talk, inputs=[state], queue=False)
    if rag.settings.writes:
        page.load(lambda: health_html(rag.check_model()), None, health, api_name="health", **_QUIET)
    return conversation, choice


def _library_tab(rag: Rag, state: gr.State, line: gr.HTML, conversation: gr.HTML, choice: gr.HTML) -> gr.HTML:
    with gr.Row(elem_id="library-tools"):
        _html(_ADD, elem_id="add")
        again = gr.Button("Read the files again", variant="secondary", elem_id="reread")
    _html(_ARRIVALS)
    progress, shelf = _html(elem_id="progress"), _html(elem_id="shelf")
    writing: dict[str, Any] = {"concurrency_id": _LIBRARY, "concurrency_limit": 1}
    listed = [conversation, choice, shelf]
    again.click(partial(read_again, rag), state, [progress, *listed], api_name="read_again", **writing, **_QUIET)
    _wire("delete", partial(delete, rag), [line, *listed], inputs=[state], **writing)
    return shelf


def _html(value: str = "", *, elem_id: str | None = None) -> gr.HTML:
    # Gradio's default CSS would style it like Markdown, and no component here needs its own script.
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False, js_on_load=None)


def _wire(
    name: str, handler: Callable[..., Shown], outputs: Sequence[Any], *, inputs: Sequence[Any] = (), **event: Any
) -> None:
    """Let the page's buttons with this name call a handler; the first output is a line for the reader.

    handler: receives the button's message, typed as in ``HANDLERS``, and the inputs; returns a value for each output.
    """
    kind = HANDLERS[name].message
    assert kind

    def answer(message: str, *values: Any) -> Shown:
        try:
            return handler(kind.model_validate_json(message), *values)
        except ValidationError:
            line = _NOT_UNDERSTOOD
        except RagError as error:
            line = str(error)
        except Exception as error:  # noqa: BLE001 - boundary of a user's request
            report(error)
            line = UNEXPECTED
        return said(line), *[gr.skip()] * (len(outputs) - 1)

    box = gr.Textbox(elem_id=f"wire-{name}", label=name, visible="hidden")
    box.change(answer, [box, *inputs], outputs, api_name=name, **{**_QUIET, **event})


# -- asking ------------------------------------------------------------------------------------------------------------


def converse(rag: Rag, question: str, choice: str, conversation: Conversation) -> Iterator[Talk]:
    """Ask a question, yielding updates at every event; while another one is being answered it stays in its box."""
    try:
        asking = conversation.begin(question, choice) if question.strip() else None
    except RagError as error:
        yield Talk(line=said(str(error)))  # the question stays in its box
        return
    if asking:
        try:
            yield from _answered(rag, asking, conversation)
        finally:  # also when the reader leaves
            conversation.stop(asking)
    yield Talk()  # Gradio sends the last update again at the end, when the next question may have begun


def _answered(rag: Rag, asking: PendingQuestion, conversation: Conversation) -> Iterator[Talk]:
    number = len(asking.before) + 1
    begun = Talk(box="", conversation=conversation_html(asking.before))
    for turn in replies(rag, asking):
        if not conversation.grow(asking, turn):
            yield Talk(pending=_no_pending(conversation))  # an earlier update may have arrived after the stop
            return
        yield begun._replace(pending=pending_html(turn, number)) if turn.is_pending else _all_of(conversation)
        begun = Talk()  # the box is emptied only once: the user may be typing the next question


def stop_asking(conversation: Conversation) -> Talk:
    """Stop the current question, and show that it was stopped."""
    conversation.stop()
    return _all_of(conversation)


def begin_anew(rag: Rag, _: Nothing, conversation: Conversation) -> Talk:
    """Start a new conversation."""
    conversation.restart()
    return _all_of(conversation)._replace(conversation=opening(rag))


def restore(rag: Rag, kept: Kept, conversation: Conversation) -> Talk:
    """Restore a conversation stored in the browser."""
    conversation.restart(restored(rag, kept.model_dump()))
    return _all_of(conversation)


def search_for(rag: Rag, refused: TurnNumber, conversation: Conversation) -> Talk:
    """Search for a refused question, and show the passages found."""
    _, turn = conversation.at(refused.turn)
    conversation.amend(turn, found=searched(rag, turn))
    return Talk(evidence=evidence_html(conversation.turns))


def take_feedback(rag: Rag, said_of: Judgement, conversation: Conversation) -> Talk:
    """Store a reader's verdict on a turn."""
    before, turn = conversation.at(said_of.turn)
    assert turn.result  # guaranteed by ``at``
    store(
        rag.settings.index_dir,
        verdict=said_of.verdict,
        comment=said_of.comment,
        history=history_of(before),
        record=ask_record(turn.result),
    )
    conversation.amend(turn, verdict=said_of.verdict)
    return Talk(line=said("Thank you. Your verdict is kept beside the index."))


def open_document(rag: Rag, pointer: Pointer, conversation: Conversation) -> Shown:
    """Show a document with the requested places highlighted."""
    try:
        doc_id, places = pointed_at(pointer, conversation.turns)
        return gr.skip(), anew(document_html(rag.entry(doc_id), places))
    except LookupError:
        return gr.skip(), anew(gone_html(_GONE))


def opening(rag: Rag) -> str:
    """Return the opening view: what can be asked, or what to run first if there is no index."""
    try:
        listed = rag.listing()
    except RagError as error:
        return unavailable_html(str(error))
    return opening_html(listed, example_questions(document.root for document in listed))


def _all_of(conversation: Conversation) -> Talk:
    turns = conversation.turns
    return Talk(
        conversation=conversation_html(turns),
        pending=_no_pending(conversation),
        evidence=evidence_html(turns),
        state=conversation,
    )


def _no_pending(conversation: Conversation) -> Any:
    return gr.skip() if conversation.is_answering else ""  # the pending question is already shown


# -- the library -------------------------------------------------------------------------------------------------------


def documents(rag: Rag, conversation: Conversation) -> Shown:
    """Return (conversation, choice, shelf) for the current documents; an ongoing conversation is left unchanged."""
    try:
        listed = library.listing(rag)
        own = [document.doc_id for document in listed if library.is_uploaded(rag, document)]
        shelf = library_html(listed, uploaded=own, unread=library.unread(rag))
    except RagError as error:
        listed, shelf = [], problem(str(error))
    begun = conversation.turns or conversation.is_answering
    return gr.skip() if begun else opening(rag), choice_html(listed, writes=rag.settings.writes), shelf


def uploaded(rag: Rag, _: Nothing, conversation: Conversation) -> Shown:
    """Return the outputs of ``documents``, preceded by an unchanged line."""
    return gr.skip(), *documents(rag, conversation)


def read_again(rag: Rag, conversation: Conversation) -> Iterator[Shown]:
    """Read all files of the index again, yielding progress and finally also the outputs of ``documents``."""
    line, same = "", [gr.skip()] * 3
    try:
        for line in library.reread(rag):
            yield said(line), *same
    except RagError as error:
        line = problem(str(error))
    except Exception as error:  # noqa: BLE001 - boundary of a user's request
        report(error)
        line = problem(UNEXPECTED)
    else:
        line = said(line)
    yield line, *documents(rag, conversation)


def delete(rag: Rag, listed: DocumentId, conversation: Conversation) -> Shown:
    """Delete a document."""
    return said(library.delete(rag, listed.document)), *documents(rag, conversation)
