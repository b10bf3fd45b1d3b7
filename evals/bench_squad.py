"""Is the quoted sentence the one with the answer, and is refusal right? Any SQuAD-2-like file, as an open-corpus task.

    python -m evals.bench_squad FILE [--limit N] [--seed 7] [--out DIR] [--vary NAME=value,value] [--baseline SUMMARY]

FILE is SQuAD's own JSON, or JSONL, {id, title, context, question, answers: [{text, start}], answerable} a line; plain
or gzipped. Every distinct context becomes a document of exactly that text, all of them one corpus, and every question
is asked of all of it by ``evals.run``, as ``rag eval`` does: same engine, figures and report, in DIR. The questions are
written there as gold (``gold.jsonl``): a right answer quotes a sentence that holds one of the answers, at its place in
its context, and says one of them. So citation precision and token F1 are low by construction: they compare sentences
with short answers.

"Unanswerable" of SQuAD 2.0 (Rajpurkar et al., ACL 2018) means by its own paragraph: another one could answer, and an
answer quoted from there counts as wrong. Likewise, an answerable question that another paragraph answers, too, is right
only with its own one. A question asked of several paragraphs is asked once: it is answerable if any of them answers it,
and each of these may be quoted.
"""

import argparse
import json
import random
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from rag import Rag, Settings
from rag.cli.terminal import fail, progress
from rag.errors import RagError, UsageError
from rag.index import OnProgress

from . import command
from .bench_scifact import console, positive
from .gold import asked
from .lines import content_of, values
from .run import GoldProblems, read_summary
from .variants import variants

MAX_SLUG_CHARS = 50  # four bytes each at most, so that the name of a file has less than 255
WORD_START, WORD_END = re.compile(r"\b(?=\w)"), re.compile(r"(?<=\w)\b")


class Answer(BaseModel):
    """An answer and where it starts in its context, in characters."""

    text: str
    start: int = Field(validation_alias=AliasChoices("start", "answer_start"))


class Entry(BaseModel):
    """A line of the file."""

    id: str
    title: str = ""
    context: str
    question: str
    answers: list[Answer] = []
    answerable: bool

    @property
    def placed(self) -> list[Answer]:
        """The answers that say something and stand where they say they do."""
        return [a for a in self.answers if a.text.strip() and a.start >= 0 and self._at(a) == a.text]

    def _at(self, answer: Answer) -> str:
        return self.context[answer.start : answer.start + len(answer.text)]


class Asked(BaseModel):
    """A question in SQuAD's own JSON; those of version 1.1 do not say that they are possible."""

    id: str
    question: str
    answers: list[Answer] = []
    is_impossible: bool = False


class Paragraph(BaseModel):
    """A paragraph there, with the questions about it."""

    context: str
    qas: list[Asked]


class Article(BaseModel):
    """An article there."""

    title: str = ""
    paragraphs: list[Paragraph]


class Squad(BaseModel):
    """The whole of SQuAD's own JSON."""

    data: list[Article] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the entries of the file.

    unread: skipped, as their context could not be ingested exactly as it is. misplaced: skipped, as they are answerable
    and none of their answers stands at its start. repeated: of a question that came before.
    cleaned: documents of which cleaning left out lines.
    """

    entries: int
    documents: int
    cleaned: int
    unread: int
    misplaced: int
    repeated: int
    asked: int

    def __str__(self) -> str:
        return ", ".join(f"{getattr(self, f.name):,} {f.name}" for f in fields(self))


def evaluate(
    file: Path,
    *,
    out: Path,
    limit: int | None = None,
    seed: int = 7,
    vary: Sequence[str] = (),
    baseline: Mapping[str, Any] | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> tuple[Counts, list[dict[str, Any]]]:
    """Ingest the contexts, ask the questions, and return what was asked with a summary for each variant.

    limit: a random sample of so many questions, of the whole corpus. Raises RagError for whatever keeps all of it from
    being measured.
    """
    variants(vary)  # a choice that there is not is told before the ingest
    entries = read_entries(file)
    sources = source_names(entries)
    with tempfile.TemporaryDirectory() as folder:
        corpus, index = Path(folder, "corpus"), Path(folder, "index")
        write_documents(sources, corpus)
        texts, cleaned = _ingest(corpus, index, on_progress)
        read = [entry for entry in entries if texts.get(sources[entry.context]) == entry.context]
        placed = [entry for entry in read if entry.placed or not entry.answerable]
        questions = merged(placed)
        sampled = sample(questions, limit, seed=seed)
        counts = Counts(
            entries=len(entries),
            documents=len(texts),
            cleaned=cleaned,
            unread=len(entries) - len(read),
            misplaced=len(read) - len(placed),
            repeated=len(placed) - len(questions),
            asked=len(sampled),
        )
        gold = _write_gold([gold_line(same, sources) for same in sampled], out)
        summaries = command.run(gold, index=index, out=out, vary=vary, baseline=baseline, on_progress=on_progress)
    return counts, summaries


def read_entries(file: Path) -> list[Entry]:
    """Return the questions of a file of either form; raises UsageError if it has neither."""
    content = content_of(file)
    if not re.match(rb'\s*\{\s*"(version|data)"', content):
        return values(Entry, file)
    try:
        squad = Squad.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{file}: {where}: {first['msg'].lower()}; SQuAD's JSON is expected") from error
    return [
        Entry(
            id=each.id,
            title=article.title,
            context=paragraph.context,
            question=each.question,
            answers=each.answers,
            answerable=not each.is_impossible,
        )
        for article in squad.data
        for paragraph in article.paragraphs
        for each in paragraph.qas
    ]


def source_names(entries: Iterable[Entry]) -> dict[str, str]:
    """Return context -> name of its document, which begins with its title and is the same for the same file."""
    title_of = {entry.context: entry.title for entry in entries}
    return {
        context: f"{_slug(title) or 'untitled'}-{number:05}.txt"
        for number, (context, title) in enumerate(title_of.items(), start=1)
    }


def write_documents(sources: Mapping[str, str], folder: Path) -> None:
    """Write every context under its name, character for character."""
    folder.mkdir()
    for context, source in sources.items():
        (folder / source).write_bytes(context.encode())


def merged(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Return the entries by what they ask, each question once, in the order of the file."""
    same: dict[object, list[Entry]] = {}
    for entry in entries:
        same.setdefault(asked(entry.question, ()), []).append(entry)
    return list(same.values())


