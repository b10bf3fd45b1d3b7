"""A conversation as HTML: the page before the first question, the finished turns, and the pending one.

Pure functions from values to strings. A button names a handler of the page in ``data-wire``; its other ``data-``
attributes are the arguments.
"""

from collections.abc import Sequence

from rag.index import Listed
from rag.records import ask_record
from rag.values import Abstention, Answer, Citation, Claim, Result
from rag.web.export import turn_markdown
from rag.web.turn import Turn
from rag.web.views.evidence import quote_html
from rag.web.views.markup import about, counted, escaped, kept, problem

_LISTED_DOCUMENTS = 12  # on the empty page: enough to show what the corpus is about
_HEADS = {  # heading of a refusal by the stage that caused it; "question" covers greetings and has none
    "question": "",
    "retrieve": "The documents say nothing about this.",
    "gate": "No sentence stood up to the check against the documents.",
}
_HEAD = "No sure answer in the documents."


# -- the empty page ----------------------------------------------------------------------------------------------------


def opening_html(documents: Sequence[Listed], questions: Sequence[str]) -> str:
    """Return the view shown before the first question: example questions and the available documents."""
    tries = "".join(
        f'<li><button type="button" class="example" data-question="{question}">{question}</button></li>'
        for question in map(escaped, questions)
    )
    listed = "".join(f"<li>{_described(document)}</li>" for document in documents[:_LISTED_DOCUMENTS])
    n_more = len(documents) - _LISTED_DOCUMENTS
    return (
        '<section class="opening" aria-label="Getting started">'
        "<p class='lead'>Ask a question. The answer is made of sentences from the documents, each with a footnote that "
        "shows where it stands. If they do not answer, the page says so.</p>"
        + (f'<h2>To begin with</h2><ul class="examples">{tries}</ul>' if tries else "")
        + '<div class="earlier" id="earlier"></div>'  # page.js fills in the stored conversations
        + f"<h2>{counted(len(documents), 'document')}</h2>"
        + f'<ul class="documents">{listed}{f"<li>and {n_more:,} more</li>" if n_more > 0 else ""}</ul>'
        "</section>"
    )


def unavailable_html(line: str) -> str:
    """Return the view shown if the documents cannot be read: a line that says what to do."""
    advice = "<p>Documents can also be added here, in the Library.</p>"
    return f'<section class="opening" aria-label="Getting started">{problem(line)}{advice}</section>'


def _described(document: Listed) -> str:
    return (
        f'<button type="button" class="link title" data-wire="open" data-document="{document.doc_id}" '
        f'aria-haspopup="dialog">{escaped(document.title)}</button> {about(document.publisher, document.date)}'
    )


# -- the conversation --------------------------------------------------------------------------------------------------


def conversation_html(turns: Sequence[Turn]) -> str:
    """Return the finished turns, oldest first; markers link to the cards of ``views.evidence``."""
    articles = "".join(
        f'<article class="turn" id="turn-{number}" {_kept(turn, number)}>'
        f'<h2 class="question">{escaped(turn.question)}</h2>{_asked_as(turn)}{_reply(turn, number)}'
        f"{_tools(turn, number, is_last=number == len(turns))}</article>"
        for number, turn in enumerate(turns, start=1)
    )
    return f'<section class="turns" aria-label="Conversation">{articles}</section>'


def pending_html(turn: Turn, number: int) -> str:
    """Return the pending turn: its stage, then its first claims. It takes up as much space as a short answer."""
    stage = turn.stages[-1] if turn.stages else "asking"
    claims = _answer(turn.claims, number, "quotes") if turn.claims else ""
    return (
        f'<section class="turns" aria-label="In the making"><article class="turn pending" aria-busy="true">'
        f'<h2 class="question">{escaped(turn.question)}</h2>'
        f'{claims}<p class="stage">{escaped(stage)}…</p></article></section>'
    )


def _kept(turn: Turn, number: int) -> str:
    """Return the data that the browser stores and exports: the question, the record, the verdict, the Markdown."""
    question = f'data-question="{escaped(turn.question)}"'
    if turn.result is None:
        return question
    markdown = escaped(turn_markdown(turn, number))
    return (
        f'{question} data-record="{kept(ask_record(turn.result))}" data-scope="{escaped(turn.scope)}" '
        f'data-verdict="{turn.verdict or ""}" data-markdown="{markdown}"'
    )


def _asked_as(turn: Turn) -> str:
    """Return what the reader did not type: the standalone question, the filter, the engine's notice."""
    standalone = turn.result.standalone_question if turn.result else ""
    lines = [f"Asked as: <q>{escaped(standalone)}</q>"] if standalone not in {"", turn.question} else []
    lines += [f"Only {escaped(turn.scope)}"] if turn.scope else []
    notice = f'<p class="notice">{escaped(turn.result.notice)}</p>' if turn.result and turn.result.notice else ""
    return "".join(f'<p class="asked-as">{line}</p>' for line in lines) + notice


