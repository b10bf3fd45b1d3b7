"""Written answers: what a model writes, what of it is kept, and what happens where the model fails."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_server import LlmServer, breaks_off, fails, first, hangs, prompt_of, says
from test_records import problems

from rag import Abstention, Answer, Rag, Settings
from rag.errors import ModelFailed, UsageError
from rag.models import SentenceEncoder
from rag.records import ask_record
from rag.values import Claim, Document, Passage, Source, Span
from rag.writing import Draft, Material, rewrite, write
from rag.writing.model_refusals import REFUSAL

TEXT = "The bridge over the Orle was opened in May 1932. Mira Quillon designed it. It cost 4 million crowns."
OPENED, DESIGNED, COST = (Span(0, 48), Span(49, 74), Span(75, 100))
QUESTION = "Who designed the bridge over the Orle, and when was it opened?"
GOOD = "The bridge over the Orle was opened in May 1932. [1]"
ALSO_GOOD = "Mira Quillon designed it. [1]"
BAD = "It was opened in May 1977. [1]"


class Scripted:
    """A language model that writes what it is told, prompt by prompt; an exception is raised where it stands."""

    name = "scripted"
    context_tokens = 4096

    def __init__(self, *answers: Sequence[str | Exception]) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []
        self.n_given = 0
        self.closed = False

    def stream(self, prompt: str, *, max_tokens: int) -> Generator[str, None, None]:
        self.prompts.append(prompt)
        try:
            for piece in self.answers.pop(0):
                if isinstance(piece, Exception):
                    raise piece
                self.n_given += 1
                yield piece
        finally:
            self.closed = True


def material(probability: float = 0.9) -> Material:
    document = Document("d", "orle.txt", "The Orle", "Zorblatt Times", None, None, TEXT, "0" * 64)
    sentences = (OPENED, DESIGNED, COST)
    passage = Passage("d:0-100", "d", Span(0, 100), "", "orle.txt", TEXT, sentences)
    return Material((Source(passage, document),), (), {("d", span): probability for span in sentences})


def written(model: Scripted, *, probability: float = 0.9) -> tuple[list[Claim], Draft]:
    """Return the claims as they were yielded, and the draft."""
    claims: list[Claim] = []
    writing = write(QUESTION, material(probability), model=model, support=None)
    while True:
        try:
            claims.append(next(writing))
        except StopIteration as ended:
            return claims, ended.value


def test_a_sentence_is_yielded_as_soon_as_nothing_can_change_it():
    model = Scripted([f"{GOOD}", f" {ALSO_GOOD}", "\n", "It cost", " 4 million crowns. [1]"])
    writing = write(QUESTION, material(), model=model, support=None)
    assert next(writing).text == "The bridge over the Orle was opened in May 1932."
    assert model.n_given == 2  # of five


def test_what_was_yielded_is_what_the_draft_holds():
    claims, draft = written(Scripted([f"{GOOD} {ALSO_GOOD}"]))
    assert tuple(claims) == draft.claims
    assert [(c.text, [n.span for n in c.citations]) for c in claims] == [
        ("The bridge over the Orle was opened in May 1932.", [OPENED]),
        ("Mira Quillon designed it.", [DESIGNED]),
    ]
    assert [n.marker for c in claims for n in c.citations] == [1, 2]
    assert draft.removed == ()
    assert not draft.problem


def test_a_faulty_sentence_is_written_again_once_and_takes_its_place():
    model = Scripted([f"{GOOD} {BAD} {ALSO_GOOD}"], ["It cost 4 million crowns. [1]"])
    claims, draft = written(model)
    assert [c.text for c in claims] == [
        "The bridge over the Orle was opened in May 1932.",
        "It cost 4 million crowns.",
        "Mira Quillon designed it.",
    ]
    assert draft.removed == ()
    assert "1977" in model.prompts[1]
    assert len(model.prompts) == 2


def test_a_repair_is_told_which_passage_says_what_another_was_cited_for():
    whole = material()
    (source,) = whole.sources
    designed = Passage("d:49-74", "d", DESIGNED, "", "orle.txt", DESIGNED.cut(TEXT), (DESIGNED,))
    only_designed = replace(source, passage=designed)
    model = Scripted([f"{ALSO_GOOD} It cost 4 million crowns. [1] {BAD}"], [""])
    list(write(QUESTION, replace(whole, sources=(only_designed, source)), model=model, support=None))
    _, cost, opened, *_ = model.prompts[1].split("Wrong sentences")[1].splitlines()
    assert cost.startswith("- It cost 4 million crowns.")
    assert "; passage 2 says so" in cost
    assert "1977" in opened
    assert "says so" not in opened


def test_what_fails_again_is_removed_with_its_fault():
    claims, draft = written(Scripted([f"{GOOD} {BAD}"], ["It was opened in May 1988. [1]"]))
    assert [c.text for c in claims] == ["The bridge over the Orle was opened in May 1932."]
    assert [(r.text, r.fault) for r in draft.removed] == [("It was opened in May 1988.", "wrong number")]


@pytest.mark.parametrize("again", [[], [REFUSAL], [f"{GOOD} {ALSO_GOOD}"], [ModelFailed("scripted: went away")]])
def test_a_fault_that_nothing_was_written_for_stays_known(again: Sequence[str | Exception]):
    _, draft = written(Scripted([f"{GOOD} {BAD}"], again))
    assert [r.text for r in draft.removed] == ["It was opened in May 1977."]


def test_nothing_behind_a_fault_is_yielded_before_the_repair():
    model = Scripted([f"{BAD} {GOOD}\n", f"{ALSO_GOOD}\n"], ["It cost 4 million crowns. [1]"])
    assert next(write(QUESTION, material(), model=model, support=None)).text == "It cost 4 million crowns."
    assert len(model.prompts) == 2


def test_the_same_sentence_twice_is_one_claim():
    claims, _ = written(Scripted([f"{GOOD} {GOOD}"]))
    assert len(claims) == 1


def test_what_is_true_and_beside_the_question_is_no_answer():
    claims, draft = written(Scripted([f"{GOOD} {ALSO_GOOD}"]), probability=0.01)
    assert claims == []
    assert {r.fault for r in draft.removed} == {"off the question"}


def test_a_claim_that_rests_on_two_sentences_answers_if_one_of_them_may():
    joined = "The bridge over the Orle, which Mira Quillon designed, was opened in May 1932. [1]"
    likely = replace(material(), probability={("d", OPENED): 0.0, ("d", DESIGNED): 0.9})
    (claim,) = list(write(QUESTION, likely, model=Scripted([joined], [""]), support=None))
    assert [citation.span for citation in claim.citations] == [Span(OPENED.start, DESIGNED.end)]


@pytest.mark.parametrize("text", [REFUSAL, "I'm sorry, but the passages do not mention a price."])
def test_a_refusal_is_no_claim_and_no_fault(text: str):
    claims, draft = written(Scripted([text]))
    assert (claims, draft.removed, draft.refused) == ([], (), True)


def test_a_failure_in_mid_answer_keeps_what_was_settled_and_nothing_else():
    claims, draft = written(Scripted([f"{GOOD} {ALSO_GOOD}\n", "It cost 4 mill", ModelFailed("scripted: went away")]))
    assert [c.text for c in claims] == ["The bridge over the Orle was opened in May 1932.", "Mira Quillon designed it."]
    assert draft.problem == "scripted: went away"


def test_a_model_that_goes_on_and_on_is_cut_off():
    model = Scripted([f"{GOOD} {ALSO_GOOD}\n", *["and on "] * 10_000])
    claims, draft = written(model)
    assert len(claims) == 2
    assert "went on for more than" in draft.problem
    assert model.closed
    assert model.n_given < 1_000


@pytest.mark.parametrize(
    "trick", ["![[1]](//evil.example/early)", "[[1]](#fn1) [more][evil]", "<<script>script>x</script>"]
)
def test_no_markup_is_left_when_the_markers_are_out(trick: str):
    claims, _ = written(Scripted([f"The bridge over the Orle was opened in May 1932 {trick} [1]."], []))
    assert not any(mark in claim.text for claim in claims for mark in ("](", "][", "![", "<"))


def test_who_leaves_ends_the_request():
    model = Scripted([f"{GOOD} {ALSO_GOOD}", "\n", "It cost"])
    writing = write(QUESTION, material(), model=model, support=None)
    next(writing)
    writing.close()
    assert model.closed


def test_a_question_that_leaves_no_room_for_a_passage_is_not_asked():
    model = Scripted()
    model.context_tokens = 300
    _, draft = written(model)
    assert "no passage fits" in draft.problem
    assert model.prompts == []


@given(st.data())
def test_how_the_words_come_changes_nothing(data: st.DataObject):
    text = f"{GOOD} {ALSO_GOOD}\n- {BAD}\nIt cost 4 million crowns [1]. Nobody knows why."
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=12)))
    cut = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert written(Scripted(cut, [])) == written(Scripted([text], []))


@given(st.text(max_size=200))
def test_whatever_a_model_writes_every_claim_quotes_the_document(text: str):
    claims, _ = written(Scripted([text], [text]))
    assert all(n.quote == n.span.cut(TEXT) for c in claims for n in c.citations)


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        (["When was the bridge over the Orle opened?"], "When was the bridge over the Orle opened?"),
        (['"When was it', ' opened?"\nBecause I say so.'], "When was it opened?"),
        (["It was opened in 1932."], ""),
        ([""], ""),
        (["x" * 500 + "?"], ""),
        (["When was \ud800it\u202e opened?"], "When was it opened?"),
        ([ModelFailed("scripted: went away")], ""),
    ],
)
def test_a_rewritten_follow_up_is_one_question_or_nothing(answer: Sequence[str | Exception], question: str):
    history = [("Who designed the bridge?", "Mira Quillon designed it. [1]")]
    assert rewrite("And when was it opened?", history, model=Scripted(answer)) == question


# -- the engine, with a server that speaks the protocol ----------------------------------------------------------------

ELECTION = "Who won the early presidential election with over 81% of the vote?"
WON = "Tokayev won the early presidential election with over 81% of the vote. [1]"


@pytest.fixture
def ask(seeds_index: Any, encoder: SentenceEncoder, llm_server: LlmServer) -> Iterator[Callable[..., Any]]:
    opened: list[Rag] = []

    def ask_(question: str = ELECTION, **options: Any) -> Any:
        settings = Settings(
            index_dir=seeds_index, llm_base_url=llm_server.url, llm_model="m", llm_timeout_s=options.pop("timeout_s", 5)
        )
        rag = Rag(settings, encoder=encoder)
        opened.append(rag)
        return rag.ask(question, **options)

    yield ask_
    for rag in opened:
        rag.close()


def test_a_written_answer_is_the_default_where_a_model_is_configured(ask: Any, llm_server: LlmServer):
    llm_server.behave = says(WON)
    answer = ask()
    assert isinstance(answer, Answer)
    assert (answer.mode, answer.text, answer.notice) == ("written", WON, "")
    assert answer.trace.prompt_hash
    assert answer.trace.models["writer"].startswith("m@127.0.0.1")
    assert problems("ask", ask_record(answer)) == []


def test_quotes_ask_no_model(ask: Any, llm_server: LlmServer):
    assert ask(mode="quotes").mode == "quotes"
    assert llm_server.requests == []


@pytest.mark.parametrize(
    "behaviour",
    [fails(401), fails(429), fails(500), hangs(), breaks_off("Tokayev won", cleanly=True), says("")],
    ids=["401", "429", "500", "hung", "truncated", "empty"],
)
def test_a_model_that_fails_leaves_the_quotes_and_a_notice(ask: Any, llm_server: LlmServer, behaviour: Any):
    llm_server.behave = behaviour
    answer = ask(timeout_s=1)
    assert isinstance(answer, Answer)
    assert answer.mode == "quotes"
    assert answer.notice.startswith("The language model failed")
    assert problems("ask", ask_record(answer)) == []


def test_nothing_that_stands_leaves_the_quotes_and_shows_what_was_removed(ask: Any, llm_server: LlmServer):
    llm_server.behave = says("Tokayev won with 99% of the vote. [1] He is popular.")
    answer = ask()
    assert answer.mode == "quotes"
    assert {r.fault for r in answer.removed} == {"wrong number", "uncited"}
    assert "stood up" in answer.notice


def test_a_refusal_of_both_abstains_and_says_so(ask: Any, llm_server: LlmServer):
    llm_server.behave = says(REFUSAL)
    abstention = ask("What is the boiling point of tungsten?")
    assert isinstance(abstention, Abstention)
    assert (abstention.mode, "found no answer" in abstention.notice) == ("written", True)
    assert problems("ask", ask_record(abstention)) == []


def test_a_follow_up_is_made_to_stand_alone_by_the_model(ask: Any, llm_server: LlmServer):
    llm_server.behave = first(says("With how much of the vote did Tokayev win the early election?"), says(WON))
    answer = ask("And with how much?", history=[(ELECTION, WON)])
    assert answer.standalone_question == "With how much of the vote did Tokayev win the early election?"
    assert "And with how much?" in prompt_of(llm_server.requests[0])


def test_written_without_a_model_says_what_to_set(seeds: Rag):
    with pytest.raises(UsageError, match="RAG_LLM_BASE_URL"):
        seeds.ask(ELECTION, mode="written")


def test_the_model_is_checked_with_a_word(seeds_index: Any, encoder: SentenceEncoder, llm_server: LlmServer):
    rag = Rag(Settings(index_dir=seeds_index, llm_base_url=llm_server.url, llm_model="m"), encoder=encoder)
    llm_server.behave = says("Yes.")
    assert rag.check_model() is None
    llm_server.behave = fails(401)
    assert "401" in str(rag.check_model())
    rag.close()
