"""Quotes mode: the fewest sentences that answer, verbatim, each with all the places that say it.

Citations are cut from the documents' own texts by their offsets. Where no sentence reaches the threshold nothing is
shown, whatever is asked.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rag.errors import IndexDamaged
from rag.models import PassageEvidence, SentenceEvidence, likeliest
from rag.text.duplicates import says_the_same
from rag.values import Citation, Claim, Document, Passage, Span

FURTHER = 0.6  # of the threshold is enough beside an answer: docs/decisions/0013


# A sentence that opens so speaks of the one before it: "He added that …", "This was …".
_REFERS_BACK = re.compile(
    r"[\"“”'‘’«]*(?:he|she|they|it|his|her|their|its|this|these|those|such|the (?:former|latter)|both)\b"
    r"(?! (?:year|month|week|quarter|century)\b)(?!(?:'s|’s| is| was) \w+ (?:that|to|who)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence that is a candidate for the answer. is_led: the answer shows the one before it already."""

    passage: Passage
    evidence: SentenceEvidence
    is_led: bool = False

    @property
    def place(self) -> tuple[str, Span]:
        """Where the sentence stands."""
        return self.passage.doc_id, self.evidence.span

    @property
    def sentence(self) -> str:
        """The sentence that answers."""
        return self.passage.quote(self.evidence.span)

    @property
    def span(self) -> Span:
        """What is shown: the sentence, and the one before it if it makes no sense without."""
        before = [span for span in self.passage.sentences if span < self.evidence.span]
        if self.is_led or not before or not _REFERS_BACK.match(self.sentence):
            return self.evidence.span
        between = self.passage.quote(Span(before[-1].start, self.evidence.span.end))[
            len(before[-1]) : -len(self.sentence)
        ]
        if between.strip() or "\n\n" in between:  # another paragraph, or something that was left out, lies between
            return self.evidence.span
        return Span(before[-1].start, self.evidence.span.end)

    @property
    def text(self) -> str:
        """What is shown."""
        return self.passage.quote(self.span)


@dataclass(frozen=True, slots=True)
class QuestionEvidence:
    """What was read for one question: the evidence, and which parts of the question a text speaks of."""

    passages: Sequence[PassageEvidence]
    covered: Callable[[str], frozenset[int]]


def select(reads: Sequence[QuestionEvidence], *, min_probability: float, max_claims: int) -> list[list[Quote]]:
    """Return groups of quotes: a group a claim, its first quote the best, the others saying the same elsewhere.

    reads: one for each question asked; each may have a claim before the first has a second one. Empty if no sentence
    reaches min_probability. If one does, the documents answer, and any other needs ``FURTHER`` of it: the likeliest of
    each question, and after that those that speak of a part of it that none before them does, or that another document
    says, since documents may disagree.
    """
    best = max((likeliest(read.passages) for read in reads), default=0.0)
    enough = quotable_from(best, min_probability=min_probability)
    groups: list[list[Quote]] = []
    for n_later, read in zip(reversed(range(len(reads))), reads, strict=True):
        room = max_claims - len(groups)
        kept_free = min(n_later, max(room - 1, 0))  # for the questions behind this one, which has a claim all the same
        _answer_one(groups, read, enough=enough, room=room - kept_free)
    return _in_reading_order(_each_shown_once(groups))


def quotable_from(best: float, *, min_probability: float) -> float:
    """Return the probability from which on sentences are quoted, where the likeliest one has this."""
    return min_probability * FURTHER if best >= min_probability else min_probability


def _answer_one(groups: list[list[Quote]], read: QuestionEvidence, *, enough: float, room: int) -> None:
    """Add what answers one question: quotes to groups that say the same, at most ``room`` new groups for the others."""
    spoken, documents = frozenset[int](), set[str]()
    for quote in by_probability(read.passages):
        if quote.evidence.probability < enough:
            break
        covered, document = read.covered(quote.sentence), quote.passage.doc_id
        same = next((group for group in groups if says_the_same(group[0].text, quote.text)), None)
        if same is not None:
            if all(quote.place != other.place for other in same):
                same.append(quote)
        elif room > 0 and not (document in documents and covered <= spoken):
            groups.append([quote])
            room -= 1
        else:
            continue
        spoken |= covered
        documents.add(document)


def cite_all(groups: Sequence[Sequence[Quote]], document: Callable[[str], Document]) -> tuple[Claim, ...]:
    """Return a claim for each group, its text the first quote; markers count citations in order of appearance."""
    made: list[Claim] = []
    marker = 0
    for group in groups:
        citations = []
        for quote in group:
            marker += 1
            citation = Citation.of(
                document(quote.passage.doc_id), quote.span, marker=marker, answer=quote.evidence.answer
            )
            if citation.quote != quote.text:  # what was judged must be what is shown
                raise IndexDamaged(
                    f"{citation.source}: its text and its passages differ; delete the index, run rag ingest"
                )
            citations.append(citation)
        made.append(Claim(citations[0].quote, tuple(citations)))
    return tuple(made)


def by_probability(read: Sequence[PassageEvidence]) -> list[Quote]:
    """Return every sentence once, most probable first; ties go to the passage that retrieval put first."""
    best: dict[tuple[str, Span], Quote] = {}
    for evidence in read:
        for sentence in evidence.sentences:
            place = (evidence.passage.doc_id, sentence.span)
            if place not in best or sentence.probability > best[place].evidence.probability:
                best[place] = Quote(evidence.passage, sentence)
    return sorted(best.values(), key=lambda quote: -quote.evidence.probability)


def _each_shown_once(groups: Sequence[Sequence[Quote]]) -> list[list[Quote]]:
    """Return the groups, without the sentence before a quote where that is quoted itself."""
    quoted = {quote.place for group in groups for quote in group}

    def is_led(quote: Quote) -> bool:
        others = [span for doc_id, span in quoted - {quote.place} if doc_id == quote.passage.doc_id]
        return any(quote.span.overlaps(span) for span in others)

    return [[replace(quote, is_led=is_led(quote)) for quote in group] for group in groups]


def _in_reading_order(groups: list[list[Quote]]) -> list[list[Quote]]:
    """Sort claims so that those of one document stand together and in its order, the best claim's document first."""
    first: dict[str, int] = {}
    for group in groups:
        first.setdefault(group[0].passage.doc_id, len(first))
    return sorted(groups, key=lambda group: (first[group[0].passage.doc_id], group[0].span))
