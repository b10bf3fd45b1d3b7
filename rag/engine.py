"""``Rag``, the entry point of Footnote. ``Rag.stream`` holds the whole pipeline from question to answer.

The page, the Python API, the command line and the evaluation all go through it. Models and index files are loaded on
first use.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rag.config import Settings
from rag.documents import Prepared, Preparer, preview
from rag.errors import DocumentError, ModelFailed, UsageError
from rag.index import Catalog, Entry, Index, IngestReport, Listed, OnProgress, Query, Snapshot, ingest
from rag.models import (
    Encoder,
    EvidenceModel,
    PassageEvidence,
    SentenceEncoder,
    TrainedEvidence,
    likeliest,
    min_probability_for,
    piece_limit,
)
from rag.quoting import QuestionEvidence, cite_all, select
from rag.reasons import no_evidence, nothing_found
from rag.result_builder import ResultBuilder, nearest
from rag.retrieval import (
    RANKINGS,
    Filters,
    Ranking,
    Retrieved,
    condense,
    merge_hits,
    objection,
    parts,
    question_itself,
    retrieve,
)
from rag.text.names import learn_names
from rag.values import (
    Abstention,
    Answer,
    Claim,
    Document,
    History,
    Hit,
    Mode,
    Result,
    doc_id_of,
    span_of,
)
from rag.writing import LanguageModel, Material, configured, first_word_s, rewrite, write

_NAMED_IN_CHARS = 2000  # how much of the end of the conversation is searched for names
_NAMES_FROM_SENTENCES = 200  # related corpus sentences from which the kinds of names are learned


@dataclass(frozen=True, slots=True)
class Stage:
    """The pipeline has begun a stage; ``detail`` describes it for a reader."""

    name: str
    detail: str


Event = Stage | Claim | Result  # yielded in this order: stages, claims, result


class Rag:
    """An index of documents, and answers drawn from them. One instance can be shared by many threads.

    Each question opens the newest state of the index, so an ingest finished by another process is visible to the next
    question. encoder, evidence, writer: models to use instead of those named in the settings. rankings: the rankings
    that retrieval fuses; pass a subset to measure what each contributes. ``min_probability``: the probability that the
    likeliest sentence needs to count as an answer, derived from the two settings that determine it.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        encoder: Encoder | None = None,
        evidence: EvidenceModel | None = None,
        writer: LanguageModel | None = None,
        rankings: Sequence[Ranking] = RANKINGS,
    ) -> None:
        self.settings = settings or Settings()
        self.has_own_encoder = encoder is not None  # another process cannot load it by name
        self._encoder = encoder or SentenceEncoder(self.settings.encoder, threads=self.settings.threads)
        self._evidence = evidence or TrainedEvidence(threads=self.settings.threads)
        self._writer = writer or configured(self.settings)
        self.min_probability = max(self.settings.min_probability, min_probability_for(self.settings.max_error))
        self._rankings = tuple(rankings)
        shaping = {**self.settings.shaping(), "encoder": self._encoder.name}
        self.index = Index(self.settings.index_dir, shaping=shaping)

    # -- documents ---------------------------------------------------------------------------------------------------

    def ingest(
        self, paths: Sequence[str | Path] = (), *, prune: bool = False, on_progress: OnProgress = lambda *_: None
    ) -> IngestReport:
        """Bring the index up to date with files and folders or, if none are given, with the files it already has.

        All changes become visible at once. A document that cannot be read is listed in the report and does not affect
        the others; problems with the index as a whole are raised (IndexLocked, IndexMismatch, IndexDamaged,
        StorageFull). prune: also remove documents of these folders whose files are gone.
        """
        return ingest(
            [Path(path) for path in paths],
            index=self.index,
            settings=self.settings,
            encoder=self._encoder,
            prune=prune,
            on_progress=on_progress,
        )

    def preview(self, paths: Sequence[str | Path]) -> Iterator[Prepared | DocumentError]:
        """Yield what ``ingest`` would index, document by document, without touching the index or loading a model."""
        preparer = Preparer(self.settings, partial(piece_limit, self._encoder))
        return preview([Path(path) for path in paths], preparer)

    def warm_up(self) -> None:
        """Load the models now so that the first question does not have to wait for them."""
        self.warm_up_encoder()
        self._evidence.warm_up()

    def warm_up_encoder(self) -> None:
        """Load the model that an ingest needs."""
        self._encoder.encode(["warm up"])

    @property
    def default_mode(self) -> Mode:
        """The mode for questions that name none: "written" if a language model is configured, else "quotes"."""
        return "written" if self._writer else "quotes"

    def check_model(self) -> str | None:
        """Ask the configured language model for one word; return None if it answers, else a line that says why not."""
        if self._writer is None:
            return "no language model is configured; set RAG_LLM_BASE_URL and RAG_LLM_MODEL"
        try:
            first_word_s(self._writer)
        except ModelFailed as error:
            return str(error)
        return None

    def close(self) -> None:
        """Close the files of the index; the next question reopens them."""
        self.index.close()

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """Open the current catalogue: documents by source, passages by position, synonyms."""
        with self.index.read() as snapshot:
            yield snapshot.catalog

    def check(self) -> int:
        """Return the version of the index; raises IndexUnusable if it cannot be read, as any question would."""
        with self.index.read() as snapshot:
            return snapshot.generation

    def documents(self) -> list[Entry]:
        """Return the documents of the index, ordered by source."""
        with self.index.read() as snapshot:
            return list(snapshot.catalog.entries())

    def listing(self) -> list[Listed]:
        """Return a summary of each document, ordered by source, without reading the texts."""
        with self.index.read() as snapshot:
            return list(snapshot.catalog.listed())

    def entry(self, doc_id: str) -> Entry:
        """Return one document and its exclusions; raises KeyError if the id is not in the index."""
        with self.index.read() as snapshot:
            return snapshot.catalog.entry(doc_id)

    def remove(self, doc_ids: Iterable[str]) -> None:
        """Remove documents from the index, all or none; their files stay. Raises KeyError if an id is not in the index.

        Problems with the index as a whole are raised, as in ``ingest``.
        """
        with self.index.write() as draft:
            for doc_id in doc_ids:
                draft.remove(draft.catalog.entry(doc_id).document.id)
            draft.commit()

    def document(self, doc_id: str) -> Document:
        """Return one document with its text; raises KeyError if the id is not in the index."""
        with self.index.read() as snapshot:
            return snapshot.catalog.document(doc_id)

    # -- questions ---------------------------------------------------------------------------------------------------

    def search(
        self,
        question: str,
        *,
        top_k: int | None = None,
        source: str | None = None,
        since: dt.date | None = None,
        until: dt.date | None = None,
    ) -> list[Hit]:
        """Return the passages nearest to a question, best first; nothing if the text has no words.

        source: one document, or a folder of them. since, until: closed range of dates; undated documents are excluded.
        """
        filters = Filters(source and _readable(source), since, until)
        if top_k is not None and top_k < 1:
            raise UsageError(f"top_k is {top_k}; ask for at least one passage")
        question = _readable(question)
        if self._objection(question):
            return []
        with self.index.read() as snapshot:
            return list(self._retrieve(question, snapshot, filters, top_k=top_k or self.settings.top_k).hits)

    def ask(
        self,
        question: str,
        *,
        history: History | None = None,
        mode: Mode | None = None,
        source: str | None = None,
        since: dt.date | None = None,
        until: dt.date | None = None,
    ) -> Result:
        """Answer a question from the documents, or say why that is not possible.

        history: earlier turns, oldest first, as (question, answer text). mode: "quotes", or "written" by the language
        model; "written" is the default if a model is configured. Filters are the same as for ``search``.
        Raises UsageError for "written" without a model, IndexUnusable and ModelUnavailable. If the documents hold no
        answer, the result is an Abstention, not an error; if the language model fails, the quotes come with a notice.
        """
        events = self.stream(question, history=history, mode=mode, source=source, since=since, until=until)
        *_, result = events
        assert isinstance(result, Answer | Abstention)
        return result

    def stream(
        self,
        question: str,
        *,
        history: History | None = None,
        mode: Mode | None = None,
        source: str | None = None,
        since: dt.date | None = None,
        until: dt.date | None = None,
    ) -> Iterator[Event]:
        """Answer like ``ask``, yielding events along the way: stages, then each checked claim, then the result."""
        writer = self._writer_for(mode)
        filters = Filters(source and _readable(source), since, until)
        question = _readable(question)
        models = {"encoder": self._encoder.name, "evidence": self._evidence.name}
        asking = ResultBuilder(self.settings, question, models=models | ({"writer": writer.name} if writer else {}))
        told = [(_readable(asked), _readable(answered)) for asked, answered in history or []]
        history = [turn for turn in told if not self._objection(turn[0])]  # "Thanks!" is no context
        if reason := self._objection(question, follows=bool(history)):
            yield asking.abstain("question", reason)
            return
        with self.index.read() as snapshot:
            asking.index_version = snapshot.generation
            with asking.timed("condense"):
                asking.standalone = self._standalone(question_itself(question), history, snapshot, writer)
                asked = self._parts(asking.standalone, snapshot)

            yield Stage("retrieve", f"searching {len(snapshot.segment_of)} documents")
            with asking.timed("retrieve"):
                found = [self._retrieve(q, snapshot, filters, top_k=self.settings.passages_read) for q in asked]
                hits = merge_hits([each.hits for each in found])
            if not hits:
                yield asking.abstain("retrieve", nothing_found(filters))
                return

            yield Stage("evidence", f"reading {len(hits)} passages")
            with asking.timed("evidence"):
                evidence = [self._evidence.read(q, f.candidates) for q, f in zip(asked, found, strict=True)]

            yield Stage("answer", "choosing quotes")
            with asking.timed("answer"):
                quotes = self._quote(evidence, found, snapshot)
                material = Material.of(evidence, snapshot.catalog) if writer else None

        if writer and material:
            yield Stage("write", f"writing with {writer.name}")
            with asking.timed("write"):
                draft = yield from write(asking.standalone, material, model=writer, support=self._evidence.support)
            if draft.claims:
                yield asking.written(draft, hits)
                return
            asking.not_written(draft)
        if not quotes:
            yield asking.abstain("evidence", no_evidence(evidence, self.min_probability), nearest(evidence))
            return
        yield from quotes
        asking.leave_open([q for q, e in zip(asked, evidence, strict=True) if likeliest(e) < self.min_probability])
        yield asking.answer(quotes, hits)

    def _writer_for(self, mode: Mode | None) -> LanguageModel | None:
        if mode == "written" and self._writer is None:
            raise UsageError(
                "mode written: no language model is configured; set RAG_LLM_BASE_URL and RAG_LLM_MODEL, "
                "or use --mode quotes"
            )
        return None if mode == "quotes" else self._writer

    def _quote(
        self, evidence: Sequence[Sequence[PassageEvidence]], found: Sequence[Retrieved], snapshot: Snapshot
    ) -> tuple[Claim, ...]:
        reads = [
            QuestionEvidence(passages, partial(_covered, snapshot, each.query))
            for passages, each in zip(evidence, found, strict=True)
        ]
        groups = select(reads, min_probability=self.min_probability, max_claims=self.settings.max_claims)
        return cite_all(groups, snapshot.catalog.document)

    def _objection(self, question: str, *, follows: bool = False) -> str | None:
        return objection(question, max_chars=self.settings.max_question_chars, follows=follows)

    def _retrieve(self, question: str, snapshot: Snapshot, filters: Filters, *, top_k: int) -> Retrieved:
        return retrieve(
            question,
            snapshot=snapshot,
            encoder=self._encoder,
            filters=filters,
            candidates=max(self.settings.candidates, top_k),
            top_k=top_k,
            rankings=self._rankings,
        )

    def _standalone(self, question: str, history: History, snapshot: Snapshot, writer: LanguageModel | None) -> str:
        """Return a standalone version of the question, rewritten by the language model or else by rules."""
        rewritten = rewrite(question, history, model=writer) if history and writer else ""
        return rewritten or self._condense(question, history, snapshot)

    def _condense(self, question: str, history: History, snapshot: Snapshot) -> str:
        if not history:
            return question
        turns = " ".join(text for turn in history for text in turn)[-_NAMED_IN_CHARS:]
        spoken = snapshot.lexical.rank("sentences", snapshot.lexical.query(turns), _NAMES_FROM_SENTENCES)
        places = [(doc_id_of(found), span_of(found)) for found, _ in spoken]
        passages = [snapshot.catalog.passage_at(doc_id, span) for doc_id, span in places]
        sentences = [p.quote(span) for p, (_, span) in zip(passages, places, strict=True) if p]
        return condense(question, history, names=learn_names(sentences))

    def _parts(self, question: str, snapshot: Snapshot) -> list[str]:
        """Split a compound question into parts, each made standalone in the context of the parts before it."""
        asked: list[str] = []
        for part in parts(question):
            asked.append(self._condense(part, [(before, "") for before in asked], snapshot))
        return asked


def _readable(text: str) -> str:
    """Replace lone surrogates, which JSON can contain but no database, file or page accepts."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _covered(snapshot: Snapshot, query: Query, text: str) -> frozenset[int]:
    return snapshot.lexical.covered(query, text)
