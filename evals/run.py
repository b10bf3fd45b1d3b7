"""Ask gold questions through the engine that users get, judge the records, and write what came out.

    <out>/answers.jsonl    the ask records, in the order of the gold
          summary.json     all figures with intervals, and the scores of every question for later comparison
          report.html      the same for people; opens offline
          run.json         what decides the answers: code, settings, models, gold, documents
          journal.jsonl    each record with what the evidence model was given and made of it, as they came

A run that was stopped goes on with its journal if run.json is still true; otherwise it starts over. Questions that
ended in an error are asked again.
"""

import datetime as dt
import hashlib
import io
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import distributions
from importlib.resources import files
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import rag as package
from rag.cli.batch import run_batch
from rag.config import NOT_ANSWERING
from rag.engine import Rag
from rag.errors import RagError, UsageError
from rag.index import OnProgress
from rag.models import Candidate, Encoder, EvidenceModel, PassageEvidence, Support
from rag.records import Record, ask_record, dumped
from rag.values import Mode

from . import variants
from .compare import compare
from .gold import Place, Question, problems
from .judge import ReadPassage, ReadSentence, judge
from .report import Detail, render
from .scores import FORMAT, summarize
from .variants import Variant

_RESULTS = ("answers.jsonl", "summary.json", "report.html")


class GoldProblems(RagError):
    """Gold questions that do not fit the documents; ``lines`` names each problem."""

    def __init__(self, path: Path, lines: Sequence[str]) -> None:
        self.lines = lines
        super().__init__(f"{path}: {len(lines)} problem{'s' if len(lines) > 1 else ''}; correct the file and run again")


@dataclass(slots=True)
class Recorder:
    """Stands around an evidence model and keeps what it has read; whoever asks empties it."""

    model: EvidenceModel
    kept: list[tuple[Candidate, PassageEvidence]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def support(self) -> Support | None:
        """What the model makes of statements."""
        return self.model.support

    def warm_up(self) -> None:
        """Load the model."""
        self.model.warm_up()

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:
        """Return what the model returns."""
        found = self.model.read(question, candidates)
        self.kept += zip(candidates, found, strict=True)
        return found


def evaluate(
    questions: Sequence[Question],
    *,
    gold: Path,
    index_dir: Path,
    out: Path,
    variant: Variant,
    split: str = "all",
    mode: Mode | None = None,
    baseline: Mapping[str, Any] | None = None,
    gate: Sequence[Mapping[str, Any]] = (),
    encoder: Encoder | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> dict[str, Any]:
    """Ask all questions of an index, write the files above, and return the summary.

    gold and split: the file and the part of it that the questions come from, for naming them. baseline: an earlier
    summary to compare with. gate: figures of the claim gate, to be reported with these.
    Raises GoldProblems before anything is asked if the questions do not fit the documents of the index.
    """
    started = time.monotonic()
    recorder = Recorder(variant.model())
    rag = variant.open(index_dir, evidence=recorder, encoder=encoder)
    mode = mode or rag.default_mode
    try:
        texts = {entry.document.source: entry.document.text for entry in rag.documents()}
        if found := problems(questions, texts.get):
            raise GoldProblems(gold, found)
        models = {"encoder": encoder.name if encoder else rag.settings.encoder, "evidence": recorder.name}
        if mode == "written":
            models["writer"] = rag.settings.llm_model
        made = {**_made(rag, gold, texts), "models": models, "variant": str(variant), "split": split, "mode": mode}
        rag.warm_up()  # loading is no part of the first question's time
        with _own(out):
            journal = _ask(questions, rag, recorder, mode=mode, out=out, made=made, on_progress=on_progress)
            details = [_judged(question, journal[question.id], texts, rag) for question in questions]
            now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            took = {"on": now, "seconds": round(time.monotonic() - started, 1)}
            summary = summarize({**took, **made}, questions, [detail.outcome for detail in details])
            summary["gate"] = list(gate)
            if baseline is not None:
                summary["comparison"] = compare(summary, baseline)
            write(out / "answers.jsonl", "".join(dumped(detail.record) + "\n" for detail in details))
            write(out / "summary.json", summary_text(summary))
            write(out / "report.html", render(summary, details))
    finally:
        rag.close()
    return summary


def _judged(question: Question, line: Record, texts: Mapping[str, str], rag: Rag) -> Detail:
    """Return what the report shows of one question. line: of the journal."""
    record = line.get("record", line)
    read = [_read_passage(passage) for passage in line.get("passages", ())]
    outcome = judge(
        question,
        record,
        read,
        texts=texts,
        max_claims=rag.settings.max_claims,
        min_probability=rag.min_probability,
    )
    return Detail(question, outcome, record, read, texts)


@contextmanager
def _own(out: Path) -> Iterator[None]:
    """Hold a folder for one run, without an earlier run's results; raises RagError if it cannot be held or written.

    A folder with files of these names that are no run's is somebody's work, and refused.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (out / "run.json").exists() and any((out / name).exists() for name in _RESULTS):
            raise UsageError(f"{out}: holds files that no evaluation wrote; choose another --out")
        with FileLock(out / "run.lock", timeout=0):
            for name in _RESULTS:
                (out / name).unlink(missing_ok=True)
            yield
    except Timeout as error:
        raise RagError(f"{out}: another evaluation is writing there; wait for it or choose another --out") from error
    except OSError as error:
        raise RagError(f"{out}: {error.strerror or error}; choose another --out or make room") from error


def read_summary(path: Path) -> dict[str, Any]:
    """Return a summary written earlier; raises UsageError if the file is none."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; name a summary.json of an earlier run") from error
    except ValueError as error:
        raise UsageError(f"{path}: not a summary; name a summary.json of an earlier run") from error
    is_one = isinstance(summary, dict) and summary.get("format") == FORMAT and summary.keys() >= {"made", "questions"}
    if not is_one or not isinstance(summary["questions"], list) or not isinstance(summary["made"], dict):
        raise UsageError(f"{path}: not a summary; name a summary.json of an earlier run")
    return dict(summary)


def summary_text(summary: Mapping[str, Any]) -> str:
    """Return a summary as JSON, a line for each figure and each question, so that two can be compared by eye."""
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {_listed(value)}" for name, value in summary.items()) + "\n}\n"


