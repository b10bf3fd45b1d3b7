"""Retrieve passages for a question by fusing dense and lexical rankings of sentences and passages by rank.

A matching sentence brings in its passage. On the seeds this puts the evidence into the first five passages more often
than ranking passages alone. Only ranks are compared, never scores of different kinds.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rag.errors import UsageError
from rag.index import Query, Snapshot, spelt_as_in
from rag.models import Candidate, Encoder, Vectors
from rag.text.synonyms import rephrasings
from rag.values import Hit, Passage, Unit, doc_id_of, span_of, unit_id

Ranking = Literal["dense", "lexical"]
RANKINGS: tuple[Ranking, ...] = ("dense", "lexical")  # they err differently; fewer are only for experiments
RRF_K = 10  # tuned on SciFact's training queries; Cormack et al., SIGIR 2009, use 60: docs/decisions/0003
_MAX_PHRASINGS = 4  # the question and three rephrasings; each costs one encoding and one search


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents may answer. The date range is inclusive, and any range excludes undated documents."""

    source: str | None = None
    since: dt.date | None = None
    until: dt.date | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.since > self.until:
            raise UsageError(f"since {self.since} is after until {self.until}; no day is in between")

    def __str__(self) -> str:
        named = {"source": self.source, "since": self.since, "until": self.until}
        return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)

    def doc_ids(self, snapshot: Snapshot) -> frozenset[str] | None:
        """Return the ids of the documents that pass; None if nothing is filtered."""
        if self == Filters():
            return None
        return snapshot.catalog.doc_ids(source=self.source, since=self.since, until=self.until)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What retrieval found, and how it understood the question.

    hits: best first. candidates: the same passages with their retrieval scores, for the evidence model.
    query: the parts of the question, to tell which of them a sentence covers.
    """

    hits: tuple[Hit, ...]
    candidates: tuple[Candidate, ...]
    query: Query


def fuse(rankings: Iterable[Sequence[str]], *, top_k: int, k: int = RRF_K) -> list[tuple[str, float]]:
    """Fuse ranked lists of ids by reciprocal rank.

    rankings: best first; ids unique within a list. Returns at most top_k ids with the sum of 1 / (k + rank) over the
    lists, rank from 1; best first, ties by id. Raises ValueError if k < 1.  Source: Cormack et al., SIGIR 2009.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    terms: dict[str, list[float]] = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            terms.setdefault(found, []).append(1.0 / (k + rank))
    scores = {found: math.fsum(parts) for found, parts in terms.items()}  # exact in any order of the lists
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:top_k]


def retrieve(
    question: str,
    *,
    snapshot: Snapshot,
    encoder: Encoder,
    filters: Filters,
    candidates: int,
    top_k: int,
    rankings: Sequence[Ranking] = RANKINGS,
) -> Retrieved:
    """Return the top_k passages for a question, each with retrieval scores for its sentences.

    candidates: units taken from each ranking before fusion. rankings: which rankings to fuse.
    """
    synonyms = snapshot.catalog.synonyms()
    query = snapshot.lexical.query(question, synonyms=synonyms)
    doc_ids = filters.doc_ids(snapshot)
    vectors = encoder.encode([question, *rephrasings(question, synonyms)][:_MAX_PHRASINGS])

    def ranked(unit: Unit) -> list[list[str]]:
        searches = {
            "dense": lambda: snapshot.nearest(unit, vectors, candidates, doc_ids=doc_ids),
            "lexical": lambda: snapshot.lexical.rank(unit, query, candidates, doc_ids=doc_ids),
        }
        return [[found for found, _ in searches[ranking]()] for ranking in rankings]

    by_sentence = ranked("sentences")
    sentences = fuse(by_sentence, top_k=candidates)
    fused = fuse([*(_passages_of(ranking, snapshot) for ranking in by_sentence), *ranked("passages")], top_k=top_k)
    passages = snapshot.catalog.passages(found for found, _ in fused)
    hits = tuple(Hit(passages[found], score, rank, "fused") for rank, (found, score) in enumerate(fused, start=1))
    return Retrieved(hits, _candidates(hits, snapshot, question, query, vectors, scores=dict(sentences)), query)


def merge_hits(found: Sequence[Sequence[Hit]]) -> tuple[Hit, ...]:
    """Interleave the hits of several searches by rank, keeping each passage once and renumbering the ranks."""
    merged: dict[str, Hit] = {}
    for hit in sorted((hit for hits in found for hit in hits), key=lambda hit: hit.rank):
        merged.setdefault(hit.passage.id, hit)
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(merged.values(), start=1))


def _passages_of(sentences: Sequence[str], snapshot: Snapshot) -> list[str]:
    """Return the passages of ranked sentences, each at the position of its best sentence."""
    found: dict[str, None] = {}
    for sentence in sentences:
        passage = snapshot.catalog.passage_at(doc_id_of(sentence), span_of(sentence))
        if passage:
            found.setdefault(passage.id)
    return list(found)


def _candidates(
    hits: Sequence[Hit],
    snapshot: Snapshot,
    question: str,
    query: Query,
    vectors: Vectors,
    *,
    scores: Mapping[str, float],
) -> tuple[Candidate, ...]:
    passages = [hit.passage for hit in hits]
    ids = list(dict.fromkeys(unit_id(p.doc_id, span) for p in passages for span in p.sentences))
    stored = snapshot.vectors("sentences", ids)

    def candidate(passage: Passage) -> Candidate:
        texts = [passage.quote(span) for span in passage.sentences]
        sentence_ids = [unit_id(passage.doc_id, span) for span in passage.sentences]
        return Candidate(
            passage=passage,
            similarities=tuple(float((vectors @ stored[found]).max()) for found in sentence_ids),
            coverages=tuple(snapshot.lexical.coverage(query, snapshot.lexical.covered(query, text)) for text in texts),
            fused=tuple(scores.get(found, 0.0) for found in sentence_ids),
            question=spelt_as_in(passage.text, question, query),
        )

    return tuple(candidate(passage) for passage in passages)
