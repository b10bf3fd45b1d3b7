"""A conversation as HTML: the page before the first question, the turns, and the one in the making.

Pure functions from values to strings. ``rag.web.page`` calls it. A button says by ``data-wire`` which of the page's
handlers it wants, with its other ``data-`` attributes as arguments.
"""

from collections.abc import Sequence

from rag.index import Listed
from rag.records import ask_record
from rag.values import Abstention, Answer, Citation, Claim, Result
from rag.web.export import turn_markdown
from rag.web.turn import Turn
from rag.web.views.evidence import quote_html
from rag.web.views.markup import about, counted, escaped, kept, problem

_LISTED_DOCUMENTS = 12  # on the empty page: enough to see what this is about
_HEADS = {  # what a refusal begins with, by the stage at which the question ended; a greeting is not refused
    "question": "",
    "retrieve": "The documents say nothing about this.",
    "gate": "No sentence stood up to the check against the documents.",
}
_HEAD = "No sure answer in the documents."


# -- the empty page ----------------------------------------------------------------------------------------------------


def opening_html(documents: Sequence[Listed], questions: Sequence[str]) -> str:
    """Return what stands in place of a conversation that has not begun: questions to try, and what can be asked."""
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
        + '<div class="earlier" id="earlier"></div>'  # conversations that this browser keeps, filled in by it
        + f"<h2>{counted(len(documents), 'document')}</h2>"
        + f'<ul class="documents">{listed}{f"<li>and {n_more:,} more</li>" if n_more > 0 else ""}</ul>'
        "</section>"
    )


def unavailable_html(line: str) -> str:
    """Return what stands there if the documents cannot be read: the line that says what to do."""
    advice = "<p>Documents can also be added here, in the Library.</p>"
    return f'<section class="opening" aria-label="Getting started">{problem(line)}{advice}</section>'


def _described(document: Listed) -> str:
    return (
        f'<button type="button" class="link title" data-wire="open" data-document="{document.doc_id}" '
        f'aria-haspopup="dialog">{escaped(document.title)}</button> {about(document.publisher, document.date)}'
    )


# -- the conversation --------------------------------------------------------------------------------------------------


def conversation_html(turns: Sequence[Turn]) -> str:
    """Return the turns that are done, oldest first; markers point to the cards of ``views.evidence``."""
    articles = "".join(
        f'<article class="turn" id="turn-{number}" {_kept(turn, number)}>'
        f'<h2 class="question">{escaped(turn.question)}</h2>{_asked_as(turn)}{_reply(turn, number)}'
        f"{_tools(turn, number, is_last=number == len(turns))}</article>"
        for number, turn in enumerate(turns, start=1)
    )
    return f'<section class="turns" aria-label="Conversation">{articles}</section>'


def pending_html(turn: Turn, number: int) -> str:
    """Return the turn in the making: where it is, then its first claims. It takes the room that a short answer does."""
    stage = turn.stages[-1] if turn.stages else "asking"
    claims = _answer(turn.claims, number, "quotes") if turn.claims else ""
    return (
        f'<section class="turns" aria-label="In the making"><article class="turn pending" aria-busy="true">'
        f'<h2 class="question">{escaped(turn.question)}</h2>'
        f'{claims}<p class="stage">{escaped(stage)}…</p></article></section>'
    )


def _kept(turn: Turn, number: int) -> str:
    """Return what the browser keeps and exports: the question, the record, the verdict, the Markdown."""
    question = f'data-question="{escaped(turn.question)}"'
    if turn.result is None:
        return question
    markdown = escaped(turn_markdown(turn, number))
    return (
        f'{question} data-record="{kept(ask_record(turn.result))}" data-scope="{escaped(turn.scope)}" '
        f'data-verdict="{turn.verdict or ""}" data-markdown="{markdown}"'
    )


def _asked_as(turn: Turn) -> str:
    """Return what the reader did not type: the question made to stand alone, the filter, a notice of the engine."""
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
    """Return the claims; quotes of different sources stand side by side, each with who says it and when."""
    seen: set[int] = set()  # a marker that comes twice is one place to return to: the first
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
    """Return the claim; where it is a quote, the short answer in it stands out."""
    first = claim.citations[0]
    return quote_html(first) if first.quote == claim.text else escaped(claim.text)


def _said_by(claim: Claim) -> str:
    first, n_others = claim.citations[0], len({c.source for c in claim.citations}) - 1
    others = f" and {counted(n_others, 'other source')}" if n_others else ""
    return f'<p class="said-by">{about(first.publisher or first.title, first.date)}{others}</p>'


def _marker(citation: Citation, number: int, *, is_first: bool) -> str:
    """Return the marker; no <button>, before which a line may break whatever stands there."""
    n = citation.marker
    place = f' id="turn-{number}-marker-{n}"' if is_first else ""
    return (
        f'<sup><span role="button" tabindex="0" class="marker"{place} data-wire="open" data-turn="{number}" '
        f'data-marker="{n}" aria-haspopup="dialog" aria-label="Footnote {n}: {escaped(citation.title)}">'
        f"[{n}]</span></sup>"
    )


def _removed(result: Result) -> str:
    """Return what a check took out of a written answer, folded, so that it is seen to be missing."""
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
    """Return what can be done with a turn: copy, edit, ask again, say whether it was right."""
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
