"""Turns of a conversation and their evidence as HTML: pure functions from values to strings.

Knows nothing about Gradio, the index or the browser; ``rag.web.page`` calls it. Whatever comes from a document, a
question or a message passes through ``shown`` on its way into the page, and no other function writes foreign text: it
arrives as characters, never as markup, as a link or as a direction change.
"""

import datetime as dt
import html
from collections.abc import Sequence
from dataclasses import dataclass

from rag.render import printable
from rag.types import Abstention, Answer, Citation, Claim, Document, Hit, Result, Span

_SNIPPET_CHARS = 180  # of a passage that did not answer; the rest unfolds
_LISTED_DOCUMENTS = 12  # on the empty page: enough to see what this is about


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and as much of the reply as there is: stages, then claims, then the result or a problem."""

    question: str
    stages: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    result: Result | None = None
    problem: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether more of the reply is to come."""
        return self.result is None and not self.problem


def shown(text: str) -> str:
    """Return the text as HTML that displays these characters and does nothing; line ends stay line ends."""
    return html.escape("\n".join(printable(line) for line in text.split("\n")), quote=True)


# -- the empty page ----------------------------------------------------------------------------------------------------


def opening_html(documents: Sequence[Document], questions: Sequence[str]) -> str:
    """Return what stands in place of a conversation that has not begun: questions to try, and what can be asked."""
    tries = "".join(
        f'<li><button type="button" class="example" data-question="{shown(question)}">{shown(question)}</button></li>'
        for question in questions
    )
    listed = "".join(f"<li>{_described(document)}</li>" for document in documents[:_LISTED_DOCUMENTS])
    n_more = len(documents) - _LISTED_DOCUMENTS
    return (
        '<section class="opening" aria-label="Getting started">'
        "<p class='lead'>Ask a question. The answer is made of sentences from the documents, each with a footnote that "
        "shows where it stands. If they do not answer, the page says so.</p>"
        + (f'<h2>To begin with</h2><ul class="examples">{tries}</ul>' if tries else "")
        + f"<h2>{_counted(len(documents), 'document')}</h2>"
        + f'<ul class="documents">{listed}{f"<li>and {n_more:,} more</li>" if n_more > 0 else ""}</ul>'
        "</section>"
    )


def unavailable_html(problem: str) -> str:
    """Return what stands there if the documents cannot be read: the line that says what to do."""
    return f'<section class="opening" aria-label="Getting started">{_problem(problem)}</section>'


def _described(document: Document) -> str:
    publisher = f"{shown(document.publisher)}, " if document.publisher else ""
    return f'<cite>{shown(document.title)}</cite> <span class="about">{publisher}{_date(document.date)}</span>'


# -- the conversation --------------------------------------------------------------------------------------------------


def conversation_html(turns: Sequence[Turn]) -> str:
    """Return the turns, oldest first; markers link to the cards of ``evidence_html`` for the same turns."""
    articles = "".join(
        f'<article class="turn" id="turn-{number}" aria-busy="{str(turn.is_pending).lower()}">'
        f'<h2 class="question">{shown(turn.question)}</h2>{_reply(turn, number)}</article>'
        for number, turn in enumerate(turns, start=1)
    )
    return f'<section class="turns" role="log" aria-label="Conversation">{articles}</section>'


def _reply(turn: Turn, number: int) -> str:
    if turn.problem:
        return _problem(turn.problem)
    if isinstance(turn.result, Answer):
        return _asked_as(turn.result) + _answer(turn.result.claims, number) + _removed(turn.result)
    if isinstance(turn.result, Abstention):
        return _asked_as(turn.result) + _abstention(turn.result, number)
    if turn.claims:
        return _answer(turn.claims, number)
    stages = "".join(f"<li>{shown(stage)}…</li>" for stage in turn.stages or ("asking",))
    return f'<ol class="stages">{stages}</ol>'


def _asked_as(result: Result) -> str:
    if result.standalone_question in {"", result.question}:
        return ""
    return f'<p class="asked-as">Asked as: <q>{shown(result.standalone_question)}</q></p>'


def _answer(claims: Sequence[Claim], number: int) -> str:
    seen: set[int] = set()  # a marker that comes twice is one place to return to: the first
    paragraphs = []
    for claim in claims:
        markers = ""
        for citation in claim.citations:
            markers += _marker(citation, number, is_first=citation.marker not in seen)
            seen.add(citation.marker)
        paragraphs.append(f'<p class="claim"><span class="statement">{_statement(claim)}</span> {markers}</p>')
    return f'<div class="answer">{"".join(paragraphs)}</div>'


def _statement(claim: Claim) -> str:
    """Return the claim; where it is a quote, the short answer in it stands out."""
    first = claim.citations[0]
    if first.answer is None or first.quote != claim.text:
        return shown(claim.text)
    start, end = first.answer.start - first.span.start, first.answer.end - first.span.start
    before, short, after = (shown(part) for part in (claim.text[:start], claim.text[start:end], claim.text[end:]))
    return f"{before}<strong>{short}</strong>{after}"


