"""Stored answers checked again: what was changed since, in the record or in its sources, is found and named."""

import copy
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import UsageError
from rag.gate import Supported, audit, cite_written, read_records
from rag.gate.claims import check_text
from rag.records import ask_record
from rag.values import Abstention, Answer, Document, Trace
from tests.test_claims import SOURCES, sure

TRACE = Trace(settings_hash="0" * 12, prompt_hash=None, models={}, index_version=1, timings_ms={})
DOCUMENTS = {source.document.source: source.document for source in SOURCES}
WRITTEN = (
    "Peter Okafor said the margin was weak [1]. Ingrid Solberg became chief on 5 May 2025 [1]. "
    "Halvard Marine was founded in Oslo in 1931 [2]."
)
Change = Callable[[dict[str, Any]], object]


def written() -> dict[str, Any]:
    """An answer that a model wrote and the gate passed, as its record."""
    passed = check_text(WRITTEN, SOURCES, question="How is Halvard Marine?", support=sure)
    claims = cite_written([item for item in passed if isinstance(item, Supported)])
    assert len(claims) == 3
    answer = Answer("How is Halvard Marine?", claims, (), TRACE, mode="written")
    return json.loads(json.dumps(ask_record(answer)))  # type: ignore[no-any-return]


def quoted() -> dict[str, Any]:
    """The same in quotes mode: each claim is its first quote."""
    record = written()
    quote = {citation["marker"]: citation["quote"] for citation in record["citations"]}
    for claim in record["claims"]:
        claim["text"] = quote[claim["citations"][0]]
    record["text"] = rebuilt(record)
    return record | {"mode": "quotes"}


def rebuilt(record: dict[str, Any]) -> str:
    return "\n".join(f"{c['text']} {''.join(f'[{n}]' for n in c['citations'])}" for c in record["claims"])


def faults(record: dict[str, Any], documents: dict[str, Document] = DOCUMENTS) -> list[str]:
    return [fault for verdict in audit(record, documents.get) for fault in verdict.faults]


def test_what_the_gate_passed_stands():
    verdicts = audit(written(), DOCUMENTS.get)
    assert [(verdict.claim, verdict.faults) for verdict in verdicts] == [
        ("Peter Okafor said the margin was weak.", ()),
        ("Ingrid Solberg became chief on 5 May 2025.", ()),
        ("Halvard Marine was founded in Oslo in 1931.", ()),
    ]
    assert faults(quoted()) == []


def said(text: str) -> Change:
    def change(record: dict[str, Any]) -> None:
        record["claims"][0]["text"] = text
        record["text"] = rebuilt(record)

    return change


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (said("Peter Okafor said the margin was “thin”."), "misquoted"),
        (said("Peter Okafor said the margin was 5 percent."), "wrong number"),
        (said("Peter Okafor said the margin in Oslo was weak."), "wrong name"),
        (said("Ingrid Solberg said the margin was weak."), "wrong speaker"),
        (said("Peter Okafor said the margin was not weak."), "negated"),
        (said("Peter Okafor said the margin was weak, see https://evil.example."), "carries a link"),
        (lambda r: r.update(text=r["text"] + " More."), "text: is not what the claims make"),
        (lambda r: r["claims"][0].update(citations=[]), "uncited"),
        (lambda r: r["claims"][0].update(citations=[9]), "[9] means no citation"),
        (lambda r: r["citations"][0].update(start=r["citations"][0]["start"] + 1), "does not stand there"),
        (lambda r: r["citations"][0].update(end=r["citations"][0]["end"] + 1), "does not stand there"),
        (lambda r: r["citations"][0].update(end=10**9), "does not stand there"),
        (lambda r: r["citations"][0].update(end=r["citations"][0]["start"]), "does not stand there"),
        (lambda r: r["citations"][0].update(quote=r["citations"][0]["quote"].upper()), "does not stand there"),
        (lambda r: r["citations"][0].update(source="history.txt"), "does not stand there"),
        (lambda r: r["citations"][0].update(source="../news.txt"), "no such source"),
        (lambda r: r["citations"][0].update(publisher="The Times"), "publisher is 'Press' in the index"),
        (lambda r: r["citations"][0].update(date="2025-05-05"), "date is None in the index"),
        (lambda r: r["citations"].append(r["citations"][0] | {"marker": 9}), "[9]: belongs to no claim"),
        (lambda r: r["citations"].append(r["citations"][0]), "[1]: stands for two citations"),
        (said("The economy collapsed and everybody fled."), "shares too few words"),
        (said("Peter Okafor said the margin was weak ![](//evil.example/x)."), "carries a link"),
        (said("Peter Okafor said the margin was <b>weak</b>."), "carries a link"),
        (said("Peter Okafor said the \u202emargin was weak."), "characters that are not seen"),
        (said("  "), "text: is empty"),
        (lambda r: r.update(answered=False), "answered: is false with 3 claims"),
        (lambda r: r.update(error="x", claims=[*r["claims"], {"text": "More.", "citations": []}]), "uncited"),
        (lambda r: r["claims"][0].update(citations=[1, 1]), "comes twice"),
        (lambda r: r["citations"][0].update(answer={"start": 0, "end": 10**6}), "lies outside of the quote"),
        (lambda r: r.pop("claims"), "no ask record: claims"),
        (lambda r: r["citations"][0].update(start="3"), "no ask record: citations.0.start"),
    ],
)
def test_a_record_that_was_changed_is_found(change: Change, fault: str):
    record = written()
    change(record)
    assert any(fault in found for found in faults(record)), faults(record)


