"""What leaves Footnote as JSON: the records of docs/schemas, whatever was asked."""

import copy
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import SEEDS
from pydantic import ValidationError

from rag import Abstention, Answer, Citation, Claim, Rag, Span, records
from rag.records import ask_record, error_record, search_record
from rag.values import Removed, Trace

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"
GOLD = Path(__file__).parents[1] / "evals" / "gold" / "seeds.jsonl"

ELECTION = "Who won the early presidential election with over 81% of the vote?"
OFF_TOPIC = "What is the boiling point of tungsten?"

ASK_KEYS = """id question standalone_question mode answered text claims removed citations reason stage nearest notice
trace""".split()  # section 6 of the design, and "stage"
HIT_KEYS = "rank score source start end text".split()
CITATION_KEYS = "marker source title publisher date start end quote answer page".split()


def schema(name: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", records.MODELS)
def test_the_schemas_in_the_documentation_are_those_of_the_records(name: str):
    assert schema(name) == records.schema(name), "make schemas writes them anew"


def problems(name: str, record: object) -> list[str]:
    return [error.message for error in validator(name).iter_errors(record)]


def validator(name: str) -> jsonschema.Draft202012Validator:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(schema(name), format_checker=checker)


def source_text(source: str) -> str:
    return (SEEDS / source).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")


@pytest.fixture(scope="module")
def asked(seeds: Rag) -> dict[str, dict[str, Any]]:
    """Records of results that ended at each stage there is without a language model."""
    return {
        "answer": ask_record(seeds.ask(ELECTION), question_id="q1"),
        "follow-up": ask_record(seeds.ask("And where?", history=[(ELECTION, "Tokayev. [1]")])),
        "evidence": ask_record(seeds.ask(OFF_TOPIC)),
        "retrieve": ask_record(seeds.ask(ELECTION, until=dt.date(1999, 12, 31))),
        "question": ask_record(seeds.ask("?!"), question_id="q2"),
    }


@pytest.mark.parametrize("name", ["ask", "search", "verify", "batch-error"])
def test_a_schema_is_one_and_closes_every_object(name: str):
    jsonschema.Draft202012Validator.check_schema(schema(name))
    objects = [part for part in parts(schema(name)) if part.get("type") == "object" and "properties" in part]
    assert objects
    for part in objects:
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
        assert all("description" in value or "$ref" in value for value in part["properties"].values())


def parts(value: Any) -> list[dict[str, Any]]:
    """Every object inside a JSON value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value] * isinstance(value, dict) + [part for item in inner for part in parts(item)]


def test_a_passage_is_described_alike_in_both_schemas():
    near, hit = schema("ask")["$defs"]["NearRecord"], schema("search")["$defs"]["HitRecord"]
    assert set(near["properties"]) == {*hit["properties"], "sentence"}
    for name in set(hit["properties"]) - {"score"}:
        assert near["properties"][name] == hit["properties"][name]


def test_an_answer_is_a_record_of_the_schema(asked: dict[str, dict[str, Any]]):
    record = asked["answer"]
    assert problems("ask", record) == []
    assert (record["answered"], record["reason"], record["stage"], record["nearest"]) == (True, None, None, [])
    assert record["id"] == "q1"
    markers = [citation["marker"] for citation in record["citations"]]
    assert markers == sorted({marker for claim in record["claims"] for marker in claim["citations"]})
    assert record["text"].startswith(f"{record['claims'][0]['text']} [1]")


@pytest.mark.parametrize("stage", ["question", "retrieve", "evidence"])
def test_an_abstention_is_a_record_of_the_same_schema(stage: str, asked: dict[str, dict[str, Any]]):
    record = asked[stage]
    assert problems("ask", record) == []
    assert (record["answered"], record["stage"], record["text"]) == (False, stage, "")
    assert len(record["nearest"]) == (5 if stage == "evidence" else 0)


def test_a_follow_up_tells_the_question_from_what_was_looked_up(asked: dict[str, dict[str, Any]]):
    record = asked["follow-up"]
    assert problems("ask", record) == []
    assert record["question"] == "And where?"
    assert record["standalone_question"] != record["question"]


@pytest.mark.parametrize("case", ["answer", "follow-up", "evidence", "retrieve", "question"])
def test_ask_records_have_exactly_the_keys_of_the_design(case: str, asked: dict[str, dict[str, Any]]):
    record = asked[case]
    assert list(record) == ASK_KEYS == list(schema("ask")["properties"])
    assert all(list(claim) == ["text", "citations"] for claim in record["claims"])
    assert all(list(citation) == CITATION_KEYS for citation in record["citations"])
    assert all(list(hit) == [*HIT_KEYS, "sentence"] for hit in record["nearest"])
    assert list(record["trace"]) == ["settings_hash", "prompt_hash", "models", "index_version", "timings_ms"]


def test_search_records_have_exactly_the_keys_of_the_design(seeds: Rag):
    record = search_record(ELECTION, seeds.search(ELECTION, top_k=7), question_id="s1")
    assert problems("search", record) == []
    assert list(record) == ["id", "question", "hits"]
    assert all(list(hit) == HIT_KEYS for hit in record["hits"])
    assert [hit["rank"] for hit in record["hits"]] == list(range(1, 8))
    assert record["id"] == "s1"


def test_a_search_without_words_is_a_record_without_hits(seeds: Rag):
    record = search_record("?!", seeds.search("?!"))
    assert record == {"id": None, "question": "?!", "hits": []}
    assert problems("search", record) == []


def test_records_of_gold_questions_quote_their_sources_to_the_character(seeds: Rag):
    lines = [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines()][::20]
    records = []
    for line in lines:
        record = ask_record(seeds.ask(line["question"], history=[tuple(turn) for turn in line["history"]]))
        found = search_record(line["question"], seeds.search(line["question"]))
        assert problems("ask", record) == problems("search", found) == []
        for place in [*record["nearest"], *record["citations"], *found["hits"]]:
            cut = source_text(place["source"])[place["start"] : place["end"]]
            assert place.get("quote", place.get("text")) == cut
        assert all(h["start"] <= h["sentence"]["start"] < h["sentence"]["end"] <= h["end"] for h in record["nearest"])
        records.append(record)
    assert {record["answered"] for record in records} == {True, False}


def test_records_survive_json(asked: dict[str, dict[str, Any]], seeds: Rag):
    for record in [*asked.values(), search_record(ELECTION, seeds.search(ELECTION)), error_record("no", question_id=1)]:
        assert json.loads(json.dumps(record, ensure_ascii=False, allow_nan=False)) == record


def test_a_written_answer_shows_what_was_removed():
    citation = Citation(1, "d", "a.txt", "A", None, dt.date(2025, 12, 27), Span(3, 9), "a fact")
    trace = Trace("0123456789ab", "f" * 12, {"encoder": "e", "writer": "w"}, 4, {"condense": 0.0, "write": 12.5})
    removed = (Removed("An invention.", "uncited"),)
    answer = Answer("Which?", (Claim("A fact.", (citation,)),), (), trace, "Which?", "written", removed)
    record = ask_record(answer)
    assert problems("ask", record) == []
    assert record["removed"] == [{"text": "An invention.", "fault": "uncited", "detail": ""}]
    assert record["citations"][0]["date"] == "2025-12-27"
    assert (record["mode"], record["trace"]["prompt_hash"]) == ("written", "f" * 12)


@pytest.mark.parametrize("stage", ["index", "gate"])
def test_every_stage_that_types_name_is_in_the_schema(stage: str):
    trace = Trace("0123456789ab", None, {}, 0, {})
    assert problems("ask", ask_record(Abstention("Which?", "Nothing stands.", (), trace, stage))) == []
    with pytest.raises(ValidationError, match="stage"):
        ask_record(Abstention("Which?", "Nothing stands.", (), trace, "elsewhere"))


@pytest.mark.parametrize("question_id", ["q", None, 7])
def test_an_error_keeps_the_id_of_its_line(question_id: Any):
    record = error_record("line is not JSON: no", question_id=question_id)
    assert problems("batch-error", record) == []
    assert record == {"id": question_id, "error": "line is not JSON: no"}


Change = Callable[[dict[str, Any]], object]
BREAKING: dict[str, Change] = {
    "another key": lambda r: r.update(extra=1),
    "a missing key": lambda r: r.pop("stage"),
    "an answer without claims": lambda r: r.update(claims=[]),
    "a claim without citations": lambda r: r["claims"][0].update(citations=[]),
    "another key in a citation": lambda r: r["citations"][0].update(doc_id="d"),
    "a marker 0": lambda r: r["citations"][0].update(marker=0),
    "a quote of nothing": lambda r: r["citations"][0].update(quote=" "),
    "a day that does not exist": lambda r: r["citations"][0].update(date="2025-13-01"),
    "a reason for an answer": lambda r: r.update(reason="but"),
    "an abstention with a text": lambda r: r.update(answered=False, reason="no", stage="evidence"),
    "an unknown mode": lambda r: r.update(mode="guess"),
    "a negative time": lambda r: r["trace"]["timings_ms"].update(retrieve=-1),
}


@pytest.mark.parametrize("change", BREAKING.values(), ids=BREAKING.keys())
def test_the_schema_refuses(change: Change, asked: dict[str, dict[str, Any]]):
    record = copy.deepcopy(asked["answer"])
    change(record)
    assert problems("ask", record)
