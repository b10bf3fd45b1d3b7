"""A whole document as HTML, with highlights for what an answer quotes and what was left out of the passages.

The text is cut by offsets, never searched. A place whose characters differ from the quote is not highlighted; a line
says so instead.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field

from rag.index import Entry
from rag.values import Abstention, Citation, Exclusion, Span
from rag.web.turn import Turns
from rag.web.views.markup import about, counted, escaped, problem


@dataclass(frozen=True, slots=True)
class Highlight:
    """Characters to highlight. label: a word or two about them; quote: the text that has to be there."""

    label: str
    span: Span
    quote: str
    answer: Span | None = None
    is_chosen: bool = False


class Pointer(BaseModel):
    """What a reader wants to open: a document, or what a turn cites, found nearest, or found by searching."""

    model_config = ConfigDict(frozen=True)

    document: str | None = None
    turn: int = Field(1, ge=1)
    marker: int | None = None
    nearest: int | None = Field(None, ge=0)
    found: int | None = Field(None, ge=0)


def pointed_at(pointer: Pointer, turns: Turns) -> tuple[str, list[Highlight]]:
    """Return a document's id and the places to highlight; raises LookupError if the turns have no such place."""
    if pointer.document is not None:
        return pointer.document, []
    turn = turns[pointer.turn - 1]
    if pointer.marker is not None:
        chosen = {citation.marker: citation for citation in turn.citations}[pointer.marker]
        return chosen.doc_id, [_cited(c, chosen=chosen) for c in turn.citations if c.doc_id == chosen.doc_id]
    nearest = turn.result.nearest if isinstance(turn.result, Abstention) else ()
    hits, index = (turn.found or (), pointer.found) if pointer.found is not None else (nearest, pointer.nearest or 0)
    hit = hits[index]
    label = "Nearest sentence" if hit.sentence else "Passage"
    return hit.passage.doc_id, [Highlight(label, hit.span, hit.text, is_chosen=True)]


def document_html(entry: Entry, places: Sequence[Highlight]) -> str:
    """Return the dialog of a document: its description, its whole text, and links from one place to the next."""
    document = entry.document
    right = sorted((p for p in places if _stands(p, document.text)), key=lambda place: place.span)
    wrong = [p for p in places if not _stands(p, document.text)]
    lines = "".join(problem(f"{p.label}: the document does not have the quoted characters there.") for p in wrong)
    return (
        '<dialog class="reader" aria-labelledby="reader-title">'
        f'<header><div><h2 id="reader-title" tabindex="-1">{escaped(document.title)}</h2>'
        f"<p>{about(document.publisher, document.date)} <code>{escaped(document.source)}</code></p></div>"
        f'{_steps(len(right))}<button type="button" data-close>Close</button></header>'
        f'{_left_out(entry.excluded)}{lines}<div class="text" tabindex="0" role="region" aria-label="Text">'
        f"{''.join(_paragraphs(document.text, right, entry.excluded))}</div></dialog>"
    )


def gone_html(line: str) -> str:
    """Return the dialog shown instead of a document that no longer exists."""
    return (
        '<dialog class="reader" aria-labelledby="reader-title"><header>'
        '<h2 id="reader-title" tabindex="-1">No document</h2><button type="button" data-close>Close</button></header>'
        f"{problem(line)}</dialog>"
    )


def _cited(citation: Citation, *, chosen: Citation) -> Highlight:
    label = f"Footnote {citation.marker}"
    return Highlight(label, citation.span, citation.quote, citation.answer, is_chosen=citation == chosen)


def _stands(place: Highlight, text: str) -> bool:
    return text[place.span.start : place.span.end] == place.quote


def _steps(n_places: int) -> str:
    if n_places < 2:
        return ""
    return (
        '<nav class="steps" aria-label="Quotes in this document"><button type="button" data-step="-1">Previous</button>'
        f'<output aria-live="polite"><span class="at">1</span> of {n_places}</output>'
        '<button type="button" data-step="1">Next</button></nav>'
    )


def _left_out(excluded: Sequence[Exclusion]) -> str:
    """Return how many lines were left out and why, folded."""
    if not excluded:
        return ""
    by_rule: dict[tuple[str, str], int] = {}
    for exclusion in excluded:
        key = exclusion.rule, exclusion.reason
        by_rule[key] = by_rule.get(key, 0) + 1
    rules = "".join(
        f"<li><code>{escaped(rule)}</code> {counted(n, 'line')}: {escaped(reason)}</li>"
        for (rule, reason), n in by_rule.items()
    )
    head = f"{counted(len(excluded), 'line')} left out of the passages, dimmed below"
    return f'<details class="left-out"><summary>{head}</summary><ul>{rules}</ul></details>'


def _paragraphs(text: str, places: Sequence[Highlight], excluded: Sequence[Exclusion]) -> Iterator[str]:
    """Yield a paragraph for each line that is not blank."""
    spans = [s for p in places for s in (p.span, p.answer) if s] + [x.span for x in excluded]
    edges = sorted({edge for span in spans for edge in (span.start, span.end)})
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        if line.strip():
            inside = edges[bisect_right(edges, start) : bisect_right(edges, end - 1)]
            pieces = (_piece(Span(a, b), text, places, excluded) for a, b in pairwise([start, *inside, end]))
            yield f"<p>{''.join(pieces)}</p>"
        start = end + 1


def _piece(span: Span, text: str, places: Sequence[Highlight], excluded: Sequence[Exclusion]) -> str:
    """Return a run of characters that share the same highlights and exclusion."""
    piece = escaped(span.cut(text))
    if left_out := next((x for x in excluded if x.span.covers(span)), None):
        why = f"Left out, {escaped(left_out.rule)}: {escaped(left_out.reason)}"
        piece = f'<span class="excluded" title="{why}">{piece}</span>'
    here = [number for number, place in enumerate(places) if place.span.covers(span)]
    if not here:
        return piece
    if any(place.answer and place.answer.covers(span) for place in places):
        piece = f"<strong>{piece}</strong>"
    chosen = " chosen" if any(places[number].is_chosen for number in here) else ""
    labels = ", ".join(places[number].label for number in here)
    numbers = " ".join(map(str, here))
    return f'<mark class="quote{chosen}" data-place="{numbers}" title="{escaped(labels)}">{piece}</mark>'
