"""Records judged against gold: what counts as right, which stage lost a wrong answer, and what a failure costs."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.gold import Place, Question
from evals.judge import LOST_AT, Outcome, ReadPassage, ReadSentence, by_probability, judge
from rag.models import PassageEvidence, SentenceEvidence
from rag.quoting import by_probability as quotes_by_probability
from rag.quoting.quotes import FURTHER
from rag.records import Record, ask_record, error_record
from rag.values import Abstention, Answer, Citation, Claim, Hit, Passage, Span, Trace

ALICE = "Alice signed the treaty."
BOB = "Bob watched the treaty burn."
CAROL = "Carol slept."
DAVE = "Dave signed the treaty too."
AGAIN = "The treaty bears the name of Alice."
TEXTS = {"a.txt": f"{ALICE} {BOB} {CAROL} {DAVE}", "b.txt": AGAIN}
TIMINGS = {"condense": 0.5, "retrieve": 12.25}
TRACE = Trace("settings", None, {}, 1, TIMINGS)


def place(sentence: str) -> Place:
    """Where a sentence stands in ``TEXTS``."""
    source = next(source for source, text in TEXTS.items() if sentence in text)
    start = TEXTS[source].index(sentence)
    return Place(source, start, start + len(sentence))


def question(*parts: str | tuple[str, ...], facts: Sequence[str] = ("Alice",), id_: str = "q") -> Question:
    """A question whose evidence are these parts, each a sentence or several that will do; without any, unanswerable."""
    alternatives = tuple((part,) if isinstance(part, str) else part for part in parts)
    return Question(
        id=id_,
        split="dev",
        kind="fact",
        question="Who signed the treaty?",
        history=(),
        answerable=bool(parts),
        facts=tuple(re.compile(fact, re.IGNORECASE) for fact in facts) if parts else (),
        evidence=tuple(tuple(map(place, part)) for part in alternatives),
        quotes=alternatives,
    )


def citation(marker: int, quote: str, *, at: Place | None = None) -> Citation:
    where = at or place(quote)
    return Citation(marker, "d", where.source, "Title", None, None, Span(where.start, where.end), quote)


def answered(*groups: str | tuple[str, ...]) -> Record:
    """The record of an answer with a claim for each sentence, or for each group of sentences that say the same."""
    numbers = iter(range(1, 100))
    claims = []
    for group in groups:
        quotes = (group,) if isinstance(group, str) else group
        claims.append(Claim(quotes[0], tuple(citation(next(numbers), quote) for quote in quotes)))
    return ask_record(Answer("Who signed the treaty?", tuple(claims), (), TRACE), question_id="q")


def refused(stage: str = "evidence") -> Record:
    return ask_record(Abstention("Who signed the treaty?", "No.", (), TRACE, stage), question_id="q")


FAILED = error_record("the disk is full", question_id="q")


def passage(*sentences: tuple[str, float]) -> ReadPassage:
    """A passage of these sentences, which follow each other in their source, with their probabilities."""
    read = tuple(ReadSentence(place(sentence), probability) for sentence, probability in sentences)
    where = Place(read[0].place.source, read[0].place.start, read[-1].place.end)
    return ReadPassage(where, max(sentence.probability for sentence in read), read)


EVERYTHING = (passage((ALICE, 0.9), (BOB, 0.8), (CAROL, 0.7), (DAVE, 0.6)), passage((AGAIN, 0.5)))


def judged(
    asked: Question, record: Mapping[str, Any], read: Sequence[ReadPassage] = EVERYTHING, **settings: Any
) -> Outcome:
    return judge(asked, record, read, **{"texts": TEXTS, "max_claims": 3, "min_probability": 0.5} | settings)


# -- right and wrong ---------------------------------------------------------------------------------------------------


def test_an_answer_with_the_facts_and_the_evidence_is_right():
    outcome = judged(question(ALICE), answered(ALICE))
    assert (outcome.right, outcome.lost_at, outcome.scores["right"], outcome.scores["facts"]) == (True, None, 1.0, 1.0)
    assert (outcome.answered, outcome.refused, outcome.failed) == (True, False, False)


def test_a_refusal_of_what_the_documents_answer_is_wrong():
    outcome = judged(question(ALICE), refused())
    assert (outcome.right, outcome.scores["right"], outcome.scores["facts"]) == (False, 0.0, 0.0)
    assert (outcome.answered, outcome.refused, outcome.failed) == (False, True, False)


def test_a_refusal_of_what_the_documents_do_not_answer_is_right():
    outcome = judged(question(), refused())
    assert (outcome.right, outcome.lost_at, outcome.refused) == (True, None, True)
    assert outcome.scores == {"right": 1.0, "failed": 0.0}


def test_an_answer_that_the_documents_do_not_give_is_wrong_and_all_of_it_is_extra():
    outcome = judged(question(), answered(ALICE))
    assert (outcome.right, outcome.lost_at) == (False, "answer")
    assert outcome.scores == {
        "right": 0.0,
        "failed": 0.0,
        "extra_sentences": 1.0,
        "citation_precision": 0.0,
        "quotes_exact": 1.0,
        "markers_resolve": 1.0,
    }


def test_facts_in_an_unrelated_sentence_are_not_right():
    outcome = judged(question(ALICE, facts=["treaty"]), answered(BOB))
    assert (outcome.scores["facts"], outcome.right) == (1.0, False)


def test_evidence_without_the_facts_is_not_right():
    outcome = judged(question(ALICE, facts=["Alice", "1848"]), answered(ALICE))
    assert (outcome.scores["facts"], outcome.scores["citation_recall"], outcome.right) == (0.0, 1.0, False)


def test_each_fact_may_stand_in_another_quote():
    assert judged(question(ALICE, facts=["Alice", "slept"]), answered(ALICE, CAROL)).right


def test_facts_are_looked_for_in_the_quotes_and_not_in_what_stands_around_them():
    record = answered(BOB, CAROL) | {"question": "Alice?", "standalone_question": "Alice?"}
    record["citations"][0]["title"] = "Alice"
    assert judged(question(BOB), record).scores["facts"] == 0.0


def test_one_quoted_part_is_enough_if_all_facts_are_there():
    outcome = judged(question(ALICE, CAROL), answered(ALICE))
    assert (outcome.right, outcome.scores["citation_recall"]) == (True, 0.5)


@pytest.mark.parametrize("quoted", [ALICE, AGAIN])
def test_any_alternative_of_a_part_will_do(quoted: str):
    outcome = judged(question((ALICE, AGAIN)), answered(quoted))
    assert (outcome.right, outcome.scores["citation_recall"], outcome.scores["token_f1"]) == (True, 1.0, 1.0)


# -- scores ------------------------------------------------------------------------------------------------------------


def test_scores_of_an_answer_are_those_worked_out_by_hand():
    # Evidence: ALICE, 24 characters, and CAROL, 12; quoted: ALICE and BOB, 24 and 28.
    outcome = judged(question(ALICE, CAROL), answered(ALICE, BOB))
    assert (len(ALICE), len(CAROL), len(BOB)) == (24, 12, 28)
    assert outcome.scores["citation_precision"] == pytest.approx(24 / 52)
    assert outcome.scores["citation_recall"] == 0.5
    assert outcome.scores["extra_sentences"] == 0.5
    # "alice signed treaty bob watched treaty burn" and "alice signed treaty carol slept" share three words.
    assert outcome.scores["token_f1"] == pytest.approx(2 * 3 / (7 + 5))


def test_ranks_are_those_of_passages_as_read_and_of_sentences_by_probability():
    read = [passage((AGAIN, 0.1)), passage((ALICE, 0.2), (BOB, 0.9), (CAROL, 0.3), (DAVE, 0.0))]
    scores = judged(question(ALICE), refused(), read).scores
    assert [scores[f"passage_recall@{k}"] for k in (1, 3, 5, 10)] == [0.0, 1.0, 1.0, 1.0]
    assert [scores[f"sentence_recall@{k}"] for k in (1, 3, 5, 10)] == [0.0, 1.0, 1.0, 1.0]  # BOB, CAROL, ALICE
    assert (scores["passage_mrr"], scores["sentence_mrr"]) == pytest.approx((1 / 2, 1 / 3))
    # 1 / log2(rank + 1): ranks 2 and 3
    assert (scores["passage_ndcg@10"], scores["sentence_ndcg@10"]) == pytest.approx((0.63093, 0.5), abs=1e-5)


def ranked(*sentences: tuple[str, float, float]) -> ReadPassage:
    """A passage of these sentences with their probabilities and their scores in the ranking of retrieval."""
    read = tuple(ReadSentence(place(sentence), *numbers) for sentence, *numbers in sentences)
    where = Place(read[0].place.source, read[0].place.start, read[-1].place.end)
    return ReadPassage(where, max(sentence.probability for sentence in read), read)


def test_sentences_as_retrieved_are_ranked_by_retrieval_whatever_their_probability():
    read = [ranked((AGAIN, 0.9, 0.02)), ranked((ALICE, 0.1, 0.03), (BOB, 0.95, 0.0), (CAROL, 0.8, 0.04))]
    scores = judged(question(ALICE), refused(), read).scores
    assert [scores[f"retrieved_recall@{k}"] for k in (1, 3, 5, 10)] == [0.0, 1.0, 1.0, 1.0]  # CAROL, ALICE, AGAIN
    assert [scores[f"retrieved_all@{k}"] for k in (1, 3, 5, 10)] == [0.0, 1.0, 1.0, 1.0]
    assert (scores["retrieved_mrr"], scores["retrieved_ndcg@10"]) == pytest.approx((1 / 2, 0.63093), abs=1e-5)
    assert scores["sentence_mrr"] == 1 / 4  # BOB, AGAIN, CAROL, ALICE


def test_a_sentence_that_retrieval_did_not_rank_was_not_retrieved():
    scores = judged(question(BOB), refused(), [ranked((ALICE, 0.1, 0.03), (BOB, 0.95, 0.0))]).scores
    assert {value for name, value in scores.items() if name.startswith("retrieved_")} == {0.0}
    assert (scores["passage_mrr"], scores["sentence_mrr"]) == (1.0, 1.0)


def test_a_sentence_of_two_passages_is_retrieved_once():
    read = [ranked((ALICE, 0.1, 0.04), (BOB, 0.2, 0.03)), ranked((BOB, 0.3, 0.03), (CAROL, 0.1, 0.02))]
    assert judged(question(CAROL), refused(), read).scores["retrieved_mrr"] == pytest.approx(1 / 3)


def test_probabilities_decide_nothing_in_the_order_of_retrieval():
    # First in one ranking and second in the other one: equal scores are common in fusion.
    one, other = ([ranked((ALICE, p, 0.03), (BOB, 1 - p, 0.03))] for p in (0.9, 0.1))
    found = [judged(question(ALICE), refused(), read).scores["retrieved_mrr"] for read in (one, other)]
    assert found[0] == found[1]


def test_one_of_two_parts_found_is_half_of_the_recall_and_none_of_the_strict_one():
    scores = judged(question(ALICE, AGAIN), refused(), [passage((ALICE, 0.2))]).scores
    assert (scores["passage_recall@10"], scores["passage_all@10"]) == (0.5, 0.0)
    assert (scores["sentence_recall@10"], scores["sentence_all@10"]) == (0.5, 0.0)


def test_scores_of_the_search_are_for_answerable_questions_only():
    names = {re.sub(r"@.*", "", name) for name in judged(question(), answered(ALICE)).scores}
    assert names == {"right", "failed", "extra_sentences", "citation_precision", "quotes_exact", "markers_resolve"}


def test_scores_of_citations_are_for_given_answers_and_recall_for_every_answerable_question():
    names = set(judged(question(ALICE), refused()).scores)
    assert names.isdisjoint({"extra_sentences", "citation_precision", "quotes_exact", "markers_resolve"})
    assert judged(question(ALICE), refused()).scores["citation_recall"] == 0.0


@pytest.mark.parametrize("read", [(), EVERYTHING], ids=["before reading", "after reading"])
@pytest.mark.parametrize("asked", [question(ALICE), question()], ids=["answerable", "unanswerable"])
def test_a_failure_is_wrong_in_every_score(asked: Question, read: Sequence[ReadPassage]):
    outcome = judged(asked, FAILED, read)
    assert (outcome.failed, outcome.answered, outcome.refused, outcome.right) == (True, False, False, False)
    assert outcome.lost_at == "failed"
    scores = dict(outcome.scores)
    assert (scores.pop("failed"), scores.pop("extra_sentences")) == (1.0, 1.0)  # of these, less is better
    assert set(scores.values()) == {0.0}


@pytest.mark.parametrize("read", [(), EVERYTHING], ids=["before reading", "after reading"])
@pytest.mark.parametrize("asked", [question(ALICE), question()], ids=["answerable", "unanswerable"])
def test_a_failure_is_as_sure_and_as_wrong_as_can_be(asked: Question, read: Sequence[ReadPassage]):
    outcome = judged(asked, FAILED, read)
    assert (outcome.confidence, outcome.confident_right) == (1.0, False)


def test_a_failure_has_every_score_that_an_answer_has_but_those_of_what_was_said():
    for asked in (question(ALICE), question()):
        expected = set(judged(asked, answered(ALICE)).scores) - {"quotes_exact", "markers_resolve"}
        nearest = {"nearest@1", "nearest@5"} if asked.answerable else set()  # an answer has none
        assert set(judged(asked, FAILED, ()).scores) == expected | nearest


@pytest.mark.parametrize(
    ("shown", "right"), [((ALICE, BOB), [1, 1]), ((BOB, ALICE), [0, 1]), ((BOB,), [0, 0]), ((), [0, 0])]
)
def test_a_refusal_may_show_the_answer_as_what_came_nearest(shown: Sequence[str], right: list[int]):
    whole = Passage("p", "d", Span(0, len(TEXTS["a.txt"])), "", source="a.txt", text=TEXTS["a.txt"])
    near = [Span(place(sentence).start, place(sentence).end) for sentence in shown]
    hits = tuple(Hit(whole, 0.3, rank, "evidence", span) for rank, span in enumerate(near, start=1))
    record = ask_record(Abstention("Who signed the treaty?", "No.", hits, TRACE), question_id="q")
    scores = judged(question(ALICE), record).scores
    assert [scores["nearest@1"], scores["nearest@5"]] == right
    assert "nearest@1" not in judged(question(), record).scores
    assert "nearest@1" not in judged(question(ALICE), answered(ALICE)).scores


@pytest.mark.parametrize("asked", [question(ALICE), question()], ids=["answerable", "unanswerable"])
@pytest.mark.parametrize("record", [answered(ALICE), refused()], ids=["answered", "refused"])
def test_whatever_did_not_fail_says_so(asked: Question, record: Record):
    for read in ((), EVERYTHING):
        assert judged(asked, record, read).scores["failed"] == 0.0


@pytest.mark.parametrize("asked", [question(ALICE), question()], ids=["answerable", "unanswerable"])
@pytest.mark.parametrize("record", [answered(ALICE), refused(), FAILED], ids=["answered", "refused", "failed"])
def test_every_outcome_is_one_of_answered_refused_and_failed(asked: Question, record: Record):
    outcome = judged(asked, record, ())
    assert outcome.answered + outcome.refused + outcome.failed == 1
    assert (outcome.lost_at is None) == outcome.right == (outcome.scores["right"] == 1.0)
    assert (outcome.id, outcome.kind, outcome.split, outcome.answerable) == ("q", "fact", "dev", asked.answerable)


# -- the stage that lost it --------------------------------------------------------------------------------------------

LATER = [passage((BOB, 0.9), (CAROL, 0.8), (DAVE, 0.7)), passage((AGAIN, 0.6))]
UNSURE = [passage((ALICE, 0.4), (BOB, 0.3), (CAROL, 0.2), (DAVE, 0.1))]


@pytest.mark.parametrize(
    ("stage", "asked", "record", "read"),
    [
        ("failed", question(ALICE), FAILED, ()),
        ("question", question(ALICE), refused("question"), ()),
        ("retrieve", question(ALICE), refused("retrieve"), ()),
        ("retrieve", question(ALICE), refused("evidence"), LATER),
        ("retrieve", question(ALICE), answered(BOB), LATER),
        ("rank", question(AGAIN), answered(BOB), LATER),
        ("rank", question(DAVE), refused("evidence"), UNSURE),
        ("refuse", question(ALICE), refused("evidence"), UNSURE),
        ("refuse", question(BOB), answered(ALICE), [passage((ALICE, 0.6), (BOB, 0.2))]),
        ("select", question(DAVE, facts=["Dave"]), answered(BOB), LATER),
        ("select", question(ALICE), refused("evidence"), EVERYTHING),
        ("facts", question(ALICE, facts=["1848"]), answered(ALICE), EVERYTHING),
        ("answer", question(), answered(ALICE), EVERYTHING),
    ],
)
def test_a_wrong_answer_is_lost_at_the_stage_that_lost_it(
    stage: str, asked: Question, record: Record, read: Sequence[ReadPassage]
):
    assert judged(asked, record, read).lost_at == stage
    assert stage in LOST_AT


TWO = question(ALICE, AGAIN, facts=["1848"])  # the fact is nowhere


@pytest.mark.parametrize(
    ("stage", "asked", "record", "read"),
    [
        ("failed", question(ALICE), FAILED, LATER),
        ("failed", question(), FAILED, EVERYTHING),
        ("retrieve", TWO, refused(), [passage((ALICE, 0.9))]),  # one part not read, and refused
        ("retrieve", TWO, answered(BOB), LATER),  # one part not read, the other one ranked low
        ("retrieve", TWO, answered(ALICE), EVERYTHING[:1]),  # one part not read, the other one quoted without the fact
        ("rank", TWO, refused(), [*UNSURE, passage((AGAIN, 0.05))]),  # one part ranked low, both below the threshold
        ("rank", TWO, refused(), EVERYTHING),  # one part ranked low, the other one likely, and refused
        ("rank", TWO, answered(BOB), EVERYTHING),  # one part ranked low, the other one not quoted though likely
        ("rank", TWO, answered(ALICE), EVERYTHING),  # one part ranked low, the other one quoted without the fact
        ("refuse", TWO, refused(), [passage((ALICE, 0.9)), passage((AGAIN, 0.2))]),  # the likely one was not quoted
        ("refuse", TWO, answered(ALICE), [passage((ALICE, 0.9)), passage((AGAIN, 0.2))]),  # only this part was left out
        ("select", TWO, answered(ALICE), [passage((ALICE, 0.9)), passage((AGAIN, 0.8))]),
        ("facts", TWO, answered(ALICE, AGAIN), EVERYTHING),
    ],
)
def test_of_several_stages_the_first_one_is_to_blame(
    stage: str, asked: Question, record: Record, read: Sequence[ReadPassage]
):
    assert judged(asked, record, read).lost_at == stage


def test_the_stages_stand_in_the_order_of_the_pipeline():
    assert list(LOST_AT) == ["failed", "question", "retrieve", "rank", "refuse", "select", "facts", "answer"]


@pytest.mark.parametrize(("max_claims", "stage"), [(1, "rank"), (2, "rank"), (3, "select"), (4, "select")])
def test_the_likeliest_sentences_are_as_many_as_an_answer_may_quote(max_claims: int, stage: str):
    assert judged(question(CAROL), answered(BOB), max_claims=max_claims).lost_at == stage  # CAROL is the third


@pytest.mark.parametrize(
    ("min_probability", "stage"), [(0.0, "select"), (0.7, "select"), (0.9, "select"), (0.91, "refuse")]
)
@pytest.mark.parametrize("record", [answered(BOB), refused()], ids=["answered", "refused"])
def test_a_sentence_may_be_quoted_from_a_part_of_the_threshold_on_where_another_reaches_it(
    record: Record, min_probability: float, stage: str
):
    # CAROL has .7, the likeliest .9
    assert judged(question(CAROL), record, min_probability=min_probability).lost_at == stage


@pytest.mark.parametrize(("min_probability", "stage"), [(0.9, "select"), (0.91, "refuse")])
def test_that_part_is_the_one_that_answers_are_made_with(min_probability: float, stage: str):
    read = [passage((ALICE, 0.9), (BOB, FURTHER * 0.9))]
    assert judged(question(BOB), answered(ALICE), read, min_probability=min_probability).lost_at == stage


def test_a_part_that_was_quoted_from_below_the_threshold_is_not_lost_by_it():
    assert judged(question(ALICE, facts=["1848"]), answered(ALICE), UNSURE).lost_at == "facts"


def test_a_part_that_was_quoted_from_far_down_is_not_lost_by_its_rank():
    # DAVE is the fourth of three that may be quoted, and was; BOB is the second, and was not.
    asked = question(DAVE, BOB, facts=["1848"])
    assert judged(asked, answered(DAVE)).lost_at == "select"


def test_an_alternative_that_was_read_excuses_one_that_was_not():
    assert judged(question((AGAIN, ALICE)), answered(BOB), EVERYTHING[:1]).lost_at == "select"


def test_facts_beside_unquoted_evidence_are_lost_where_the_evidence_was():
    assert judged(question(ALICE, facts=["treaty"]), answered(BOB), LATER).lost_at == "retrieve"
    assert judged(question(ALICE, facts=["treaty"]), answered(BOB)).lost_at == "select"


# -- exact quotes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [(ALICE,), (ALICE, BOB), ((ALICE, AGAIN), CAROL)])
def test_quotes_of_the_engine_are_exact_and_its_markers_resolve(groups: tuple[str | tuple[str, ...], ...]):
    scores = judged(question(ALICE), answered(*groups)).scores
    assert (scores["quotes_exact"], scores["markers_resolve"]) == (1.0, 1.0)


@pytest.mark.parametrize(("start", "end"), [(1, 1), (-1, -1), (1, 0), (0, -1), (-1, 0), (0, 1), (200, 200)])
def test_offsets_that_are_shifted_make_a_quote_inexact(start: int, end: int):
    record = answered(ALICE, BOB)
    record["citations"][1]["start"] += start
    record["citations"][1]["end"] += end
    assert judged(question(ALICE), record).scores["quotes_exact"] == 0.5


def test_offsets_that_are_all_shifted_by_one_leave_no_quote_exact():
    record = answered(ALICE, BOB, CAROL)
    for cited in record["citations"]:
        cited["start"] += 1
        cited["end"] += 1
    assert judged(question(ALICE), record).scores["quotes_exact"] == 0.0


@pytest.mark.parametrize("quote", [ALICE.lower(), ALICE + " ", ALICE.replace(" ", "\N{NO-BREAK SPACE}"), ALICE[:-1]])
def test_a_quote_that_is_nearly_the_text_is_inexact(quote: str):
    record = answered(ALICE)
    record["citations"][0]["quote"] = quote
    assert judged(question(ALICE), record).scores["quotes_exact"] == 0.0


def test_a_quote_of_another_source_is_inexact():
    for source in ("b.txt", "nowhere.txt"):
        record = answered(ALICE)
        record["citations"][0]["source"] = source
        assert judged(question(ALICE), record).scores["quotes_exact"] == 0.0


def test_a_claim_that_says_other_than_the_quote_it_shows_is_inexact():
    record = answered(ALICE)
    record["claims"][0]["text"] = "Alice never signed the treaty."
    record["text"] = "Alice never signed the treaty. [1]"
    assert record["mode"] == "quotes"
    assert judged(question(ALICE), record).scores["quotes_exact"] == 0.0


# -- markers -----------------------------------------------------------------------------------------------------------


def resolved(record: Record) -> float:
    return judged(question(ALICE), record).scores["markers_resolve"]


def test_a_marker_without_a_citation_does_not_resolve():
    record = answered(ALICE, BOB)
    record["citations"].pop()
    assert resolved(record) == 0.5  # 1 of 1 and 2


def test_a_marker_of_the_text_without_a_citation_does_not_resolve():
    record = answered(ALICE)
    record["text"] += "[2]"
    assert resolved(record) < 1.0


@pytest.mark.parametrize("marker", [0, 2, -1])
def test_a_claim_with_a_marker_that_stands_for_nothing_does_not_resolve(marker: int):
    record = answered(ALICE)
    record["claims"][0]["citations"] = [marker]
    assert resolved(record) < 1.0


def test_a_marker_that_stands_for_two_citations_does_not_resolve():
    record = answered(ALICE, BOB)
    record["citations"][1]["marker"] = 1
    assert resolved(record) == 0.0  # 1 is twice there, 2 is not


def test_a_claim_whose_marker_is_missing_from_the_text_does_not_resolve():
    record = answered(ALICE, BOB)
    record["text"] = f"{ALICE} [1]\n{BOB}"
    assert resolved(record) < 1.0


def test_a_text_that_gives_a_claim_the_marker_of_another_does_not_resolve():
    record = answered(ALICE, BOB)
    record["text"] = f"{ALICE} [2]\n{BOB} [1]"
    assert resolved(record) < 1.0


def test_a_text_that_gives_a_claim_its_marker_twice_does_not_resolve():
    record = answered(ALICE)
    record["text"] = f"{ALICE} [1][1]"
    assert resolved(record) < 1.0


BRACKETED = ["As shown in [7], Alice signed.", "[8] Bob watched.", "Carol slept [9]"]


def test_a_number_in_brackets_inside_a_quote_is_no_marker():
    text = "\n".join(BRACKETED)
    claims = [
        Claim(quote, (citation(n, quote, at=Place("c.txt", text.index(quote), text.index(quote) + len(quote))),))
        for n, quote in enumerate(BRACKETED, start=1)
    ]
    record = ask_record(Answer("Who?", tuple(claims), (), TRACE))
    scores = judged(question(ALICE), record, (), texts={**TEXTS, "c.txt": text}).scores
    assert (scores["quotes_exact"], scores["markers_resolve"]) == (1.0, 1.0)


@given(st.lists(st.text("[]129 a\n", min_size=1).filter(str.strip), min_size=1, max_size=5, unique=True))
def test_whatever_is_quoted_the_markers_of_the_engine_resolve(quotes: list[str]):
    text = "".join(quotes)
    starts = [sum(map(len, quotes[:n])) for n in range(len(quotes))]
    claims = [
        Claim(quote, (citation(n, quote, at=Place("c.txt", start, start + len(quote))),))
        for n, (quote, start) in enumerate(zip(quotes, starts, strict=True), start=1)
    ]
    record = ask_record(Answer("Who?", tuple(claims), (), TRACE))
    scores = judged(question(ALICE), record, (), texts={**TEXTS, "c.txt": text}).scores
    assert (scores["quotes_exact"], scores["markers_resolve"]) == (1.0, 1.0)


# -- confidence, order and time ----------------------------------------------------------------------------------------


def test_the_confidence_is_the_probability_of_the_likeliest_sentence_wherever_it_was_read():
    read = [passage((BOB, 0.2), (CAROL, 0.3)), passage((AGAIN, 0.7))]
    for record in (refused(), answered(BOB)):
        assert judged(question(ALICE), record, read).confidence == 0.7


@pytest.mark.parametrize(
    ("asked", "right"),
    [(question(ALICE), True), (question(CAROL, (AGAIN, ALICE)), True), (question(BOB), False), (question(), False)],
    ids=["its evidence", "an alternative of a part", "other evidence", "unanswerable"],
)
def test_the_likeliest_sentence_is_right_if_it_holds_evidence(asked: Question, right: bool):
    assert judged(asked, refused()).confident_right is right  # ALICE is the likeliest


def test_without_anything_read_there_is_no_confidence():
    outcome = judged(question(ALICE), refused("question"), ())
    assert (outcome.confidence, outcome.confident_right) == (0.0, False)


def test_of_equally_likely_sentences_the_first_one_read_counts():
    read = [passage((BOB, 0.5), (CAROL, 0.5)), passage((AGAIN, 0.5))]
    assert [sentence.place for sentence in by_probability(read)] == [place(BOB), place(CAROL), place(AGAIN)]
    assert judged(question(BOB), refused(), read).confident_right
    assert not judged(question(AGAIN), refused(), read).confident_right


def test_a_sentence_of_two_passages_is_read_once_at_its_higher_probability():
    read = [passage((ALICE, 0.3), (BOB, 0.4)), passage((BOB, 0.6), (CAROL, 0.5)), passage((BOB, 0.1))]
    assert by_probability(read) == [
        ReadSentence(place(BOB), 0.6),
        ReadSentence(place(CAROL), 0.5),
        ReadSentence(place(ALICE), 0.3),
    ]


def test_nothing_read_is_an_empty_order():
    assert by_probability([]) == by_probability([ReadPassage(Place("a.txt", 0, 9), 0.0, ())]) == []


READINGS = st.lists(
    st.dictionaries(st.integers(0, 5), st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=4), max_size=4
)  # a passage each: number of the sentence -> probability


def read_of(numbered: Sequence[Mapping[int, float]]) -> list[ReadPassage]:
    return [
        ReadPassage(
            Place("a.txt", 0, 60), 0.0, tuple(ReadSentence(Place("a.txt", 10 * n, 10 * n + 9), p) for n, p in s.items())
        )
        for s in numbered
    ]


@given(READINGS)
def test_each_sentence_stands_once_in_the_order_and_likelier_ones_before(numbered: list[dict[int, float]]):
    found = [(sentence.place.start // 10, sentence.probability) for sentence in by_probability(read_of(numbered))]
    every = [pair for passage in numbered for pair in passage.items()]
    assert Counter(n for n, _ in found) == Counter({n for n, _ in every})
    assert all(probability == max(p for m, p in every if m == n) for n, probability in found)
    first_read = list(dict.fromkeys(n for n, _ in every))
    for (n, probability), (later, smaller) in pairwise(found):
        assert probability > smaller or (probability == smaller and first_read.index(n) < first_read.index(later))


@given(READINGS)
def test_the_order_is_the_one_that_the_engine_chooses_quotes_from(numbered: list[dict[int, float]]):
    stretch = Passage("d:0-60", "d", Span(0, 60), "")
    evidence = [
        PassageEvidence(stretch, 0.0, tuple(SentenceEvidence(Span(10 * n, 10 * n + 9), p) for n, p in s.items()))
        for s in numbered
    ]
    chosen = [(quote.span.start, quote.evidence.probability) for quote in quotes_by_probability(evidence)]
    assert [(s.place.start, s.probability) for s in by_probability(read_of(numbered))] == chosen


@pytest.mark.parametrize("record", [answered(ALICE), refused()], ids=["answered", "refused"])
def test_timings_are_those_of_the_record(record: Record):
    assert judged(question(ALICE), record).timings_ms == TIMINGS


def test_a_failure_has_no_timings():
    assert judged(question(ALICE), FAILED, ()).timings_ms == {}
