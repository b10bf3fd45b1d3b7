"""What the constructors refuse, and what spans and ids guarantee."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import InvalidValue
from rag.values import (
    Abstention,
    Answer,
    Citation,
    Claim,
    Document,
    Passage,
    Span,
    Trace,
    doc_id_of,
    span_of,
    unit_id,
)

TEXT = "Alpha signed the treaty. Beta did not."
TRACE = Trace(settings_hash="0" * 12, prompt_hash=None, models={}, index_version=1, timings_ms={})


def citation(marker: int = 1, start: int = 0, end: int = 24) -> Citation:
    return Citation(
        marker=marker,
        doc_id="d",
        source="a.txt",
        title="A",
        publisher=None,
        date=dt.date(2025, 12, 29),
        span=Span(start, end),
        quote=TEXT[start:end],
    )


def answer(*claims: Claim) -> Answer:
    return Answer("Who signed?", claims, hits=(), trace=TRACE)


@st.composite
def spans_in(draw: st.DrawFn, length: int) -> Span:
    start = draw(st.integers(0, length - 1))
    return Span(start, draw(st.integers(start + 1, length)))


@pytest.mark.parametrize(("start", "end"), [(0, 0), (3, 3), (4, 3), (-1, 3), (-3, -1), (1, -1)])
def test_a_span_is_neither_empty_nor_negative(start: int, end: int):
    with pytest.raises(InvalidValue, match="0 <= start < end"):
        Span(start, end)


def test_an_answer_without_claims_cannot_be_built():
    with pytest.raises(InvalidValue, match="at least one claim"):
        answer()


def test_a_claim_without_citations_cannot_be_built():
    with pytest.raises(InvalidValue, match="at least one citation"):
        Claim("Alpha signed the treaty.", ())


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_claim_without_text_cannot_be_built(text: str):
    with pytest.raises(InvalidValue, match="needs a text"):
        Claim(text, (citation(),))


@pytest.mark.parametrize("quote", ["Alpha signed the treaty", "Alpha signed the treaty. "])
def test_a_quote_of_another_length_than_its_span_is_refused(quote: str):
    with pytest.raises(InvalidValue, match="differ in length"):
        dataclasses.replace(citation(), quote=quote)


@pytest.mark.parametrize("quote", ["", " " * 24])
def test_a_quote_of_nothing_is_refused(quote: str):
    with pytest.raises(InvalidValue, match="quotes nothing"):
        dataclasses.replace(citation(), quote=quote)


@pytest.mark.parametrize("marker", [0, -1])
def test_markers_count_from_one(marker: int):
    with pytest.raises(InvalidValue, match="count from 1"):
        citation(marker)


@pytest.mark.parametrize("together", [True, False])
def test_one_marker_cannot_stand_for_two_citations(together: bool):
    one, other = citation(1, 0, 24), citation(1, 25, 38)
    claims = [Claim("Both.", (one, other))] if together else [Claim("One.", (one,)), Claim("Other.", (other,))]
    with pytest.raises(InvalidValue, match=r"\[1\] stands for two"):
        answer(*claims)


def test_two_claims_may_share_a_citation():
    shared = citation(1)
    assert answer(Claim("One.", (shared,)), Claim("Other.", (shared,))).citations == (shared,)


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_abstention_needs_a_reason(reason: str):
    with pytest.raises(InvalidValue, match="needs a reason"):
        Abstention("Who signed?", reason, nearest=(), trace=TRACE)


def test_a_passage_whose_text_does_not_fill_its_span_is_refused():
    with pytest.raises(InvalidValue, match="differ in length"):
        Passage("d:0-5", "d", Span(0, 5), "", text="Alph")


def test_a_passage_with_a_sentence_outside_of_it_is_refused():
    with pytest.raises(InvalidValue, match="outside of it"):
        Passage("d:0-5", "d", Span(0, 5), "", text="Alpha", sentences=(Span(3, 6),))


def test_a_passage_quotes_nothing_outside_of_it():
    passage = Passage("d:6-12", "d", Span(6, 12), "", text=TEXT[6:12])
    assert passage.quote(Span(6, 12)) == "signed"
    for outside in (Span(5, 12), Span(6, 13), Span(0, 3)):
        with pytest.raises(InvalidValue, match="does not hold"):
            passage.quote(outside)


def test_values_cannot_be_changed():
    for value, name in ((Span(0, 1), "end"), (citation(), "quote"), (Claim("A.", (citation(),)), "citations")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)


@given(st.data(), st.text(min_size=1))
def test_a_cut_is_a_slice(data: st.DataObject, text: str):
    span = data.draw(spans_in(len(text)))
    assert span.cut(text) == text[span.start : span.end]
    assert len(span.cut(text)) == len(span) == span.end - span.start


@given(st.text(max_size=20), st.integers(0, 20), st.integers(1, 20))
def test_a_cut_past_the_end_is_refused_and_never_shortened(text: str, start: int, beyond: int):
    span = Span(start, max(start, len(text)) + beyond)
    with pytest.raises(InvalidValue, match="reaches past"):
        span.cut(text)


@given(spans_in(12), spans_in(12))
def test_overlapping_and_covering_are_what_sets_of_positions_say(one: Span, other: Span):
    here, there = set(range(one.start, one.end)), set(range(other.start, other.end))
    assert one.overlaps(other) == bool(here & there)
    assert one.covers(other) == (here >= there)


NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"))  # a path holds no NUL


@given(NAMES, st.text(), NAMES, st.text())
def test_a_document_id_follows_from_source_and_text_alone(source: str, text: str, other_source: str, other_text: str):
    doc_id = Document.id_for(source, text)
    assert doc_id == Document.id_for(source, text)
    assert len(doc_id) == 16
    assert set(doc_id) <= set("0123456789abcdef")
    assert (doc_id == Document.id_for(other_source, other_text)) == ((source, text) == (other_source, other_text))


def test_a_document_id_is_the_same_on_every_machine_and_in_every_run():
    assert Document.id_for("a.txt", "Alpha.") == "8d6cc14bb604ab91"


def test_a_text_with_half_a_surrogate_pair_has_an_id():
    assert Document.id_for("a.txt", "\ud800") != Document.id_for("a.txt", "\ud801")


@given(NAMES, st.text(), st.integers(0, 10**9), st.integers(1, 10**6))
def test_a_unit_id_holds_its_document_and_span(source: str, text: str, start: int, length: int):
    doc_id, span = Document.id_for(source, text), Span(start, start + length)
    made = unit_id(doc_id, span)
    assert (doc_id_of(made), span_of(made)) == (doc_id, span)
    assert Passage.id_for(doc_id, span) == made


def test_an_answer_reads_a_claim_a_line_with_its_markers():
    made = answer(Claim("Alpha signed.", (citation(1), citation(2, 6, 12))), Claim("Beta did not.", (citation(3),)))
    assert made.text == "Alpha signed. [1][2]\nBeta did not. [3]"


@given(st.permutations(range(1, 6)))
def test_citations_come_once_each_by_marker(markers: list[int]):
    cited = [citation(marker, marker, marker + 3) for marker in markers]
    made = answer(*(Claim("A.", (one, cited[0])) for one in cited))
    assert [c.marker for c in made.citations] == [1, 2, 3, 4, 5]
    assert set(made.citations) == set(cited)