def _reply(turn: Turn, number: int) -> str:
    if isinstance(turn.result, Answer):
        return _answer(turn.result.claims, number, turn.result.mode) + _removed(turn.result)
    if isinstance(turn.result, Abstention):
        return _abstention(turn.result, number) + _removed(turn.result)
    return problem(turn.problem)


def _answer(claims: Sequence[Claim], number: int, mode: str) -> str:
    """Return the claims; quotes from different sources are shown side by side, each with its publisher and date."""
    seen: set[int] = set()  # only the first occurrence of a marker is a target for links back
    paragraphs = []
    for claim in claims:
        markers = "".join(_marker(c, number, is_first=c.marker not in seen) for c in claim.citations)
        seen.update(c.marker for c in claim.citations)
        said_by = _said_by(claim) if mode == "quotes" else ""
        statement = f'<span class="statement">{_statement(claim)}</span>'
        paragraphs.append(
            f'<div class="claim"><p>{statement}&#8239;<span class="markers">{markers}</span></p>{said_by}</div>'
        )
    differ = mode == "quotes" and len({claim.citations[0].source for claim in claims}) > 1
    return f'<div class="answer{" beside" if differ else ""}">{"".join(paragraphs)}</div>'


def _statement(claim: Claim) -> str:
    """Return the claim; if it is a quote, the short answer in it is highlighted."""
    first = claim.citations[0]
    return quote_html(first) if first.quote == claim.text else escaped(claim.text)


def _said_by(claim: Claim) -> str:
    first, n_others = claim.citations[0], len({c.source for c in claim.citations}) - 1
    others = f" and {counted(n_others, 'other source')}" if n_others else ""
    return f'<p class="said-by">{about(first.publisher or first.title, first.date)}{others}</p>'


def _marker(citation: Citation, number: int, *, is_first: bool) -> str:
    """Return the marker; not a <button>, because browsers always allow a line break before one."""
    n = citation.marker
    place = f' id="turn-{number}-marker-{n}"' if is_first else ""
    return (
        f'<sup><span role="button" tabindex="0" class="marker"{place} data-wire="open" data-turn="{number}" '
        f'data-marker="{n}" aria-haspopup="dialog" aria-label="Footnote {n}: {escaped(citation.title)}">'
        f"[{n}]</span></sup>"
    )


def _removed(result: Result) -> str:
    """Return the sentences that a check removed from a written answer, folded, so that the omission is visible."""
    if not result.removed:
        return ""
    items = "".join(
        f"<li><del>{escaped(item.text)}</del> "
        f'<span class="fault">{escaped(": ".join(filter(None, [item.fault, item.detail])))}</span></li>'
        for item in result.removed
    )
    head = f"{counted(len(result.removed), 'sentence')} not supported by the documents, taken out"
    return f'<details class="removed"><summary>{head}</summary><ul>{items}</ul></details>'


def _abstention(abstention: Abstention, number: int) -> str:
    head = _HEADS.get(abstention.stage, _HEAD)
    offers = f'<a href="#turn-{number}-evidence">See what came nearest</a>' if abstention.nearest else ""
    if abstention.stage != "question":
        offers += (
            f'<button type="button" class="link" data-wire="search_for" data-turn="{number}">'
            "Search the documents for it</button>"
        )
    return (
        f'<div class="abstention"><p>{f"<strong>{head}</strong> " if head else ""}'
        f'<span class="reason">{escaped(abstention.reason)}</span></p>'
        + (f'<p class="offers">{offers}</p>' if offers else "")
        + "</div>"
    )


def _tools(turn: Turn, number: int, *, is_last: bool) -> str:
    """Return the buttons of a turn: copy, edit, ask again, give a verdict."""
    copy = '<button type="button" data-copy>Copy</button>' if turn.result else ""
    edit = f'<button type="button" data-edit="{number}">Edit</button>'
    again = f'<button type="button" data-again="{number}">Ask again</button>' if is_last else ""
    return f'<footer class="tools">{copy}{edit}{again}{_thumbs(turn, number) if turn.result else ""}</footer>'


def _thumbs(turn: Turn, number: int) -> str:
    thumbs = "".join(
        f'<button type="button" class="thumb {verdict}" data-wire="feedback" data-turn="{number}" '
        f'data-verdict="{verdict}" aria-pressed="{str(turn.verdict == verdict).lower()}">{label}</button>'
        for verdict, label in (("up", "Right"), ("down", "Wrong"))
    )
    return (
        f'<span class="thumbs" role="group" aria-label="Was this right?">{thumbs}</span>'
        f'<form class="comment" data-turn="{number}" hidden><label>Why? <span>(optional)</span> '
        '<input name="comment" maxlength="2000" autocomplete="off"></label>'
        '<button type="submit">Send</button></form>'
    )