def sample(questions: Sequence[list[Entry]], limit: int | None, *, seed: int) -> list[list[Entry]]:
    """Return a random sample without repetition, in the order of the file; all of them if there are no more."""
    if limit is None or limit >= len(questions):
        return list(questions)
    chosen = random.Random(seed).sample(range(len(questions)), limit)  # noqa: S311 - a sample, no secret
    return [questions[at] for at in sorted(chosen)]


def gold_line(same: Sequence[Entry], sources: Mapping[str, str]) -> dict[str, Any]:
    """Return the entries of one question as a line of gold: one fact and one part, met by any of the answers."""
    answers = [(entry, answer) for entry in same if entry.answerable for answer in entry.placed]
    places = [(sources[e.context], a.start, a.start + len(a.text), a.text) for e, a in answers]
    patterns = dict.fromkeys(pattern(entry.context, answer) for entry, answer in answers)
    return {
        "id": same[0].id,
        "split": "test",
        "kind": "answerable" if answers else "unanswerable",
        "question": same[0].question,
        "answerable": bool(answers),
        "facts": ["|".join(patterns)] if answers else [],
        "evidence": [[_place(*place) for place in dict.fromkeys(places)]] if answers else [],
        "note": same[0].title,
    }


def pattern(context: str, answer: Answer) -> str:
    """Return a pattern for an answer; it is to be found as whole words if it is whole words in its context.

    Otherwise "5" would be found in every 1950.
    """
    starts = r"\b" if WORD_START.match(context, answer.start) else ""
    ends = r"\b" if WORD_END.match(context, answer.start + len(answer.text)) else ""
    return f"{starts}{re.escape(answer.text)}{ends}"


def _slug(title: str) -> str:
    return re.sub(r"\W+", "-", title)[:MAX_SLUG_CHARS].strip("-")


def _place(source: str, start: int, end: int, quote: str) -> dict[str, Any]:
    return {"source": source, "start": start, "end": end, "quote": quote}


def _ingest(corpus: Path, index: Path, on_progress: OnProgress) -> tuple[dict[str, str], int]:
    """Return source -> text of what could be ingested, and of how many documents cleaning left out lines."""
    with closing(Rag(Settings(index_dir=index))) as rag:
        rag.ingest([corpus], on_progress=on_progress)
        entries = rag.documents()
    texts = {entry.document.source: entry.document.text for entry in entries}
    return texts, sum(bool(entry.excluded) for entry in entries)


def _write_gold(lines: Iterable[Mapping[str, Any]], out: Path) -> Path:
    path = out / "gold.jsonl"
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise RagError(f"{path}: cannot be written ({error.strerror or error}); choose another --out") from error
    return path


def main() -> int:
    """Read the arguments, evaluate, print the tables of ``rag eval``."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench_squad", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="SQuAD's JSON, or JSONL as above; .gz or not")
    parser.add_argument("--limit", type=positive, help="ask a sample of so many questions, of the whole corpus")
    parser.add_argument("--seed", type=int, default=7, help="of the sample (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("squad-report"), help="folder of gold, answers, figures, report"
    )
    parser.add_argument(
        "--vary", action="append", default=[], help="NAME=value,value, as for rag eval; may be repeated"
    )
    parser.add_argument("--baseline", type=Path, help="summary.json to compare with; exit code 1 if quality dropped")
    given = parser.parse_args()
    try:
        options = {**vars(given), "baseline": read_summary(given.baseline) if given.baseline else None}
        with progress() as on_progress:
            counts, summaries = evaluate(**options, on_progress=on_progress)
    except RagError as error:
        for line in error.lines if isinstance(error, GoldProblems) else ():
            fail(line, 1, program="bench_squad")
        return fail(str(error), error.exit_code, program="bench_squad")
    console().print(str(counts), command.text(summaries), sep="\n")
    if given.baseline and (dropped := command.regression(summaries[0])):
        return fail(f"{dropped}; see {given.out / 'report.html'}", 1, program="bench_squad")
    return 0


if __name__ == "__main__":
    sys.exit(main())
