"""What readers thought of real answers becomes drafts of gold questions that a person has to complete."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SEEDS
from hypothesis import given
from hypothesis import strategies as st

from evals.feedback import drafts, write_drafts
from evals.gold import load, problems
from rag import Rag
from rag.errors import UsageError
from rag.records import Record, ask_record, error_record

ELECTION = "Who won the early presidential election with over 81% of the vote?"
SEVERAL = "Which companies are bidding for the nuclear power plant, and when does the parliament's term end?"
OFF_TOPIC = "What is the boiling point of tungsten?"
TURNS = [[ELECTION, "Tokayev. [1]"]]


@pytest.fixture(scope="module")
def records(seeds: Rag) -> dict[str, Record]:
    """Two answers, two refusals (one before anything was searched) and an answered follow-up."""
    asked = {name: ask_record(seeds.ask(name)) for name in (ELECTION, SEVERAL, OFF_TOPIC, "?!")}
    asked["And where?"] = ask_record(seeds.ask("And where?", history=[(q, a) for q, a in TURNS]))
    assert [asked[name]["answered"] for name in (ELECTION, SEVERAL, OFF_TOPIC, "?!")] == [True, True, False, False]
    return asked


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Path]:
    """Write objects, or lines as they are, to a file of feedback."""

    def write(*lines: object) -> Path:
        path = tmp_path / "feedback.jsonl"
        raw = [x if isinstance(x, bytes) else json.dumps(x, ensure_ascii=False).encode() for x in lines]
        path.write_bytes(b"".join(line + b"\n" for line in raw))
        return path

    return write


def feedback(record: Record, verdict: str, **others: object) -> Record:
    return {"at": "2026-02-03T14:05:09+00:00", "verdict": verdict, "comment": None, "record": record, **others}


def seed_text(source: str) -> str | None:
    path = SEEDS / source
    return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n") if path.is_file() else None


def only(path: Path) -> Record:
    """Return the one draft of a file without a complaint."""
    found = drafts(path)
    assert found.complaints == []
    [entry] = found.entries
    return entry


def written(entries: list[Record], folder: Path) -> Path:
    path = folder / "drafts.jsonl"
    with path.open("w", encoding="utf-8", newline="\n") as out:
        write_drafts(entries, out)
    return path


# ---- the four kinds of draft ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", [ELECTION, SEVERAL])
def test_an_answer_found_right_drafts_its_claims_as_parts(
    question: str, records: dict[str, Record], stored: Callable[..., Path]
):
    record = records[question]
    entry = only(stored(feedback(record, "up")))
    assert list(entry) == "id split kind question history answerable facts evidence note".split()
    assert (entry["id"], entry["split"], entry["kind"], entry["question"]) == (
        "feedback-1",
        "dev",
        "unsorted",
        question,
    )
    assert entry["answerable"] is True
    assert entry["facts"] == entry["history"] == []
    cited = {c["marker"]: {key: c[key] for key in ("source", "start", "end", "quote")} for c in record["citations"]}
    assert entry["evidence"] == [[cited[marker] for marker in claim["citations"]] for claim in record["claims"]]
    assert "Left to do: write facts" in entry["note"]


def test_an_answer_found_wrong_drafts_an_undecided_question(records: dict[str, Record], stored: Callable[..., Path]):
    entry = only(stored(feedback(records[ELECTION], "down", comment=" That is the\nwrong election. ")))
    assert entry["answerable"] is None
    assert entry["facts"] == entry["evidence"] == []
    shown = " ".join(records[ELECTION]["text"].split())
    assert entry["note"] == (
        f"Answered: “{shown}” The reader said on 2026-02-03 that this is wrong: “That is the wrong election.” "
        "Left to do: decide answerable; if true, write facts and evidence, and set the kind."
    )


def test_a_refusal_found_right_drafts_an_unanswerable_question(records: dict[str, Record], stored: Callable[..., Path]):
    entry = only(stored(feedback(records[OFF_TOPIC], "up")))
    assert entry["answerable"] is False
    assert entry["facts"] == entry["evidence"] == []
    assert entry["note"].startswith("Refused: “")
    assert "that this is right. Left to do: set the kind" in entry["note"]


def test_a_refusal_found_wrong_names_the_nearest_sentences(records: dict[str, Record], stored: Callable[..., Path]):
    record = records[OFF_TOPIC]
    entry = only(stored(feedback(record, "down")))
    assert entry["answerable"] is None
    assert entry["evidence"] == []
    assert record["nearest"]
    named = ", ".join(
        f"{hit['source']} [{hit['sentence']['start']}, {hit['sentence']['end']})" for hit in record["nearest"]
    )
    assert f"that this is wrong. Nearest: {named}. Left to do: decide" in entry["note"]


def test_a_refusal_that_searched_nothing_says_so(records: dict[str, Record], stored: Callable[..., Path]):
    assert "Nearest: none." in only(stored(feedback(records["?!"], "down")))["note"]


def test_a_follow_up_keeps_its_turns(records: dict[str, Record], stored: Callable[..., Path]):
    entry = only(stored(feedback(records["And where?"], "up", history=TURNS)))
    assert (entry["question"], entry["history"]) == ("And where?", TURNS)


def test_claims_that_cite_the_same_are_one_part(records: dict[str, Record], stored: Callable[..., Path]):
    claims = [{"text": text, "citations": [1]} for text in ("Tokayev won.", "He got 81 %.")]
    entry = only(stored(feedback({**records[ELECTION], "claims": claims}, "up")))
    assert [len(part) for part in entry["evidence"]] == [1]


# ---- what becomes of drafts ----------------------------------------------------------------------------------------


def test_a_draft_without_facts_is_read_and_found_incomplete(
    records: dict[str, Record], stored: Callable[..., Path], tmp_path: Path
):
    path = stored(feedback(records[ELECTION], "up"), feedback(records[OFF_TOPIC], "up"))
    questions = load(written(drafts(path).entries, tmp_path))
    assert problems(questions, seed_text) == ["feedback-1: is answerable, but has no facts; add them, or write false"]


def test_a_completed_draft_is_a_sound_gold_question(
    records: dict[str, Record], stored: Callable[..., Path], tmp_path: Path
):
    entry = only(stored(feedback(records[ELECTION], "up")))
    [question] = load(written([{**entry, "facts": ["Tokayev"]}], tmp_path))
    assert problems([question], seed_text) == []


@pytest.mark.parametrize("question", [ELECTION, OFF_TOPIC])
def test_an_undecided_draft_is_refused_until_someone_decides(
    question: str, records: dict[str, Record], stored: Callable[..., Path], tmp_path: Path
):
    entry = only(stored(feedback(records[question], "down")))
    with pytest.raises(UsageError, match=r"drafts\.jsonl:1: answerable is null, still to be decided; write true"):
        load(written([entry], tmp_path))
    assert load(written([{**entry, "answerable": False}], tmp_path))[0].answerable is False


def test_drafts_are_written_a_line_each():
    out = io.StringIO()
    write_drafts([{"id": "a", "note": "Élan\nvital"}, {"id": "b"}], out)
    assert out.getvalue() == '{"id": "a", "note": "Élan\\nvital"}\n{"id": "b"}\n'


# ---- several verdicts ----------------------------------------------------------------------------------------------


def test_of_several_verdicts_the_latest_counts_wherever_it_stands(
    records: dict[str, Record], stored: Callable[..., Path]
):
    right = feedback(records[ELECTION], "up", at="2026-02-03T14:00:00+00:00")
    wrong = feedback(records[ELECTION], "down", at="2026-02-03T14:30:00+01:00")  # half an hour before
    assert only(stored(right, wrong))["answerable"] is True
    assert only(stored(wrong, right))["answerable"] is True
    assert only(stored(right, {**wrong, "at": "2026-02-03T14:00:01Z"}))["answerable"] is None


def test_of_two_verdicts_at_one_instant_the_later_line_counts(records: dict[str, Record], stored: Callable[..., Path]):
    assert only(stored(feedback(records[ELECTION], "up"), feedback(records[ELECTION], "down")))["answerable"] is None
    assert only(stored(feedback(records[ELECTION], "down"), feedback(records[ELECTION], "up")))["answerable"] is True


def test_an_id_stays_when_the_question_is_judged_again(records: dict[str, Record], stored: Callable[..., Path]):
    first = [feedback(records[ELECTION], "up"), feedback(records[OFF_TOPIC], "up")]
    again = feedback({**records[ELECTION], "question": f" {ELECTION.upper()}"}, "down", at="2026-03-01T00:00:00Z")
    assert [e["id"] for e in drafts(stored(*first)).entries] == ["feedback-1", "feedback-2"]
    entries = drafts(stored(*first, again)).entries
    assert [(e["id"], e["answerable"]) for e in entries] == [("feedback-1", None), ("feedback-2", False)]


def test_the_same_question_after_other_turns_is_another(records: dict[str, Record], stored: Callable[..., Path]):
    path = stored(feedback(records[ELECTION], "up"), feedback(records[ELECTION], "up", history=TURNS))
    assert [entry["history"] for entry in drafts(path).entries] == [[], TURNS]


verdicts = st.lists(st.tuples(st.sampled_from([ELECTION, OFF_TOPIC, "?!"]), st.integers(0, 5), st.booleans()))


@given(judged=verdicts)
def test_each_question_has_one_draft_by_its_latest_verdict(
    judged: list[tuple[str, int, bool]], records: dict[str, Record], stored: Callable[..., Path]
):
    lines = [feedback(records[q], "up" if up else "down", at=f"2026-02-03T14:00:0{s}Z") for q, s, up in judged]
    entries = drafts(stored(*lines)).entries
    latest = {q: up for q, _, up in sorted(judged, key=lambda x: x[1])}  # stable: of equals the later line
    assert {e["question"]: e["answerable"] is not None for e in entries} == latest
    assert [e["question"] for e in entries] == list(dict.fromkeys(q for q, _, _ in judged))


# ---- bad lines -----------------------------------------------------------------------------------------------------


def broken(record: Record) -> dict[str, tuple[object, str]]:
    sound = feedback(record, "up")
    citation = record["citations"][0]
    return {
        "cut off": (json.dumps(sound).encode()[:-9], "not JSON in UTF-8"),
        "no object": ([1], "the line is [1]"),
        "no time": ({k: v for k, v in sound.items() if k != "at"}, "at is missing; add it"),
        "no time zone": (
            {**sound, "at": "2026-02-03T14:05:09"},
            "at is '2026-02-03T14:05:09'; it should have timezone",
        ),
        "no verdict": ({**sound, "verdict": "meh"}, "verdict is 'meh'; it should be 'up' or 'down'"),
        "number for comment": ({**sound, "comment": 5}, "comment is 5"),
        "half a turn": ({**sound, "history": [["a"]]}, "history[0][1] is missing"),
        "no record": ({**sound, "record": None}, "record is None"),
        "failed line": ({**sound, "record": error_record("no")}, "record.question is missing"),
        "lost citations": ({**sound, "record": {**record, "citations": []}}, "record cites [1], but has only"),
        "no claims": ({**sound, "record": {**record, "claims": []}}, "record has 0 claims although answered is True"),
        "text for start": (
            {**sound, "record": {**record, "citations": [{**citation, "start": "x"}]}},
            "record.citations[0].start is 'x'",
        ),
    }


def test_bad_lines_are_passed_over_and_told(records: dict[str, Record], stored: Callable[..., Path]):
    bad = broken(records[ELECTION])
    sound = feedback(records[OFF_TOPIC], "up")
    path = stored(*(line for line, _ in bad.values()), b"", sound)
    found = drafts(path)
    assert [entry["id"] for entry in found.entries] == [f"feedback-{len(bad) + 2}"]
    assert len(found.complaints) == len(bad)
    for number, (name, (_, expected), told) in enumerate(
        zip(bad, bad.values(), found.complaints, strict=True), start=1
    ):
        assert told.startswith(f"{path}:{number}: "), name
        assert expected in told, name
        assert told.endswith("; the line is passed over"), name
        assert told.isprintable(), name


def test_other_keys_are_allowed(records: dict[str, Record], stored: Callable[..., Path]):
    line: dict[str, Any] = feedback(records[ELECTION], "up", page="7.0")
    del line["comment"]
    assert only(stored({**line, "record": {**line["record"], "filters": {}}}))["answerable"] is True


def test_an_empty_file_is_told(stored: Callable[..., Path]):
    found = drafts(stored(b"", b" "))
    assert found.entries == []
    assert [told.partition(": ")[2] for told in found.complaints] == [
        "holds no feedback; give the file that the page stores it in"
    ]


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="nothing is there; check the spelling"):
        drafts(tmp_path / "missing.jsonl")
