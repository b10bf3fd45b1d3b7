"""The claim gate: decide which sentences of a written text are supported, and by which characters of which sources.

A sentence passes if each of its markers refers to a passage, and a few whole sentences of those passages support it on
their own: its quotations word for word, its numbers, names, speakers and polarity, and its meaning.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from rag.gate.markers import Written, written_sentences
from rag.gate.rules.negation import contradicts
from rag.gate.rules.opposites import opposed
from rag.gate.rules.overstatement import absolute, still
from rag.gate.rules.quantities import (
    Date,
    Quantity,
    bounds,
    misplaced_first,
    missing,
    quantities,
    quantities_with_years,
)
from rag.gate.rules.quotations import first_unquoted
from rag.gate.rules.reservations import unconditioned, unreserved
from rag.gate.rules.reversals import reverses, undone
from rag.gate.rules.semantic_roles import turned
from rag.gate.rules.shared_words import most_shared, moved, overlap
from rag.gate.rules.speakers import misattributed, speakers
from rag.gate.rules.unknown_names import exchanged, first_unknown, mentions
from rag.models import Support
from rag.text.sentences import sentences
from rag.text.words import fold
from rag.values import Citation, Claim, Document, Fault, Removed, Source, Span

Excerpt = tuple[Document, Span]

_MAX_SENTENCES = 3  # source sentences per claim; more would be a summary that nobody can check at a glance
_MAX_CANDIDATES = 9  # source sentences to combine: those that share most with the claim
_MAX_TRIED = 3  # combinations that the evidence model may judge
_SENTENCE_COSTS = 0.12  # in overlap; each further sentence must add about one word in eight
_GAP_COSTS = 0.04  # prefer adjacent sentences
_BEFORE_CHARS = 300  # context in which "he" is named
_AROUND_CHARS = 1500  # context in which a speaker who says "I" is named; passages are seldom longer
# A sentence is supported if overlap + _MODEL_WEIGHT * probability reaches _MIN_SUPPORT: near-verbatim sentences pass
# without the model, which decides when fewer words are shared. Both values were chosen on the development half of
# evals/gold/gate.jsonl (python -m evals.gate --split dev). Letting the model veto near-verbatim sentences was tried,
# with weights that separate statements at AUROC .94: a veto below .05 rejects five more faulty sentences of all kinds,
# but also three more of 191 sound ones.
_MODEL_WEIGHT = 0.5
_MIN_SUPPORT = 0.7
_SPREAD: tuple[Fault, str] = ("unsupported", f"no {_MAX_SENTENCES} sentences of its sources hold all of it")
_NOT_SAID: tuple[Fault, str] = ("unsupported", "its sources do not say so")
# Where in a sentence a date may be the document's own: "on 7 May, it reported that", "an article of 7 May 2025".
_PUBLISHED = re.compile(
    r".*\b(?:published|reports|reported|writes|wrote|article)\b(?:(?!\sthat\b).){0,30}", re.IGNORECASE
)
_OF_A_PASSAGE = re.compile(
    r"(?:the|this|these)\s(?:\w+\s)?passages?\s(?:also\s)?(?:discuss|describe|mention|provide|contain|refer|focus|highlight"
    r"|(?:talk|speak)s?\s(?:of|about)|(?:is|are)\sabout|do(?:es)?\snot)",
    re.IGNORECASE,
)
# An address, or Markdown or HTML syntax for links, images and elements.
_LINK = re.compile(
    r"(?:https?:|www\.|mailto:|data:|javascript:)\S*|\b\w+://\S*|//\w[\w-]*\.\S*|!\[|\]\s?[(\[]|</?[a-z!][^<]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Supported:
    """A supported sentence, without its markers. places: the spans that support it, best first; never empty."""

    text: str
    places: tuple[Excerpt, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, and the parts of it that must appear literally in its sources.

    question: not evidence. A name that appears only there is the asker's premise, and often a false one.
    """

    text: str
    question: str
    quantities: frozenset[Quantity]
    names: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...] = ()


def statement(text: str, *, question: str, around: Sequence[str], synonyms: Sequence[Sequence[str]] = ()) -> Statement:
    """Parse what a sentence states. around: text surrounding its sources, used to recognise names."""
    names = mentions(text, around)
    return Statement(text, question, quantities(text), tuple(names), tuple(tuple(group) for group in synonyms))


def check_text(
    text: str,
    sources: Sequence[Source],
    *,
    question: str,
    support: Support | None,
    synonyms: Sequence[Sequence[str]] = (),
) -> list[Supported | Removed]:
    """Check each sentence of a written text and return the results in order. Accepts any text."""
    return [
        check(sentence, sources, question=question, support=support, synonyms=synonyms)
        for sentence in written_sentences(text)
    ]


