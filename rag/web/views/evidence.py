"""The evidence beside a conversation as HTML: a card for each quote, or the nearest sentences if nothing answers.

Pure functions from values to strings. The markers of ``views.conversation`` link to the card ids, ``turn-N-note-M``.
"""

from collections.abc import Iterator, Sequence

from rag.values import Abstention, Answer, Citation, Hit, Span, percent
from rag.web.turn import Turn
from rag.web.views.markup import about, counted, escaped, problem

_SNIPPET_CHARS = 180  # shown of a passage that did not answer; the rest unfolds
_CHANGED = "These characters are not there any more: the document was replaced or deleted after the answer."


def evidence_html(turns: Sequence[Turn]) -> str:
    """Return the evidence of all turns: the newest first and unfolded, earlier ones folded under their questions."""
    groups = [
        (turn, number, cards)
        for number, turn in reversed(list(enumerate(turns, start=1)))
        if (cards := _cards(turn, number))
    ]
    body = "".join(
        f'<details class="group" id="turn-{number}-evidence" tabindex="-1"{" open" if not index else ""}>'
        f"<summary>{escaped(turn.question)}</summary>{cards}</details>"
        for index, (turn, number, cards) in enumerate(groups)
    )
    hint = '<p class="hint">The passages behind an answer appear here, each with its exact place.</p>'
    return f'<section class="evidence" aria-label="Evidence"><h2>Evidence</h2>{body or hint}</section>'


def quote_html(citation: Citation) -> str:
    """Return the quote with its short answer emphasized."""
    if citation.answer is None:
        return escaped(citation.quote)
    start, end = citation.answer.start - citation.span.start, citation.answer.end - citation.span.start
    before, short, after = citation.quote[:start], citation.quote[start:end], citation.quote[end:]
    return f"{escaped(before)}<strong>{escaped(short)}</strong>{escaped(after)}"


def _cards(turn: Turn, number: int) -> str:
    if isinstance(turn.result, Answer):
        return "".join(_claim_cards(new, turn, number) for new in _by_claim(turn.result))
    if not isinstance(turn.result, Abstention):
        return ""
    if turn.found is None:
        head = "What came nearest. None of it answers the question surely enough."
        return _passages(head, turn.result.nearest, "nearest", number)
    head = f"Found by searching: {counted(len(turn.found), 'passage')}. None was found to answer the question."
    return _passages(head, turn.found, "found", number)


def _by_claim(answer: Answer) -> Iterator[list[Citation]]:
    """Yield, for each claim, the citations not used by an earlier claim, so that every card appears once."""
    seen: set[int] = set()
    for claim in answer.claims:
        new = [c for c in dict.fromkeys(claim.citations) if c.marker not in seen]
        seen.update(c.marker for c in new)
        yield new


def _claim_cards(citations: Sequence[Citation], turn: Turn, number: int) -> str:
    cards = "".join(_card(citation, turn, number) for citation in citations)
    if len(citations) < 2:
        return cards
    n_sources = len({citation.source for citation in citations})
    says = f"{n_sources} sources say this" if n_sources > 1 else f"{len(citations)} places say this"
    return f'<section class="shared"><p class="hint">{says}:</p>{cards}</section>'


def _card(citation: Citation, turn: Turn, number: int) -> str:
    n = citation.marker
    is_lost = n in turn.lost
    before, after = _around(citation, turn)
    opener = "" if is_lost else _opener(f'data-marker="{n}"', number, f"the document of footnote {n}")
    return (
        f'<article class="card" id="turn-{number}-note-{n}" tabindex="-1" aria-label="Footnote {n}">'
        f'<header><a class="number" href="#turn-{number}-marker-{n}" aria-label="Footnote {n}, back to the answer">'
        f"{n}</a><div><h3>{escaped(citation.title)}</h3>{about(citation.publisher, citation.date)}</div></header>"
        f"{problem(_CHANGED) if is_lost else ''}"
        f"<blockquote>{escaped(before)}<mark>{quote_html(citation)}</mark>{escaped(after)}</blockquote>"
        f"<footer>{_place(citation.source, citation.span, page=citation.page)}{opener}</footer></article>"
    )


def _around(citation: Citation, turn: Turn) -> tuple[str, str]:
    """Return the text before and after the quote in the first passage that contains it; empty if none does."""
    for hit in turn.result.hits if isinstance(turn.result, Answer) else ():
        passage = hit.passage
        if passage.doc_id == citation.doc_id and passage.span.covers(citation.span):
            start, end = citation.span.start - passage.span.start, citation.span.end - passage.span.start
            if passage.text[start:end] == citation.quote:
                return passage.text[:start], passage.text[end:]
    return "", ""


def _passages(head: str, hits: Sequence[Hit], kind: str, number: int) -> str:
    """Return passages under a heading. kind: nearest | found."""
    items = "".join(_passage(hit, f'data-{kind}="{index}"', number) for index, hit in enumerate(hits))
    return f'<p class="hint {kind}">{head}</p>{items}' if items or kind == "found" else ""


def _passage(hit: Hit, which: str, number: int) -> str:
    passage = hit.passage
    opener = _opener(which, number, f"the document of this passage, {passage.source}") if passage.doc_id else ""
    likely = f" · {percent(hit.score)} likely to answer" if hit.sentence else ""
    snippet = escaped(" ".join(_snippet(hit).split()))
    return (
        f'<details class="card nearest"><summary><span class="snippet">{snippet}</span>'
        f"{_place(passage.source, hit.span, likely)}</summary>"
        f"<blockquote>{_with_sentence(hit)}</blockquote><footer>{opener}</footer></details>"
    )


def _snippet(hit: Hit) -> str:
    """Return the nearest sentence, or the beginning of the passage."""
    text = hit.text
    return text if hit.sentence or len(text) <= _SNIPPET_CHARS else text[:_SNIPPET_CHARS].rsplit(" ", 1)[0] + " …"


def _with_sentence(hit: Hit) -> str:
    """Return the passage with the nearest sentence highlighted."""
    text = hit.passage.text
    if hit.sentence is None:
        return escaped(text)
    start, end = hit.span.start - hit.passage.span.start, hit.span.end - hit.passage.span.start
    return f"{escaped(text[:start])}<mark>{escaped(hit.text)}</mark>{escaped(text[end:])}"


def _opener(which: str, number: int, what: str) -> str:
    return (
        f'<button type="button" class="link" data-wire="open" data-turn="{number}" {which} aria-haspopup="dialog" '
        f'aria-label="Open {escaped(what)}">Open document</button>'
    )


def _place(source: str, span: Span, more: str = "", *, page: int | None = None) -> str:
    on_page = f"page {page}, " if page else ""
    offsets = f'<span class="offsets">{on_page}characters {span.start}–{span.end}</span>'
    return f'<span class="place"><code>{escaped(source)}</code> {offsets}{more}</span>'