def _listed(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]"
    return json.dumps(value)


def _made(rag: Rag, gold: Path, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return what decides the answers, beside the variant: where all of it is the same, they are the same."""
    return {
        "code": _code_digest(),
        "gold": {"file": gold.name, "sha256": hashlib.sha256(gold.read_bytes()).hexdigest()},
        "documents": len(texts),
        "documents_sha256": hashlib.sha256(json.dumps(sorted(texts.items())).encode()).hexdigest(),
        "index_version": rag.check(),
        "settings": rag.settings.model_dump(mode="json", exclude=set(NOT_ANSWERING)),
        "settings_hash": rag.settings.hash(),
    }


def _code_digest() -> str:
    """Return 12 hex digits over every file of the packages (code, rules, weights, prompts) and what is installed."""
    digest = hashlib.sha256()
    for folder in (Path(package.__file__).parent, Path(str(files("rag.prompts")))):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    digest.update(Path(variants.__file__).read_bytes())
    installed = sorted(f"{found.name}=={found.version}" for found in distributions())
    digest.update("\n".join(installed).encode())
    return digest.hexdigest()[:12]


def _journal(out: Path, made: Mapping[str, Any]) -> dict[str, Record]:
    """Return the lines of an earlier run that are still true, by id, and make the folder this run's own."""
    run, journal = out / "run.json", out / "journal.jsonl"
    kept = [line for line in _lines(journal) if "record" in line] if _lines(run) == [made] else []
    write(run, dumped(dict(made)) + "\n")
    write(journal, "".join(dumped(line) + "\n" for line in kept))
    return {line["id"]: line for line in kept}


def _ask(
    questions: Sequence[Question],
    rag: Rag,
    recorder: Recorder,
    *,
    mode: Mode,
    out: Path,
    made: Mapping[str, Any],
    on_progress: OnProgress,
) -> dict[str, Record]:
    """Ask what was not asked yet, as a batch does, and return the journal's lines by id."""
    kept = _journal(out, made)
    to_ask = [question for question in questions if question.id not in kept]
    lines = "".join(dumped({"id": q.id, "question": q.question, "history": q.history}) + "\n" for q in to_ask)

    def answer(line: Record) -> Record:
        recorder.kept = []
        history = [(asked, said) for asked, said in line["history"]]
        result = rag.ask(line["question"], history=history, mode=mode)
        record = ask_record(result, question_id=line["id"])
        return {
            "id": line["id"],
            "record": record,
            "passages": [_passage_record(candidate, read) for candidate, read in recorder.kept],
        }

    n_done = itertools.count(len(kept) + 1)
    with (out / "journal.jsonl").open("a", encoding="utf-8") as journal:
        run_batch(
            io.BytesIO(lines.encode()),
            journal,
            answer,
            on_progress=lambda *_: on_progress(next(n_done), len(questions), "questions"),
        )
    return {line["id"]: line for line in _lines(out / "journal.jsonl")}


def _passage_record(candidate: Candidate, read: PassageEvidence) -> Record:
    sentences = zip(read.sentences, candidate.fused, strict=True)
    return {
        "source": read.passage.source,
        "start": read.passage.span.start,
        "end": read.passage.span.end,
        "probability": read.probability,
        "sentences": [[s.span.start, s.span.end, s.probability, retrieved] for s, retrieved in sentences],
    }


def _read_passage(record: Record) -> ReadPassage:
    source = record["source"]
    return ReadPassage(
        Place(source, record["start"], record["end"]),
        record["probability"],
        tuple(ReadSentence(Place(source, start, end), *scores) for start, end, *scores in record["sentences"]),
    )


def _lines(path: Path) -> list[Record]:
    """Return the objects of a file of JSON lines up to the first broken one, where a run was stopped."""
    found: list[Record] = []
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else ():
        try:
            value = json.loads(line)
        except ValueError:  # also of bytes that are no UTF-8
            break
        if not isinstance(value, dict):
            break
        found.append(value)
    return found


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, so that nobody finds half of one; raises RagError if it cannot be written."""
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise RagError(f"{path}: cannot be written ({error.strerror or error}); choose another --out") from error