def check(
    sentence: Written,
    sources: Sequence[Source],
    *,
    question: str,
    support: Support | None,
    synonyms: Sequence[Sequence[str]] = (),
) -> Supported | Removed:
    """Return the sentence with the places that support it, or with its first fault.

    support: the evidence model; without one, nearly all words of the sentence must be in its places.
    synonyms: groups of names that mean the same, as stored in the index.
    """
    if fault := fault_of_form(sentence.text, sentence.markers, n_sources=len(sources)):
        return Removed(sentence.text, *fault)
    cited = [sources[int(marker) - 1] for marker in sentence.markers]
    said = statement(
        sentence.text, question=question, around=[source.passage.text for source in cited], synonyms=synonyms
    )
    every = [(source.document, span) for source in cited for span in source.passage.sentences]
    holding = [found for found in _combinations(said.text, every) if fault_of_facts(said, _joined(found)) is None]
    if not holding:
        return Removed(said.text, *(fault_of_facts(said, every) or _SPREAD))
    best = [_joined(found) for found in sorted(holding, key=lambda found: -_worth(said, found))[:_MAX_TRIED]]
    if fault := fault_of_meaning(said, best[0]):
        return Removed(said.text, *fault)
    return _supported(said, best, support) or Removed(said.text, *_NOT_SAID)


def cite_written(passed: Sequence[Supported]) -> tuple[Claim, ...]:
    """Return a claim per sentence; markers number citations in order, and a repeated place keeps its marker."""
    citations: dict[tuple[str, Span], Citation] = {}
    claims = []
    for supported in passed:
        for document, span in supported.places:
            if (document.id, span) not in citations:
                citations[document.id, span] = Citation.of(document, span, marker=len(citations) + 1)
        claims.append(Claim(supported.text, tuple(citations[d.id, span] for d, span in supported.places)))
    return tuple(claims)


# -- faults ------------------------------------------------------------------------------------------------------------


def fault_of_form(text: str, markers: Sequence[str], *, n_sources: int) -> tuple[Fault, str] | None:
    """Return the fault of a sentence that can be found without reading a source."""
    if not markers:
        return "uncited", "no marker"
    for marker in markers:
        if not (marker.isdecimal() and len(marker) < 5 and 1 <= int(marker) <= n_sources):
            return "fabricated", f"[{marker}] means no passage"
    return fault_of_text(text)


def fault_of_text(text: str) -> tuple[Fault, str] | None:
    """Return the fault of a sentence on its own: it asks, talks about its passage, or contains a link or markup.

    Showing a link, or clicking it, could leak data.
    """
    if text.rstrip(" *_").endswith("?"):
        return "unsupported", "asks, and states nothing"
    if _OF_A_PASSAGE.match(text):
        return "unsupported", "speaks of a passage, not of what it says"
    link = _LINK.search(text)
    return ("unsupported", f"carries a link: {link.group()}") if link else None


def fault_of_facts(said: Statement, places: Sequence[Excerpt]) -> tuple[Fault, str] | None:
    """Return the fault for the first quotation, number or name missing from these places; None if none is."""
    quotes = [span.cut(document.text) for document, span in places]
    documents = list({document.id: document for document, _ in places}.values())
    if (quotation := first_unquoted(said.text, quotes)) is not None:
        return "misquoted", f"not word for word in its sources: {quotation}"
    if lost := missing(said.quantities, _known_quantities(said.text, places)):
        return "wrong number", f"not in its sources: {lost[0]}"
    if bound := min(bounds(said.text) - bounds("\n".join(quotes)), default=None):
        return "wrong number", f"its sources do not set this bound: {bound}"
    about = [part for d in documents for part in (d.title, d.publisher, d.author) if part]
    if name := first_unknown(said.names, (*quotes, *about), synonyms=said.synonyms):
        says = any(name in speaker for speaker in speakers(said.text))
        asked = ", only in the question" if fold(name) in fold(said.question) else ""
        return "wrong speaker" if says else "wrong name", f"not in its sources{asked}: {name}"
    return None


def fault_of_meaning(said: Statement, places: Sequence[Excerpt]) -> tuple[Fault, str] | None:
    """Return the first way, judging by words, in which places with all the facts of a sentence contradict it."""
    source = _text(places)
    before = " ".join(document.text[max(0, span.start - _BEFORE_CHARS) : span.start] for document, span in places)
    around = text_around(places)
    publishers = " ".join(filter(None, (name for d, _ in places for name in (d.publisher, d.author))))
    quoted = any(_goes_on_quoting(document.text[: span.start]) for document, span in places)
    if who := misattributed(said.text, source, before=before, around=around, publishers=publishers, is_quoted=quoted):
        return "wrong speaker", f"its sources do not have {who} say so"
    return next(((fault, f"{why}: {word}") for fault, why, word in _otherwise(said, places, around) if word), None)


def _otherwise(said: Statement, places: Sequence[Excerpt], around: str) -> Iterator[tuple[Fault, str, object]]:
    """Yield each way in which places may say something else, with the word that shows it or an empty value."""
    source, likest = _text(places), _likest(said, places)
    yield "wrong number", "its sources say so of something else", moved(said.text, source)
    yield "wrong number", "its sources speak of a later one", misplaced_first(said.text, source)
    yield "wrong name", "its sources say so of another than", exchanged(said.text, likest, [around])
    yield "wrong name", "its sources have it the other way round", turned(said.text, source)
    yield "negated", "its sources say the opposite", contradicts(said.text, source)
    yield "negated", "its sources have the opposite word", opposed(said.text, source)
    yield "negated", "its sources have nothing like this word", reverses(said.text, source)
    yield "negated", "its sources take away what it has as given", undone(said.text, source)
    yield "unsupported", "its sources do not go as far as", absolute(said.text, source)
    yield "unsupported", "its sources have it of the past only", still(said.text, source)
    yield "unsupported", "its sources say so with a reservation", unreserved(said.text, likest)
    yield "unsupported", "its sources say so on a condition or leave it open", unconditioned(said.text, likest)


