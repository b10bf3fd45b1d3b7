"""Does retrieval find the right documents? BEIR's SciFact: claims, and the abstracts that support or refute them.

    python -m evals.bench_scifact FOLDER [--queries train] [--retrieval dense|lexical] [--index DIR] [--limit N]

FOLDER has BEIR's layout (``corpus.jsonl``, ``queries.jsonl``, ``qrels/test.tsv``), or holds ``passages.jsonl.gz``, an
abstract {id, title, text} a line, and ``queries_test.jsonl.gz``, a claim {id, question, relevant: [id]} a line. Every
abstract becomes a text file (title, blank line, abstract) that is ingested as any document; every claim is asked by
``Rag.search``, which ranks passages, and a document ranks by its first one. nDCG@10 and recall@100 are those of
trec_eval, computed by ir_measures; the intervals are percentile bootstrap intervals over the claims. A claim that finds
nothing has 0.

Documents and index lie in a temporary folder, or in DIR to be found there the next time: the ingest takes minutes.
Tune on train, report on test. Source: Wadden et al., EMNLP 2020; Thakur et al., NeurIPS 2021 (BEIR).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import ir_measures
import numpy as np
from ir_measures import Qrel, R, ScoredDoc, nDCG
from pydantic import AliasChoices, BaseModel, Field
from rich.console import Console
from rich.table import Table

from rag import Rag, Settings
from rag.cli.terminal import UNWRAPPED_COLUMNS, fail, progress
from rag.errors import RagError, UsageError
from rag.index import OnProgress
from rag.models import Encoder

from .lines import numbered_lines, values
from .scores import intervals
from .variants import RETRIEVALS

MEASURES = (nDCG @ 10, R @ 100)
TOP_K = 400  # passages a search is asked for: an abstract has 2.4 on average, so they are of 100 documents and more

# On the test queries: (what, nDCG@10, recall@100, source).
REFERENCES = (
    ("BM25, words not stemmed", 0.661, None, "measured: bm25s, k1 1.2, b .75, whole abstracts"),
    ("all-MiniLM-L6-v2", 0.634, 0.915, "measured: LlamaIndex's default splitter and Chroma"),
    ("the two fused by rank", 0.708, 0.946, "measured: reciprocal rank fusion, k 60, BM25 stemmed"),
    ("all-MiniLM-L6-v2, published", 0.645, 0.925, "MTEB 0.0.2 (Muennighoff et al., EACL 2023), mtebpaper/results"),
)

Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # becomes the name of a file


class Abstract(BaseModel):
    """A line of ``passages.jsonl.gz``, or of BEIR's ``corpus.jsonl``."""

    id: Name = Field(validation_alias=AliasChoices("id", "_id"))
    title: str = ""
    text: str

    @property
    def source(self) -> str:
        """The name of its file."""
        return f"{self.id}.txt"

    @property
    def document(self) -> str:
        """The text of its file. The blank line sets the title apart, so that it is taken for one."""
        return "\n\n".join(part for part in (self.title.strip(), self.text.strip()) if part) + "\n"


class Query(BaseModel):
    """A line of BEIR's ``queries.jsonl``."""

    id: str = Field(validation_alias=AliasChoices("id", "_id"))
    question: str = Field(validation_alias=AliasChoices("question", "text"))


class Claim(BaseModel):
    """A line of ``queries_*.jsonl.gz``. relevant: ids of the abstracts that speak to it, at least one."""

    id: str
    question: str
    relevant: list[Name] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What searching for one claim gave. found: ids of abstracts, best first, each once.

    spent_ms: of a search with the default number of passages, which is what users wait for.
    """

    found: tuple[str, ...]
    spent_ms: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The scores of every claim, in the order of the claims, and what they were measured on.

    n_cleaned: documents of which cleaning left out any line.
    """

    scores: Mapping[str, tuple[float, ...]]
    asked: tuple[Asked, ...]
    n_documents: int
    n_cleaned: int