def _marker(citation: Citation, number: int, *, is_first: bool) -> str:
    n = citation.marker
    place = f' id="turn-{number}-marker-{n}"' if is_first else ""
    label = f"Footnote {n}: {shown(citation.title)}"
    return f'<sup><a class="marker"{place} href="#turn-{number}-note-{n}" aria-label="{label}">[{n}]</a></sup>'


def _removed(answer: Answer) -> str:
    """Return what a check took out of the answer, so that it is seen to be missing."""
    if not answer.removed:
        return ""
    items = "".join(
        f"<li><del>{shown(item.text)}</del> <span>{shown(item.fault)}</span></li>" for item in answer.removed
    )
    return f'<div class="removed"><p>Not supported by the documents, and taken out:</p><ul>{items}</ul></div>'


def _abstention(abstention: Abstention, number: int) -> str:
    head = "" if abstention.stage == "question" else "<strong>The documents do not answer this.</strong> "
    nearest = (
        f'<p><a class="to-nearest" href="#turn-{number}-evidence">What came nearest</a></p>'
        if abstention.nearest
        else ""
    )
    return f'<div class="abstention"><p>{head}<span class="reason">{shown(abstention.reason)}</span></p>{nearest}</div>'


def _problem(problem: str) -> str:
    return f'<p class="problem">{shown(" ".join(problem.split()))}</p>'


# -- the evidence ------------------------------------------------------------------------------------------------------


def evidence_html(turns: Sequence[Turn]) -> str:
    """Return the evidence of all turns, newest first and unfolded, the earlier ones folded under their questions."""
    groups = [
        (turn, number, cards)
        for number, turn in reversed(list(enumerate(turns, start=1)))
        if (cards := _cards(turn, number))
    ]
    body = "".join(
        f'<details class="group" id="turn-{number}-evidence" tabindex="-1"{" open" if not index else ""}>'
        f"<summary>{shown(turn.question)}</summary>{cards}</details>"
        for index, (turn, number, cards) in enumerate(groups)
    )
    hint = '<p class="hint">The passages behind an answer appear here, each with its exact place.</p>'
    return f'<section class="evidence" aria-label="Evidence"><h2>Evidence</h2>{body or hint}</section>'


def _cards(turn: Turn, number: int) -> str:
    if isinstance(turn.result, Answer):
        hits = turn.result.hits
        return "".join(_card(citation, _around(citation, hits), number) for citation in turn.result.citations)
    if isinstance(turn.result, Abstention) and turn.result.nearest:
        head = '<p class="hint">Nearest passages. None of them was found to answer the question.</p>'
        return head + "".join(_nearest(hit) for hit in turn.result.nearest)
    return ""


def _around(citation: Citation, hits: Sequence[Hit]) -> tuple[str, str]:
    """Return the text before and after the quote in the first passage that holds all of it; empty if none does."""
    for hit in hits:
        passage = hit.passage
        if passage.doc_id == citation.doc_id and passage.span.covers(citation.span):
            start, end = citation.span.start - passage.span.start, citation.span.end - passage.span.start
            if passage.text[start:end] == citation.quote:
                return passage.text[:start], passage.text[end:]
    return "", ""


def _card(citation: Citation, around: tuple[str, str], number: int) -> str:
    n = citation.marker
    before, after = around
    publisher = f"{shown(citation.publisher)}, " if citation.publisher else ""
    about = (
        f'<h3>{shown(citation.title)}</h3><p class="about">{publisher}{_date(citation.date)}</p>'
        f"{_place(citation.source, citation.span)}"
    )
    return (
        f'<article class="card" id="turn-{number}-note-{n}" tabindex="-1" aria-label="Footnote {n}">'
        f'<header><a class="number" href="#turn-{number}-marker-{n}" aria-label="Footnote {n}, back to the answer">'
        f"{n}</a><div>{about}</div></header>"
        f"<blockquote>{shown(before)}<mark>{shown(citation.quote)}</mark>{shown(after)}</blockquote></article>"
    )


def _nearest(hit: Hit) -> str:
    text = hit.passage.text
    snippet = text if len(text) <= _SNIPPET_CHARS else text[:_SNIPPET_CHARS].rsplit(" ", 1)[0] + " …"
    return (
        f'<details class="card nearest"><summary>{_place(hit.passage.source, hit.passage.span)}'
        f'<span class="snippet">{shown(" ".join(snippet.split()))}</span></summary>'
        f"<blockquote>{shown(text)}</blockquote></details>"
    )


def _place(source: str, span: Span) -> str:
    offsets = f'<span class="offsets">characters {span.start}–{span.end}</span>'
    return f'<span class="place"><code>{shown(source)}</code> {offsets}</span>'


def _date(date: dt.date | None) -> str:
    return f'<time datetime="{date.isoformat()}">{date.day} {date:%B %Y}</time>' if date else "undated"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
