"""Gold questions: the shipped file is sound, and each fault of a file is told in one line."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SEEDS
from hypothesis import given
from hypothesis import strategies as st

from evals.gold import SEEDS_GOLD, Place, Question, imbalances, load, problems
from rag.documents import find_documents
from rag.documents.load import load as load_document
from rag.errors import RagError, UsageError

KINDS = """fact number attribution multi disagree list variant paraphrase why false-premise near-miss off-topic
injection follow-up""".split()
TEXT = "It was a Saturday.\nThe treaty was signed in Astana on 27 December 2025."
SIGNED = "The treaty was signed in Astana on 27 December 2025."
LINE: dict[str, Any] = {
    "id": "q",
    "question": "Where was the treaty signed?",
    "answerable": True,
    "facts": ["Astana"],
    "evidence": [[{"source": "a.txt", "start": 19, "end": 71, "quote": SIGNED}]],
}
REFUSED = {"question": "Who baked the cake?", "answerable": False}


@pytest.fixture
def gold(tmp_path: Path) -> Callable[..., Path]:
    """Write objects, or lines as they are, to a gold file."""

    def write(*lines: object) -> Path:
        path = tmp_path / "gold.jsonl"
        raw = [x if isinstance(x, bytes) else json.dumps(x, ensure_ascii=False).encode() for x in lines]
        path.write_bytes(b"\n".join(raw))
        return path

    return write


@pytest.fixture(scope="module")
def shipped() -> list[Question]:
    return load(SEEDS_GOLD)


@pytest.fixture(scope="module")
def seed_texts() -> dict[str, str]:
    """The seeds as the product loads them."""
    files, errors = find_documents([SEEDS])
    assert not errors
    return {file.source: load_document(file, max_bytes=10_000_000).text for file in files}


def line(**changes: object) -> dict[str, Any]:
    """Return a sound line with changes; a key changed to ``...`` is left out."""
    return {key: value for key, value in {**LINE, **changes}.items() if value is not ...}


def place(**changes: object) -> list[list[dict[str, Any]]]:
    """Return evidence of one part with one place, changed."""
    written = {**LINE["evidence"][0][0], **changes}
    return [[{key: value for key, value in written.items() if value is not ...}]]


# ---- the shipped file ----------------------------------------------------------------------------------------------


def test_the_shipped_gold_fits_the_seeds(shipped: list[Question], seed_texts: dict[str, str]):
    assert problems(shipped, seed_texts.get) == []


def test_the_shipped_gold_is_balanced(shipped: list[Question]):
    assert len(shipped) >= 150
    assert {question.kind for question in shipped} == set(KINDS)
    assert imbalances(shipped) == []


def test_the_shipped_gold_is_the_size_that_its_readme_says(shipped: list[Question]):
    readme = SEEDS_GOLD.with_name("README.md").read_text(encoding="utf-8")
    count = Counter((question.kind, question.split) for question in shipped)
    unanswerable = Counter(question.kind for question in shipped if not question.answerable)
    for kind in KINDS:
        cells = next(row for row in readme.splitlines() if row.startswith(f"| {kind} |")).split("|")[3:6]
        assert [int(cell) for cell in cells] == [count[kind, "dev"], count[kind, "test"], unanswerable[kind]], kind


def test_each_part_of_the_shipped_gold_has_a_fact_that_all_its_places_state(shipped: list[Question]):
    for question in shipped:
        for quotes in question.quotes:
            assert any(all(fact.search(quote) for quote in quotes) for fact in question.facts), question.id


def test_every_place_of_the_shipped_gold_is_quoted(shipped: list[Question]):
    assert all(quote for question in shipped for quotes in question.quotes for quote in quotes)


def test_follow_ups_alone_have_a_history(shipped: list[Question]):
    assert {q.kind for q in shipped if q.history} == {"follow-up"}
    assert all(q.history for q in shipped if q.kind == "follow-up")


# ---- places --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "holds"),
    [
        ((0, 10), (0, 10), True),
        ((0, 100), (40, 50), True),  # a sentence in its passage
        ((0, 10), (5, 15), True),  # exactly half
        ((0, 10), (6, 16), False),
        ((0, 10), (10, 20), False),  # side by side
        ((0, 10), (500, 501), False),
        ((0, 1000), (995, 1005), True),  # half of the shorter one, however long the longer one is
        ((0, 1000), (996, 1006), False),
    ],
)
def test_a_place_holds_another_that_shares_half_of_the_shorter(
    one: tuple[int, int], other: tuple[int, int], holds: bool
):
    assert Place("a", *one).holds(Place("a", *other)) is holds
    assert Place("a", *other).holds(Place("a", *one)) is holds


def test_places_of_two_sources_share_nothing():
    assert not Place("a", 0, 10).holds(Place("b", 0, 10))


spans = st.tuples(st.integers(0, 300), st.integers(1, 300)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(spans, spans)
def test_holding_is_mutual_and_needs_a_shared_character(one: tuple[int, int], other: tuple[int, int]):
    a, b = Place("a", *one), Place("a", *other)
    shared = set(range(*one)) & set(range(*other))
    assert a.holds(a)
    assert a.holds(b) == b.holds(a) == (2 * len(shared) >= min(a.end - a.start, b.end - b.start))


# ---- reading -------------------------------------------------------------------------------------------------------


def test_a_full_line_is_read(gold: Callable[..., Path]):
    history = [["Was there a treaty?", "Yes."], ["A long one?", "No."]]
    [question] = load(gold(line(kind="fact", split="test", history=history, note="Plain.")))
    assert (question.id, question.kind, question.split, question.note) == ("q", "fact", "test", "Plain.")
    assert question.history == (("Was there a treaty?", "Yes."), ("A long one?", "No."))
    assert question.evidence == ((Place("a.txt", 19, 71),),)
    assert question.quotes == ((SIGNED,),)
    assert [bool(fact.search("in ASTANA")) for fact in question.facts] == [True]


def test_only_the_question_and_whether_it_is_answerable_are_needed(gold: Callable[..., Path]):
    written = {"question": "Who signed?", "answerable": True}
    _, question = load(gold(line(), b"  ", written))
    assert question == Question("line-3", "dev", "unsorted", "Who signed?", (), True, (), (), ())


def test_a_place_needs_no_quote(gold: Callable[..., Path]):
    [question] = load(gold(line(evidence=place(quote=...))))
    assert question.evidence == ((Place("a.txt", 19, 71),),)
    assert question.quotes == (("",),)
    assert problems([question], {"a.txt": TEXT}.get) == []


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_are_read(gold: Callable[..., Path]):
    raw = json.dumps(LINE).encode()
    assert [q.id for q in load(gold(b"\xef\xbb\xbf" + raw + b"\r", b"", b" \t\r", json.dumps(REFUSED).encode()))] == [
        "q",
        "line-4",
    ]


def test_a_line_separator_inside_of_a_text_ends_no_line(gold: Callable[..., Path]):
    [question] = load(gold(line(note="one\u2028two\u0085three")))
    assert question.note == "one\u2028two\u0085three"


MALFORMED = {
    "no JSON": (b"{question: 1}", ["not JSON", "one object a line"]),
    "cut off": (b'{"question": "Who', ["not JSON", "at column"]),
    "other encoding": ('{"question": "Élan?", "answerable": false}'.encode("latin-1"), ["not JSON in UTF-8"]),
    "lone surrogate": (b'{"question": "\\ud800", "answerable": false}', ["not JSON"]),
    "deep": (b"[" * 100_000, ["not JSON"]),
    "no object": ([], ["the line is []", "object"]),
    "no question": (line(question=...), ["question is missing", "add it"]),
    "blank question": (line(question=" "), ["question is blank"]),
    "number for question": (line(question=7), ["question is 7", "string"]),
    "no answerable": (line(answerable=...), ["answerable is missing", "add it"]),
    "undecided": (line(answerable=None), ["answerable is null", "true if the documents answer", "else false"]),
    "word for answerable": (line(answerable="yes"), ["answerable is 'yes'", "boolean"]),
    "number for answerable": (line(answerable=1), ["answerable is 1", "boolean"]),
    "misspelt key": (line(fact=["x"], facts=...), ["unknown key 'fact'", "did you mean 'facts'?"]),
    "misspelt needed key": (line(anserable=True, answerable=...), ["'anserable'", "did you mean 'answerable'?"]),
    "other key": (line(zzz=1), ["unknown key 'zzz'", "known are id, split, kind"]),
    "blank id": (line(id=""), ["id is ''", "give a visible name"]),
    "id of two lines": (line(id="a\nb"), ["id is 'a\\nb'", "one line"]),
    "number for id": (line(id=7), ["id is 7", "string"]),
    "other split": (line(split="tset"), ["split is 'tset'", "'dev' or 'test'"]),
    "no kind": (line(kind=None), ["kind is None", "string"]),
    "number for note": (line(note=1), ["note is 1"]),
    "history of texts": (line(history=["a", "b"]), ["history[0] is 'a'", "array"]),
    "half a turn": (line(history=[["a"]]), ["history[0][1] is missing"]),
    "three of a turn": (line(history=[["a", "b", "c"]]), ["history[0] is ['a', 'b', 'c']", "at most 2"]),
    "null history": (line(history=None), ["history is None", "array"]),
    "one fact": (line(facts="Astana"), ["facts is 'Astana'", "array"]),
    "number for a fact": (line(facts=["a", 7]), ["facts[1] is 7", "write a regular expression"]),
    "blank fact": (line(facts=[""]), ["facts[0] is ''", "write a regular expression"]),
    "bad pattern": (line(facts=["a", "(b"]), ["facts[1] '(b' is no regular expression (missing ),", "correct it"]),
    "huge repeat": (line(facts=["a{99999999999999}"]), ["facts[0]", "is no regular expression"]),
    "flat evidence": (line(evidence=place()[0]), ["evidence[0] is {'source'", "array"]),
    "empty part": (line(evidence=[[]]), ["evidence[0] is []", "at least 1 item"]),
    "no source": (line(evidence=place(source=...)), ["evidence[0][0].source is missing", "add it"]),
    "text for start": (line(evidence=place(start="19")), ["evidence[0][0].start is '19'", "integer"]),
    "fraction for end": (line(evidence=place(end=71.0)), ["evidence[0][0].end is 71.0", "integer"]),
    "truth for start": (line(evidence=place(start=True)), ["evidence[0][0].start is True", "integer"]),
    "negative start": (line(evidence=place(start=-1)), ["evidence[0][0].start is -1", "greater than or equal to 0"]),
    "no length": (line(evidence=place(start=71)), ["evidence[0][0] ends at 71 and starts at 71"]),
    "blank quote": (line(evidence=place(quote="")), ["evidence[0][0].quote is blank", "leave the key out"]),
    "misspelt place": (line(evidence=place(qoute="x")), ["'evidence[0][0].qoute'", "did you mean 'quote'?"]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_line_is_told_with_its_number_and_what_to_do(name: str, gold: Callable[..., Path]):
    bad, expected = MALFORMED[name]
    path = gold(line(), b"", bad, line(id="r"))
    with pytest.raises(UsageError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:3: ")
    assert message.endswith("; evals/gold/README.md has the format")
    assert all(words in message for words in expected), message
    assert_one_line(message)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n \r\n\n"])
def test_a_file_without_a_question_is_told(content: bytes, gold: Callable[..., Path]):
    with pytest.raises(UsageError, match=r"gold\.jsonl: is empty; write a question a line"):
        load(gold(content))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="nothing is there; check the spelling"):
        load(tmp_path / "missing.jsonl")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*LINE, *LINE["evidence"][0][0], "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(changes=st.dictionaries(st.sampled_from([*LINE, "history", "note", "kind", "split"]), json_values, max_size=2))
def test_any_line_is_either_read_or_told_in_one_line(changes: dict[str, object], gold: Callable[..., Path]):
    try:
        [question] = load(gold(line(**changes)))
    except RagError as error:
        assert_one_line(str(error))
    else:
        for finding in problems([question], {"a.txt": TEXT}.get):
            assert_one_line(finding)


@given(raw=st.binary(max_size=60))
def test_any_bytes_are_either_read_or_told_in_one_line(raw: bytes, gold: Callable[..., Path]):
    with pytest.raises(UsageError) as caught:  # so few bytes are never a question
        load(gold(raw))
    assert_one_line(str(caught.value))


def assert_one_line(message: str) -> None:
    assert message.isprintable(), message
    assert len(message) < 600


# ---- checking ------------------------------------------------------------------------------------------------------


def found(path: Path) -> list[str]:
    return problems(load(path), {"a.txt": TEXT, "b.txt": TEXT}.get)


def test_sound_questions_have_no_problem(gold: Callable[..., Path]):
    assert found(gold(line(), REFUSED)) == []
    assert problems([], {}.get) == []


def test_an_id_that_comes_twice_is_found(gold: Callable[..., Path]):
    [finding] = found(gold(line(), {**REFUSED, "id": "q"}))
    assert finding == "q: stands for 2 questions; give each an id of its own"


def test_a_question_that_comes_twice_is_found_in_any_case_and_spacing(gold: Callable[..., Path]):
    [finding] = found(gold(line(), line(id="r", question=" where was  the TREATY signed? ")))
    assert finding == "r: asks the same as q; remove one"


def test_the_same_question_after_other_turns_is_another(gold: Callable[..., Path]):
    one, other = [["Was there one?", "Yes."]], [["Was there one?", "No."]]
    assert found(gold(line(), line(id="r", history=one), line(id="s", history=other))) == []
    [finding] = found(gold(line(history=one), line(id="r", history=[["was there ONE?", "Yes. "]])))
    assert finding == "r: asks the same as q; remove one"


PROBLEMS = {
    "unknown source": (line(evidence=place(source="c.txt")), ["evidence[0][0]: no source 'c.txt'"]),
    "outside": (line(evidence=place(end=72)), ["[19, 72) is no span of a.txt, which has 71 characters"]),
    "other quote": (line(evidence=place(start=18)), ["quote is 'The treaty", "but a.txt has '\\nThe treaty"]),
    "no evidence": (line(evidence=...), ["is answerable, but has no evidence"]),
    "no facts": (line(facts=...), ["is answerable, but has no facts"]),
    "needless evidence": (line(answerable=False, facts=...), ["is not answerable, but has evidence"]),
    "needless facts": (line(answerable=False, evidence=...), ["is not answerable, but has facts"]),
    "unfounded fact": (line(facts=["astana", "Almaty"]), ["the fact 'Almaty' is at no place of the evidence"]),
    "unfounded, unquoted": (line(facts=["Saturday"], evidence=place(quote=...)), ["the fact 'Saturday'"]),
    "shared place": (line(evidence=place() + place(quote=...)), ["evidence[0] and evidence[1] share a.txt [19, 71)"]),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_found_and_told_in_one_line(name: str, gold: Callable[..., Path]):
    bad, expected = PROBLEMS[name]
    [finding] = found(gold(bad))
    assert finding.startswith("q: ")
    assert all(words in finding for words in expected), finding
    assert_one_line(finding)


def test_a_question_tells_all_its_problems(gold: Callable[..., Path]):
    findings = found(gold(line(facts=["Almaty", "Oslo"], evidence=place(start=18) + place(source="c.txt"))))
    assert [next(w for w in ("quote", "source", "Almaty", "Oslo") if w in f) for f in findings] == [
        "quote",
        "source",
        "Almaty",
        "Oslo",
    ]


def test_facts_may_stand_at_different_parts_and_alternatives(gold: Callable[..., Path]):
    saturday = {"source": "a.txt", "start": 0, "end": 18}
    other = {"source": "b.txt", "start": 19, "end": 71}
    assert found(gold(line(facts=["Saturday", "Astana"], evidence=[*place(), [saturday]]))) == []
    assert found(gold(line(facts=["Saturday", "Astana"], evidence=[[saturday, other]]))) == []


@given(start=st.integers(0, len(TEXT) + 5), n_chars=st.integers(1, len(TEXT)))
def test_a_span_is_found_wrong_exactly_where_the_text_does_not_reach(
    start: int, n_chars: int, gold: Callable[..., Path]
):
    quote = TEXT[start : start + n_chars]
    written = place(start=start, end=start + n_chars, quote=quote if quote.strip() else ...)
    findings = found(gold(line(facts=["^"], evidence=written)))
    assert bool(findings) == (start + n_chars > len(TEXT))


def asked(kind: str, n_dev: int, n_test: int) -> list[Question]:
    splits = ["dev"] * n_dev + ["test"] * n_test
    return [Question(f"{kind}-{i}", split, kind, "?", (), False, (), (), ()) for i, split in enumerate(splits)]


def test_small_kinds_and_shares_of_the_test_split_are_told():
    questions = asked("fact", 8, 2) + asked("why", 6, 3) + asked("list", 6, 4) + asked("multi", 5, 5)
    assert imbalances(questions) == [
        "kind fact: 2 of 10 questions are in test, not 25 to 40 %; move some",
        "kind why: 9 of at least 10 questions; write more",
        "kind multi: 5 of 10 questions are in test, not 25 to 40 %; move some",
    ]


def test_limits_of_balance_can_be_chosen_and_are_allowed():
    assert imbalances(asked("fact", 3, 1), at_least=4) == []
    assert imbalances(asked("fact", 3, 1), at_least=4, test_share=(0.3, 1)) != []
    assert imbalances([]) == []