def measure(
    folder: Path,
    *,
    queries: str = "test",
    retrieval: str = "fused",
    index: Path | None = None,
    limit: int | None = None,
    encoder: Encoder | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Measured:
    """Ingest the abstracts, search for the claims, and measure.

    retrieval: a key of ``evals.variants.RETRIEVALS``. index: folder to keep documents and index in. limit: only so many
    of the claims, the first ones. Raises RagError for whatever keeps it from being measured.
    """
    abstracts, claims = read(folder, queries)
    claims = claims[:limit]
    with _places(index) as (documents, index_dir):
        write_documents(abstracts, documents)
        rag = Rag(Settings(index_dir=index_dir), encoder=encoder, rankings=RETRIEVALS[retrieval])
        with closing(rag):
            n_cleaned = _ingest(rag, documents, abstracts, on_progress)
            rag.search(claims[0].question)  # opens what the first question opens
            asked = []
            for n_done, claim in enumerate(claims, start=1):
                asked.append(ask(rag, claim.question))
                on_progress(n_done, len(claims), "claims")
    return Measured(scores(claims, asked), tuple(asked), len(abstracts), n_cleaned)


def write_documents(abstracts: Sequence[Abstract], folder: Path) -> None:
    """Write a file for each abstract; raises RagError if an id comes twice."""
    if len({abstract.id for abstract in abstracts}) < len(abstracts):
        raise RagError(f"{folder}: an id stands for two abstracts; give each its own")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for abstract in abstracts:
            (folder / abstract.source).write_bytes(abstract.document.encode())
    except OSError as error:
        raise RagError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error


def ask(rag: Rag, claim: str) -> Asked:
    """Search for one claim: once as users do, for the time, and once as deep as recall@100 needs it."""
    start = time.perf_counter()
    rag.search(claim)
    spent_ms = (time.perf_counter() - start) * 1000
    hits = rag.search(claim, top_k=TOP_K)
    sources = dict.fromkeys(hit.passage.source for hit in hits)  # each once, where its first passage stands
    return Asked(tuple(source.removesuffix(".txt") for source in sources), spent_ms)


def scores(claims: Sequence[Claim], asked: Sequence[Asked]) -> dict[str, tuple[float, ...]]:
    """Return the value of every measure for every claim, by the measure's name."""
    qrels = [Qrel(claim.id, found, 1) for claim in claims for found in claim.relevant]
    run = [
        ScoredDoc(claim.id, found, -float(rank))
        for claim, searched in zip(claims, asked, strict=True)
        for rank, found in enumerate(searched.found)
    ]
    value = {(m.query_id, str(m.measure)): float(m.value) for m in ir_measures.iter_calc(MEASURES, qrels, run)}
    return {str(measure): tuple(value[claim.id, str(measure)] for claim in claims) for measure in MEASURES}


def table(measured: Measured, *, queries: str, retrieval: str) -> Table:
    """Return the figures beside those of others; these are known for the test queries only."""
    shown = Table(title=f"SciFact, {len(measured.asked)} {queries} queries, 95 % intervals over queries")
    shown.title_justify = "left"
    for column in ("what", "nDCG@10", "recall@100", "ms, p50 and p95", "source"):
        shown.add_column(column)
    ours = map(_with_interval, measured.scores.values())
    p50, p95 = np.percentile([asked.spent_ms for asked in measured.asked], (50, 95))
    shown.add_row(
        f"Footnote, {retrieval}",
        *ours,
        f"{p50:.1f}  {p95:.1f}",
        f"this run; {TOP_K} passages a search, ms for the default",
    )
    if queries == "test":
        for what, ndcg, recall, source in REFERENCES:
            shown.add_row(what, f"{ndcg:.3f}", f"{recall:.3f}" if recall else "-", "", source)
    fewest = min(len(asked.found) for asked in measured.asked)
    shown.caption = (
        f"{measured.n_documents:,} documents, {measured.n_cleaned} with lines that cleaning left out; "
        f"a search brought {fewest} documents or more"
    )
    shown.caption_justify = "left"
    return shown


def _with_interval(values: Sequence[float]) -> str:
    (found,) = intervals(len(values), {"mean": lambda at: np.asarray(values)[at].mean(axis=-1)}).values()
    shown = (f"{found[name]:.3f}" if found[name] is not None else "-" for name in ("value", "low", "high"))
    return "{}  {} to {}".format(*shown)


def read(folder: Path, queries: str) -> tuple[list[Abstract], list[Claim]]:
    """Return abstracts and claims, of BEIR's layout if ``corpus.jsonl`` is there; raises UsageError for bad files."""
    corpus = next((path for path in (folder / "corpus.jsonl", folder / "corpus.jsonl.gz") if path.exists()), None)
    if corpus is None:
        return values(Abstract, folder / "passages.jsonl.gz"), values(Claim, folder / f"queries_{queries}.jsonl.gz")
    judged: dict[str, list[str]] = {}
    for number, line in numbered_lines(folder / "qrels" / f"{queries}.tsv")[1:]:  # below the names of the columns
        query, _, judgement = line.decode("utf-8", "replace").strip().partition("\t")
        found, _, score = judgement.partition("\t")
        if not score.isdecimal():
            raise UsageError(
                f"{folder}/qrels/{queries}.tsv:{number}: not query, document and score, a tab between each"
            )
        judged.setdefault(query, []).extend([found] if int(score) else [])
    asked = values(Query, corpus.with_name(corpus.name.replace("corpus", "queries")))
    claims = [Claim(id=q.id, question=q.question, relevant=judged[q.id]) for q in asked if judged.get(q.id)]
    return values(Abstract, corpus), claims


def console() -> Console:
    """Return where tables are printed; into a file, they are as wide as they need to be."""
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else UNWRAPPED_COLUMNS)