def test_a_quote_that_was_changed_is_no_quote():
    record = quoted()
    said(record["claims"][0]["text"].replace("weak", "strong"))(record)
    (fault,) = faults(record)
    assert fault == "misquoted: is not the quote of [1]"


def test_a_second_citation_of_a_quote_has_to_say_the_same():
    record = quoted()
    record["claims"][0]["citations"] = [1, 3]
    record["text"] = rebuilt(record)
    assert "[3]: says something else than the claim" in faults(record)


def test_the_page_of_a_quote_is_checked_where_the_record_has_one():
    broken_into = {source: dataclasses.replace(d, text=d.text + "\f") for source, d in DOCUMENTS.items()}
    record = quoted()
    assert any("page is 1 in the index and None here" in fault for fault in faults(record, broken_into))
    for citation in record["citations"]:
        del citation["page"]  # as earlier versions wrote it
    assert faults(record, broken_into) == []


def test_half_a_surrogate_in_a_file_is_shown_as_a_question_mark(tmp_path: Path):
    (tmp_path / "a.json").write_text('{"question": "a\\ud800"}', encoding="utf-8")
    assert read_records(tmp_path / "a.json") == [{"question": "a?"}]


def test_a_source_that_was_changed_or_removed_is_named():
    news = DOCUMENTS["news.txt"]
    changed = Document("x", "news.txt", news.title, news.publisher, None, None, "\n" + news.text, sha256="")
    assert all(
        "[1] news.txt:" in fault or "[2] news.txt:" in fault
        for fault in faults(written(), DOCUMENTS | {"news.txt": changed})
    )
    assert len(faults(written(), DOCUMENTS | {"news.txt": changed})) == 2
    gone = faults(written(), {"history.txt": DOCUMENTS["history.txt"]})
    assert len(gone) == 2
    assert all("no such source; run rag ingest" in fault for fault in gone)


def test_refusals_and_failed_lines_claim_nothing():
    refused = ask_record(Abstention("Why?", "No passage says so.", (), TRACE))
    assert audit(refused, DOCUMENTS.get) == ()
    assert audit({"id": "q1", "error": "line is not JSON"}, DOCUMENTS.get) == ()


def test_a_record_a_list_and_lines_are_read(tmp_path: Path):
    one, two = written(), quoted()
    for name, content in {
        "one": json.dumps(one, indent=2),
        "list": json.dumps([one, two]),
        "lines": f"{json.dumps(one)}\n\n{json.dumps(two)}\n",
    }.items():
        (tmp_path / name).write_text("\ufeff" + content, encoding="utf-8")
        assert read_records(tmp_path / name)[0] == one


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'[{"a": 1}, 2]', b"\xff\xfe", b"[" * 100_000])
def test_a_file_without_answers_is_refused_in_one_line(content: bytes, tmp_path: Path):
    (tmp_path / "answer.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"answer\.json: .*; give ") as caught:
        read_records(tmp_path / "answer.json")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        read_records(tmp_path / "none.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 400) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data(), value=JSON)
def test_no_record_breaks_the_audit_and_no_other_quote_passes(data: st.DataObject, value: object):
    record = copy.deepcopy(written())
    citation = record["citations"][data.draw(st.integers(0, 1))]
    target = data.draw(st.sampled_from([record, record["claims"][0], citation]))
    key = data.draw(st.sampled_from(sorted(target)))
    before = target[key]
    target[key] = value
    found = faults(record)
    if key in {"start", "end", "quote", "source"} and value != before:
        assert found