def _known_quantities(text: str, places: Sequence[Excerpt]) -> frozenset[Quantity]:
    """Return the quantities in places; a document's date counts only next to a word for its publication."""
    published = _PUBLISHED.match(text)
    said = quantities(published.group()) if published else frozenset[Quantity]()
    appeared = {Date(d.date.year, d.date.month, d.date.day) for d, _ in places if d.date}
    known = (
        quantities_with_years(
            span.cut(document.text),
            before=document.text[max(0, span.start - _AROUND_CHARS) : span.start],
            year=document.date.year if document.date else None,
        )
        for document, span in places
    )
    return (said & appeared).union(*known)


# -- places ------------------------------------------------------------------------------------------------------------


def _combinations(text: str, every: Sequence[Excerpt]) -> Iterator[tuple[Excerpt, ...]]:
    """Yield combinations of source sentences that may support a sentence.

    They are drawn from those that share most with it and the sentences before the best of these.
    every: the sentences of the passages cited, in order.
    """
    places = list({(document.id, span): (document, span) for document, span in every}.values())
    order = most_shared(text, [span.cut(document.text) for document, span in places])
    best = order[:_MAX_CANDIDATES]
    best += [i - 1 for i in best[:_MAX_SENTENCES] if i and i - 1 not in best]
    for n in range(1, _MAX_SENTENCES + 1):
        for chosen in combinations(best, n):  # ordered by overlap, so the best place comes first
            yield tuple(places[i] for i in chosen)


def text_around(places: Sequence[Excerpt]) -> str:
    """Return the places with their surrounding text in the documents."""
    return "\n".join(d.text[max(0, span.start - _AROUND_CHARS) : span.end + _AROUND_CHARS] for d, span in places)


def _goes_on_quoting(before: str) -> bool:
    """Return whether a text ends inside a quotation; straight marks are paired only within their paragraph."""
    return before.rfind("“") > before.rfind("”") or before[before.rfind("\n") + 1 :].count('"') % 2 == 1


def _joined(places: Sequence[Excerpt]) -> tuple[Excerpt, ...]:
    """Merge places that are adjacent in a paragraph, ordered by the best one in each."""
    runs: list[tuple[int, Document, Span]] = []
    for rank, (document, span) in sorted(enumerate(places), key=lambda item: (item[1][0].id, item[1][1])):
        if runs and runs[-1][1].id == document.id and _follows(span, runs[-1][2], document.text):
            runs[-1] = (min(rank, runs[-1][0]), document, Span(runs[-1][2].start, span.end))
        else:
            runs.append((rank, document, span))
    return tuple((document, span) for _, document, span in sorted(runs, key=lambda run: run[0]))


def _follows(span: Span, before: Span, text: str) -> bool:
    between = text[before.end : span.start]
    return not between.strip() and "\n\n" not in between


def _likest(said: Statement, places: Sequence[Excerpt]) -> str:
    """Return the sentence in these places that shares most with the statement."""
    every = [s.cut(document.text) for document, span in places for s in sentences(document.text, span)]
    return max(every, key=lambda one: overlap(said.text, one, names=said.names))


def _text(places: Sequence[Excerpt]) -> str:
    """Return the text of places, in document order."""
    return "\n".join(span.cut(document.text) for document, span in sorted(places, key=lambda p: (p[0].id, p[1])))


# -- support -----------------------------------------------------------------------------------------------------------


def _worth(said: Statement, found: Sequence[Excerpt]) -> float:
    """Return how well sentences fit a statement: their overlap with it minus a cost for reading them."""
    places = _joined(found)
    costs = _SENTENCE_COSTS * (len(found) - 1) + _GAP_COSTS * (len(places) - 1)
    return overlap(said.text, _text(places), names=said.names) - costs


def fault_of_words(said: Statement, places: Sequence[Excerpt]) -> tuple[Fault, str] | None:
    """Return a fault if a sentence shares too little with these places for any model score to make up for it."""
    if overlap(said.text, _text(places), names=said.names) + _MODEL_WEIGHT < _MIN_SUPPORT:
        return "unsupported", "shares too few words with what it cites"
    return None


def _supported(said: Statement, holding: Sequence[tuple[Excerpt, ...]], support: Support | None) -> Supported | None:
    for places in holding:
        share = overlap(said.text, _text(places), names=said.names)
        if share < _MIN_SUPPORT and support:
            share += _MODEL_WEIGHT * support(said.text, [span.cut(document.text) for document, span in places])
        if share >= _MIN_SUPPORT and not fault_of_meaning(said, places):
            return Supported(said.text, places)
    return None
