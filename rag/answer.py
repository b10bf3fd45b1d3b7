"""Quotes mode: the fewest sentences that answer, verbatim, each with all the places that say it.

Knows nothing about how the evidence was found. Citations are cut from the documents' own texts by their offsets, and a
sentence below the threshold is not shown, whatever else is missing.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.errors import IndexDamaged
from rag.evidence import PassageEvidence, SentenceEvidence
from rag.types import Citation, Claim, Document, Passage, Span
from rag.words import words

_ARTICLES = frozenset({"a", "an", "the"})
_AMOUNT = re.compile(r"(?:(?<!\w)[-−+])?[$€£¥]?\d[\d.,]*[²³]?\s?%?")  # words() knows no signs


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence that is a candidate for the answer."""

    passage: Passage
    evidence: SentenceEvidence

    @property
    def span(self) -> Span:
        """Where the sentence stands in its document."""
        return self.evidence.span

    @property
    def text(self) -> str:
        """The sentence."""
        return self.passage.quote(self.span)


def select(
    read: Sequence[PassageEvidence],
    *,
    covered: Callable[[str], frozenset[int]],
    min_probability: float,
    max_claims: int,
) -> list[list[Quote]]:
    """Return groups of quotes: a group a claim, its first quote the best, the others saying the same elsewhere.

    The most probable sentence answers; a further one is taken only if it is probable enough by itself and speaks of a
    part of the question (``covered``) that none before it does. Empty if no sentence reaches min_probability.
    """
    groups: list[list[Quote]] = []
    spoken: frozenset[int] = frozenset()
    for quote in _by_probability(read):
        if quote.evidence.probability < min_probability:
            break
        same = next((group for group in groups if says_the_same(group[0].text, quote.text)), None)
        if same is not None:
            same.append(quote)
        elif not groups or (len(groups) < max_claims and not covered(quote.text) <= spoken):
            groups.append([quote])
            spoken |= covered(quote.text)
    return _in_reading_order(groups)


def cite_all(groups: Sequence[Sequence[Quote]], document: Callable[[str], Document]) -> tuple[Claim, ...]:
    """Return a claim for each group, its text the first quote; markers count citations in order of appearance."""
    made: list[Claim] = []
    marker = 0
    for group in groups:
        citations = []
        for quote in group:
            marker += 1
            citation = cite(document(quote.passage.doc_id), quote.span, marker=marker)
            if citation.quote != quote.text:  # what was judged must be what is shown
                raise IndexDamaged(
                    f"{citation.source}: its text and its passages differ; delete the index, run rag ingest"
                )
            citations.append(citation)
        made.append(Claim(citations[0].quote, tuple(citations)))
    return tuple(made)


def cite(document: Document, span: Span, *, marker: int) -> Citation:
    """Return the citation of these characters; the quote is cut from the document, never passed in."""
    return Citation(
        marker=marker,
        doc_id=document.id,
        source=document.source,
        title=document.title,
        publisher=document.publisher,
        date=document.date,
        span=span,
        quote=span.cut(document.text),
    )


def says_the_same(one: str, other: str) -> bool:
    """Whether two sentences are near-duplicates: the same words in the same order, but for articles, case and marks.

    Sentences that merely resemble each other may contradict each other ("attacked", "was attacked by"), and are never
    merged.
    """
    return _substance(one) == _substance(other)


def _substance(text: str) -> tuple[list[str], list[str]]:
    return [word.folded for word in words(text) if word.folded not in _ARTICLES], _AMOUNT.findall(text)


def _by_probability(read: Sequence[PassageEvidence]) -> list[Quote]:
    """Return every sentence once, most probable first; ties go to the passage that retrieval put first."""
    best: dict[tuple[str, Span], Quote] = {}
    for evidence in read:
        for sentence in evidence.sentences:
            place = (evidence.passage.doc_id, sentence.span)
            if place not in best or sentence.probability > best[place].evidence.probability:
                best[place] = Quote(evidence.passage, sentence)
    return sorted(best.values(), key=lambda quote: -quote.evidence.probability)


def _in_reading_order(groups: list[list[Quote]]) -> list[list[Quote]]:
    """Sort claims so that those of one document stand together and in its order, the best claim's document first."""
    first: dict[str, int] = {}
    for group in groups:
        first.setdefault(group[0].passage.doc_id, len(first))
    return sorted(groups, key=lambda group: (first[group[0].passage.doc_id], group[0].span))
