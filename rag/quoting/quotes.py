"""Quotes mode: the fewest sentences that answer, verbatim, each with every place that says it.

Citations are cut from the documents' own texts by offset. If no sentence reaches the threshold, nothing is shown.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rag.errors import IndexDamaged
from rag.models import PassageEvidence, SentenceEvidence, likeliest
from rag.text.duplicates import says_the_same
from rag.values import Citation, Claim, Document, Passage, Span

FURTHER = 0.6  # share of the threshold that is enough next to an answer: docs/decisions/0013


# An opening that refers to the sentence before: "He added that …", "This was …".
_REFERS_BACK = re.compile(
    r"[\"“”'‘’«]*(?:he|she|they|it|his|her|their|its|this|these|those|such|the (?:former|latter)|both)\b"
    r"(?! (?:year|month|week|quarter|century)\b)(?!(?:'s|’s| is| was) \w+ (?:that|to|who)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """A candidate sentence for the answer. is_led: the answer already shows the sentence before it."""

    passage: Passage
    evidence: SentenceEvidence
    is_led: bool = False

    @property
    def place(self) -> tuple[str, Span]:
        """The document id and span of the sentence."""
        return self.passage.doc_id, self.evidence.span

    @property
    def sentence(self) -> str:
        """The sentence that answers."""
        return self.passage.quote(self.evidence.span)

    @property
    def span(self) -> Span:
        """The span shown: the sentence, plus the one before if it makes no sense without it."""
        before = [span for span in self.passage.sentences if span < self.evidence.span]
        if self.is_led or not before or not _REFERS_BACK.match(self.sentence):
            return self.evidence.span
        between = self.passage.quote(Span(before[-1].start, self.evidence.span.end))[
            len(before[-1]) : -len(self.sentence)
        ]
        if between.strip() or "\n\n" in between:  # a paragraph break or an exclusion lies between
            return self.evidence.span
        return Span(before[-1].start, self.evidence.span.end)

    @property
    def text(self) -> str:
        """The text shown."""
        return self.passage.quote(self.span)


@dataclass(frozen=True, slots=True)
class QuestionEvidence:
    """The evidence for one question, and a function telling which parts of the question a text covers."""

    passages: Sequence[PassageEvidence]
    covered: Callable[[str], frozenset[int]]


def select(reads: Sequence[QuestionEvidence], *, min_probability: float, max_claims: int) -> list[list[Quote]]:
    """Return one group of quotes per claim: the best quote first, then others that say the same elsewhere.

    reads: one for each question asked; each question may get a claim before the first gets a second one.
    Empty if no sentence reaches min_probability. If one does, the documents answer, and further sentences need only
    ``FURTHER`` of it. Each question gets its likeliest sentence, then those that cover a new part of it or come from
    another document, since documents may disagree.
    """
    best = max((likeliest(read.passages) for read in reads), default=0.0)
    enough = quotable_from(best, min_probability=min_probability)
    groups: list[list[Quote]] = []
    for n_later, read in zip(reversed(range(len(reads))), reads, strict=True):
        room = max_claims - len(groups)
        kept_free = min(n_later, max(room - 1, 0))  # for the later questions; this one always gets a claim
        _answer_one(groups, read, enough=enough, room=room - kept_free)
    return _in_reading_order(_each_shown_once(groups))


def quotable_from(best: float, *, min_probability: float) -> float:
    """Return the probability a sentence needs to be quoted, given that of the likeliest sentence."""
    return min_probability * FURTHER if best >= min_probability else min_probability


def _answer_one(groups: list[list[Quote]], read: QuestionEvidence, *, enough: float, room: int) -> None:
    """Add the quotes for one question to groups that say the same, or to at most ``room`` new groups."""
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
    """Return a claim per group with the first quote as its text; markers number citations in order."""
    made: list[Claim] = []
    marker = 0
    for group in groups:
        citations = []
        for quote in group:
            marker += 1
            citation = Citation.of(
                document(quote.passage.doc_id), quote.span, marker=marker, answer=quote.evidence.answer
            )
            if citation.quote != quote.text:  # show exactly what was judged
                raise IndexDamaged(
                    f"{citation.source}: its text and its passages differ; delete the index, run rag ingest"
                )
            citations.append(citation)
        made.append(Claim(citations[0].quote, tuple(citations)))
    return tuple(made)


def by_probability(read: Sequence[PassageEvidence]) -> list[Quote]:
    """Return every sentence once, most probable first; ties keep retrieval's order."""
    best: dict[tuple[str, Span], Quote] = {}
    for evidence in read:
        for sentence in evidence.sentences:
            place = (evidence.passage.doc_id, sentence.span)
            if place not in best or sentence.probability > best[place].evidence.probability:
                best[place] = Quote(evidence.passage, sentence)
    return sorted(best.values(), key=lambda quote: -quote.evidence.probability)


def _each_shown_once(groups: Sequence[Sequence[Quote]]) -> list[list[Quote]]:
    """Return the groups, dropping the sentence before a quote if it is quoted itself."""
    quoted = {quote.place for group in groups for quote in group}

    def is_led(quote: Quote) -> bool:
        others = [span for doc_id, span in quoted - {quote.place} if doc_id == quote.passage.doc_id]
        return any(quote.span.overlaps(span) for span in others)

    return [[replace(quote, is_led=is_led(quote)) for quote in group] for group in groups]


def _in_reading_order(groups: list[list[Quote]]) -> list[list[Quote]]:
    """Sort claims by document, starting with the best claim's, and by position within it."""
    first: dict[str, int] = {}
    for group in groups:
        first.setdefault(group[0].passage.doc_id, len(first))
    return sorted(groups, key=lambda group: (first[group[0].passage.doc_id], group[0].span))
