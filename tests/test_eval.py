"""``rag eval``: runs that can be stopped, compared and trusted, and a gate that broken builds do not pass."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import HashingEncoder, Remembering
from quoting import check_quotes, text_on_disk

from rag import Answer, Rag, Settings, records
from rag.cli import main
from rag.errors import IndexDamaged, RagError, UsageError
from rag.evals import command, run
from rag.evals.baselines import EVIDENCE_MODELS, RetrievalScores
from rag.evals.gold import SEEDS_GOLD, load
from rag.evals.run import GoldProblems, evaluate, read_summary, summary_text
from rag.evals.scores import METRICS
from rag.evals.variants import Variant
from rag.models import Candidate, PassageEvidence, SentenceEncoder, Vectors

BASELINE = Path(__file__).parents[1] / "evals" / "baseline.json"
TEXT = "The bridge over the Orla was opened in 1931.\n\nIts architect was Vera Holm.\n\nThe river froze in 1963.\n"


@pytest.fixture
def small(tmp_path: Path, open_rag: Callable[..., Rag]) -> dict[str, Any]:
    """What ``evaluate`` needs for three questions about one small document."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bridge.txt").write_text(TEXT, encoding="utf-8")
    open_rag().ingest([tmp_path / "docs"])
    gold = tmp_path / "gold.jsonl"
    gold.write_text("".join(json.dumps(line) + "\n" for line in small_gold()), encoding="utf-8")
    return {
        "questions": load(gold),
        "gold": gold,
        "index_dir": tmp_path / "index",
        "out": tmp_path / "out",
        "variant": Variant(),
        "encoder": HashingEncoder(),
    }


def small_gold() -> list[dict[str, Any]]:
    def place(quote: str) -> dict[str, Any]:
        start = TEXT.index(quote)
        return {"source": "bridge.txt", "start": start, "end": start + len(quote), "quote": quote}

    opened = place("The bridge over the Orla was opened in 1931.")
    architect = place("Its architect was Vera Holm.")
    return [
        {"id": "a", "question": "When was the bridge over the Orla opened?", "answerable": True, "facts": ["1931"],
         "evidence": [[opened]]},
        {"id": "b", "question": "Who was its architect?", "answerable": True, "facts": ["Holm"],
         "evidence": [[architect]]},
        {"id": "c", "question": "What does a tram ticket cost?", "answerable": False, "facts": [], "evidence": []},
    ]  # fmt: skip