def positive(text: str) -> int:
    """Return a number of at least 1, for an option; raises ValueError otherwise."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


@contextmanager
def _places(index: Path | None) -> Iterator[tuple[Path, Path]]:
    """Yield a folder for the documents and one for the index: those kept, or temporary ones."""
    if index:
        if index.is_dir() and any(index.iterdir()) and not (index / "documents").is_dir():
            raise RagError(f"{index}: holds something else; name a new folder for the index")
        yield index / "documents", index
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "documents"), Path(folder, "index")


def _ingest(rag: Rag, documents: Path, abstracts: Sequence[Abstract], on_progress: OnProgress) -> int:
    """Bring the index up to date with exactly these abstracts; return of how many documents cleaning left out lines."""
    report = rag.ingest([documents], prune=True, on_progress=on_progress)
    if report.failed:
        raise RagError(f"{len(report.failed)} abstracts could not be ingested, first {report.failed[0][1]}")
    entries = rag.documents()
    strangers = {entry.document.source for entry in entries} - {abstract.source for abstract in abstracts}
    if strangers:
        raise RagError(f"{rag.settings.index_dir}: has other documents, as {min(strangers)}; name another folder")
    return sum(bool(entry.excluded) for entry in entries)


def main() -> int:
    """Read the arguments, measure, print the table."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench_scifact", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="SciFact, in BEIR's layout or as above")
    parser.add_argument("--queries", choices=("test", "train"), default="test", help="default: %(default)s")
    parser.add_argument("--retrieval", choices=tuple(RETRIEVALS), default="fused", help="default: %(default)s")
    parser.add_argument("--index", type=Path, help="folder to keep documents and index in; else a temporary one")
    parser.add_argument("--limit", type=positive, help="only the first so many queries")
    given = parser.parse_args()
    try:
        with progress() as on_progress:
            measured = measure(**vars(given), on_progress=on_progress)
    except RagError as error:
        return fail(str(error), error.exit_code, program="bench_scifact")
    console().print(table(measured, queries=given.queries, retrieval=given.retrieval))
    return 0


if __name__ == "__main__":
    sys.exit(main())