def answers(out: Path) -> list[dict[str, Any]]:
    """Return the ask records of a run without their timings, which differ from run to run."""
    lines = [json.loads(line) for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line.get("trace", {}).pop("timings_ms", None)
    return lines


class Watched(RetrievalScores):
    """The baseline, which keeps the questions it was asked and breaks down where it is told to."""

    asked: list[str] = []  # noqa: RUF012 - shared on purpose: an evaluation makes the object
    breaks_at: str | None = None
    breaks_with: type[BaseException] = KeyboardInterrupt

    def read(self, question: str, candidates: Sequence[Candidate]) -> list[PassageEvidence]:
        if question == self.breaks_at:
            raise self.breaks_with("broken down")
        self.asked.append(question)
        return super().read(question, candidates)


@pytest.fixture
def watched(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    """An evidence model of this test's own, which ``small`` then runs with."""
    model = type("Watched", (Watched,), {"asked": []})
    monkeypatch.setitem(EVIDENCE_MODELS, "watched", model)
    small["variant"] = Variant(evidence="watched")
    return model


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every evaluation here asks the same questions of the same passages: reading them is minutes."""
    monkeypatch.setitem(EVIDENCE_MODELS, "trained", Remembering)


# -- runs --------------------------------------------------------------------------------------------------------------


def test_a_run_writes_records_figures_and_a_report_in_the_order_of_the_gold(small: dict[str, Any]) -> None:
    summary = evaluate(**small)
    assert [record["id"] for record in answers(small["out"])] == ["a", "b", "c"]
    assert read_summary(small["out"] / "summary.json") == summary
    assert "<html" in (small["out"] / "report.html").read_text(encoding="utf-8")
    assert summary["comparison"] is None


def test_the_records_are_those_that_the_engine_gives_to_everyone(
    small: dict[str, Any], open_rag: Callable[..., Rag]
) -> None:
    evaluate(**small)
    rag = open_rag(index_dir=small["index_dir"])
    for question, record in zip(small["questions"], answers(small["out"]), strict=True):
        expected = records.ask_record(rag.ask(question.question), question_id=question.id)
        expected["trace"].pop("timings_ms")
        assert record == expected


def test_two_runs_differ_in_nothing_but_time(small: dict[str, Any], tmp_path: Path) -> None:
    first, second = evaluate(**small), evaluate(**{**small, "out": tmp_path / "again"})
    for summary in (first, second):
        del summary["made"]["on"], summary["made"]["seconds"], summary["cost_ms"]
    assert first == second
    assert answers(small["out"]) == answers(tmp_path / "again")


def test_a_stopped_run_goes_on_where_it_was(small: dict[str, Any], watched: type[Watched], tmp_path: Path) -> None:
    watched.breaks_at = small["questions"][1].question
    with pytest.raises(KeyboardInterrupt):
        evaluate(**small)
    with (small["out"] / "journal.jsonl").open("a", encoding="utf-8") as journal:
        journal.write('{"id": "b", "record": {"torn')  # as a power cut leaves it
    watched.breaks_at = None
    watched.asked.clear()
    evaluate(**small)
    assert watched.asked == [question.question for question in small["questions"][1:]]
    evaluate(**{**small, "out": tmp_path / "whole"})
    assert answers(small["out"]) == answers(tmp_path / "whole")


def test_a_finished_run_is_not_asked_again(small: dict[str, Any], watched: type[Watched]) -> None:
    evaluate(**small)
    watched.asked.clear()
    evaluate(**small)
    assert watched.asked == []


def test_other_settings_start_over(small: dict[str, Any], watched: type[Watched]) -> None:
    evaluate(**small)
    watched.asked.clear()
    evaluate(**{**small, "variant": Variant(evidence="watched", settings={"min_probability": "0.4"})})
    assert len(watched.asked) == 3


def test_other_code_starts_over(small: dict[str, Any], watched: type[Watched], monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(**small)
    watched.asked.clear()
    monkeypatch.setattr(run, "_code_digest", lambda: "0" * 12)
    evaluate(**small)
    assert len(watched.asked) == 3


def test_a_failure_is_wrong_and_stops_nothing_and_is_asked_again(small: dict[str, Any], watched: type[Watched]) -> None:
    watched.breaks_at, watched.breaks_with = small["questions"][0].question, ValueError
    summary = evaluate(**small)
    failed, *others = summary["questions"]
    assert (failed["failed"], failed["lost_at"], failed["scores"]["right"]) == (True, "failed", 0.0)
    assert not any(row["failed"] for row in others)
    assert "error" in answers(small["out"])[0]
    watched.breaks_at = None
    watched.asked.clear()
    assert not evaluate(**small)["questions"][0]["failed"]
    assert watched.asked == [small["questions"][0].question]


def test_gold_that_does_not_fit_the_documents_is_named_before_anything_is_asked(
    small: dict[str, Any], watched: type[Watched]
) -> None:
    wrong = small_gold()
    wrong[0]["evidence"][0][0]["start"] += 1
    wrong[1]["evidence"][0][0]["source"] = "elsewhere.txt"
    small["gold"].write_text("".join(json.dumps(line) + "\n" for line in wrong), encoding="utf-8")
    with pytest.raises(GoldProblems) as caught:
        evaluate(**{**small, "questions": load(small["gold"])})
    assert len(caught.value.lines) == 2
    assert watched.asked == []


def test_progress_counts_questions(small: dict[str, Any]) -> None:
    seen: list[tuple[int, int, str]] = []
    evaluate(**small, on_progress=lambda *step: seen.append(step))
    assert seen == [(1, 3, "questions"), (2, 3, "questions"), (3, 3, "questions")]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}', '{"format": 99, "questions": []}', "\xff\xfe"])
def test_a_file_that_is_no_summary_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "old.json").write_text(content, encoding="latin-1")
    with pytest.raises(UsageError, match=r"^[^\n]*old\.json: not a summary; name [^\n]*$"):
        read_summary(tmp_path / "old.json")


def test_a_summary_is_json_with_a_line_for_each_question(small: dict[str, Any]) -> None:
    summary = evaluate(**small)
    text = summary_text(summary)
    assert json.loads(text) == summary
    assert sum(line.startswith('{"id"') for line in text.splitlines()) == 3
    assert sum(line.startswith('{"name"') for line in text.splitlines()) == len(METRICS)


# -- the command -------------------------------------------------------------------------------------------------------


def rag_eval(*arguments: str) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["rag", "eval", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def test_variants_are_compared_with_each_other_not_with_a_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    assert rag_eval("--vary", "retrieval=dense", "--baseline", str(BASELINE)) == 2
    assert "--vary compares variants with each other" in capsys.readouterr().err


def test_a_missing_gold_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert rag_eval("nowhere.jsonl") != 0
    err = capsys.readouterr().err
    assert "nowhere.jsonl" in err
    assert err.count("\n") == 1


def test_gold_for_a_missing_index_is_one_line(small: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert rag_eval(str(small["gold"]), "--index", "nowhere") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_every_problem_of_the_gold_is_a_line(
    seeds_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = tmp_path / "gold.jsonl"
    gold.write_text("".join(json.dumps(line) + "\n" for line in small_gold()), encoding="utf-8")
    assert rag_eval(str(gold), "--index", str(seeds_index)) == 1
    err = capsys.readouterr().err
    assert err.count("bridge.txt") == 2


def test_variants_have_a_report_each_and_a_table_together(
    seeds_index: Path, tmp_path: Path, remembered: None, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = tmp_path / "gold.jsonl"
    gold.write_text("".join(SEEDS_GOLD.read_text(encoding="utf-8").splitlines(keepends=True)[:6]), encoding="utf-8")
    out = tmp_path / "out"
    options = ("--index", str(seeds_index), "--out", str(out), "--vary", "evidence=none,trained", "--json")
    assert rag_eval(str(gold), *options) == 0
    shown = json.loads(capsys.readouterr().out)["variants"]
    assert [summary["made"]["variant"].partition("evidence=")[2] for summary in shown] == ["trained", "none"]
    assert shown[0]["comparison"] is None
    assert shown[1]["comparison"]["n"] == 6
    folders = [path.parent.name for path in sorted(out.glob("*/report.html"))]
    assert len(folders) == 2
    assert all(folder in (out / "variants.html").read_text(encoding="utf-8") for folder in folders)


# -- the gate ----------------------------------------------------------------------------------------------------------


class RememberingEncoder(SentenceEncoder):
    """The model that ships, which encodes each question once, whatever is done with its vector."""

    def __init__(self) -> None:
        super().__init__()
        self._vectors: dict[tuple[str, ...], Vectors] = {}

    def encode(self, texts: Sequence[str]) -> Vectors:
        key = tuple(texts)
        if key not in self._vectors:
            self._vectors[key] = super().encode(texts)
        return self._vectors[key]


@pytest.fixture(scope="module")
def questions_encoder() -> RememberingEncoder:
    return RememberingEncoder()


def test_this_build_passes_the_gate(tmp_path: Path, remembered: None) -> None:
    """As `make eval` runs it: the command, the baseline that is checked in."""
    assert rag_eval("--baseline", str(BASELINE), "--out", str(tmp_path / "out")) == 0
    summary = read_summary(tmp_path / "out" / "summary.json")
    assert summary["comparison"]["n"] == len(load(SEEDS_GOLD))
    assert summary["comparison"]["passed"]


def test_the_command_evaluates_in_a_process_of_its_own(seeds_index: Path, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    gold.write_text("".join(SEEDS_GOLD.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    ended = subprocess.run(
        [Path(sys.executable).with_name("rag"), "eval", gold, "--index", seeds_index, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert len(answers(tmp_path / "out")) == 2


@pytest.fixture
def gated(
    seeds_index: Path, questions_encoder: RememberingEncoder, tmp_path: Path, remembered: None
) -> Callable[..., list[str]]:
    """Evaluate a build on the seeds and return the guarded metrics that dropped against the baseline."""

    def dropped(variant: Variant | None = None) -> list[str]:
        summary = evaluate(
            load(SEEDS_GOLD),
            gold=SEEDS_GOLD,
            index_dir=seeds_index,
            out=tmp_path / "out",
            variant=variant or Variant(),
            baseline=read_summary(BASELINE),
            encoder=questions_encoder,
        )
        found = [m["name"] for m in summary["comparison"]["metrics"] if m["guarded"] and m["verdict"] == "drop"]
        assert bool(command.regression(summary)) == bool(found)
        return found

    return dropped


def test_offsets_shifted_by_one_fail_the_gate(gated: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = records.citation_record

    def shifted(citation: Any) -> dict[str, Any]:
        record = whole(citation)
        return {**record, "start": record["start"] + 1, "end": record["end"] + 1}

    monkeypatch.setattr(records, "citation_record", shifted)
    assert "quotes_exact" in gated()


def test_quotes_shifted_by_one_do_not_even_leave_the_engine(
    gated: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rag.values import Citation, Span

    whole = Citation.of
    monkeypatch.setattr(
        Citation,
        "of",
        lambda document, span, *, marker, answer=None: whole(
            document, Span(span.start + 1, span.end + 1), marker=marker
        ),
    )
    with pytest.raises(IndexDamaged):
        gated()


def test_a_threshold_of_zero_fails_the_gate(gated: Callable[..., list[str]]) -> None:
    assert {"refusal_recall", "citation_precision"} <= set(gated(Variant(settings={"min_probability": "0"})))


def test_retrieval_without_fusion_fails_the_gate(gated: Callable[..., list[str]]) -> None:
    unread = Variant(retrieval="dense", evidence="baseline")  # no evidence model touches these figures
    assert {"passage_mrr", "passage_ndcg@10"} <= set(gated(unread))


def test_an_engine_that_fails_fails_the_gate(gated: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RagError("every question fails")

    monkeypatch.setattr("rag.engine.select", fail)
    assert {"right", "quotes_exact", "over_refusal"} <= set(gated())


def test_gold_questions_are_quoted_exactly_as_the_files_have_it(
    seeds_index: Path, questions_encoder: RememberingEncoder
) -> None:
    """Here and not with the engine's: what the gate has read is not read again."""
    settings = Settings(index_dir=seeds_index, min_probability=0.0)
    rag = Rag(settings, encoder=questions_encoder, evidence=Remembering())
    answered = [rag.ask(question.question) for question in load(SEEDS_GOLD)]
    rag.close()
    for result in answered:
        check_quotes(result, text_on_disk)
        assert isinstance(result, Answer), "with a threshold of 0 something always answers"
    assert sum(len(result.citations) for result in answered if isinstance(result, Answer)) >= len(answered) > 0
