"""Which sentences are quoted, which are one statement, and how they are cited."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import IndexDamaged, InvalidValue
from rag.models import PassageEvidence, SentenceEvidence
from rag.quoting import QuestionEvidence, cite_all, select
from rag.quoting.quotes import FURTHER, Quote, quotable_from
from rag.text.duplicates import says_the_same
from rag.text.words import words
from rag.values import Answer, Citation, Document, Passage, Span, Trace

TRACE = Trace(settings_hash="0" * 12, prompt_hash=None, models={}, index_version=1, timings_ms={})


def document(name: str, *sentences: str) -> Document:
    text = " ".join(sentences)
    return Document(name, f"{name}.txt", name.title(), "Press", None, None, text, sha256="")


def spans(doc: Document, sentences: Sequence[str]) -> list[Span]:
    """Where each sentence stands; a sentence stands once in these documents."""
    starts = [doc.text.index(sentence) for sentence in sentences]
    return [Span(start, start + len(sentence)) for start, sentence in zip(starts, sentences, strict=True)]


def evidence(doc: Document, **probabilities: float) -> PassageEvidence:
    """A passage over the named sentences of the document; names are first words."""
    every = [s + "." for s in doc.text.removesuffix(".").split(". ")]
    chosen = [next(s for s in every if s.split()[0] == name) for name in probabilities]
    read = tuple(SentenceEvidence(s, p) for s, p in zip(spans(doc, chosen), probabilities.values(), strict=True))
    whole = Span(min(s.span.start for s in read), max(s.span.end for s in read))
    passage = Passage(
        Passage.id_for(doc.id, whole),
        doc.id,
        whole,
        "",
        text=whole.cut(doc.text),
        sentences=tuple(s.span for s in read),
    )
    return PassageEvidence(passage, max(probabilities.values()), read)


def asking(*asked: str) -> Callable[[str], frozenset[int]]:
    """A question of these words: which of them a sentence speaks of."""

    def covered(text: str) -> frozenset[int]:
        spoken = {word.folded for word in words(text)}
        return frozenset(i for i, word in enumerate(asked) if word in spoken)

    return covered


def texts(groups: Sequence[Sequence[Quote]]) -> list[list[str]]:
    return [[quote.text for quote in group] for group in groups]


def chosen(*read: PassageEvidence, asked: str, max_claims: int = 3, min_probability: float = 0.5) -> list[list[str]]:
    return texts(
        select([QuestionEvidence(read, asking(*asked.split()))], min_probability=min_probability, max_claims=max_claims)
    )


TREATY = document(
    "treaty", "Alpha signed the treaty in Geneva.", "Beta refused to sign it.", "Gamma watched from the gallery."
)


def test_nothing_below_the_threshold_is_quoted():
    read = evidence(TREATY, Alpha=0.49, Beta=0.2, Gamma=0.0)
    assert chosen(read, asked="alpha beta gamma") == []
    assert chosen(asked="alpha") == []


def test_the_threshold_itself_is_enough():
    assert chosen(evidence(TREATY, Alpha=0.5), asked="alpha") == [["Alpha signed the treaty in Geneva."]]


@pytest.mark.parametrize(("probability", "n_quoted"), [(0.31, 2), (0.3, 2), (0.29, 1)])
def test_beside_an_answer_a_part_of_the_threshold_is_enough(probability: float, n_quoted: int):
    assert FURTHER * 0.5 == 0.3
    assert len(chosen(evidence(TREATY, Alpha=0.5, Beta=probability), asked="alpha beta")) == n_quoted
    assert chosen(evidence(TREATY, Alpha=0.49, Beta=probability), asked="alpha beta") == []


def test_another_document_is_quoted_although_it_speaks_of_nothing_new_since_it_may_disagree():
    other = document("other", "Alpha never signed the treaty.", "Alpha left the treaty.")
    read = evidence(TREATY, Alpha=0.9), evidence(other, Alpha=0.4)
    assert chosen(*read, asked="alpha treaty") == [[TREATY.text[:34]], ["Alpha never signed the treaty."]]
    assert chosen(*read, asked="alpha treaty", max_claims=1) == [[TREATY.text[:34]]]


def test_one_sentence_is_enough_where_it_covers_everything():
    read = evidence(TREATY, Alpha=0.9, Beta=0.8, Gamma=0.7)
    assert chosen(read, asked="alpha signed") == [["Alpha signed the treaty in Geneva."]]


def test_the_most_probable_sentence_answers_even_if_it_speaks_of_nothing_asked():
    read = evidence(TREATY, Alpha=0.8, Gamma=0.9)
    assert chosen(read, asked="unheard") == [["Gamma watched from the gallery."]]


def test_a_second_sentence_comes_only_for_a_part_that_the_first_does_not_speak_of():
    read = evidence(TREATY, Alpha=0.9, Beta=0.6, Gamma=0.7)
    assert chosen(read, asked="alpha beta") == [["Alpha signed the treaty in Geneva."], ["Beta refused to sign it."]]


def test_the_number_of_claims_is_limited():
    read = evidence(TREATY, Alpha=0.9, Beta=0.6, Gamma=0.7)
    for max_claims, expected in ((1, ["Alpha"]), (2, ["Alpha", "Gamma"]), (3, ["Alpha", "Beta", "Gamma"])):
        groups = chosen(read, asked="alpha beta gamma", max_claims=max_claims)
        assert [group[0].split()[0] for group in groups] == expected


def test_claims_come_in_reading_order_the_best_claims_document_first():
    other = document("other", "Delta paid for the hall.", "Epsilon sang.")
    read = [evidence(other, Delta=0.6, Epsilon=0.7), evidence(TREATY, Alpha=0.5, Gamma=0.9)]
    groups = chosen(*read, asked="alpha gamma delta epsilon", max_claims=4)
    assert [group[0].split()[0] for group in groups] == ["Alpha", "Gamma", "Delta", "Epsilon"]


ONE = document("one", "Tokayev won the early presidential election with over 81% of the vote.")
OTHER = document("other", "Tokayev won an early presidential election, with over 81% of vote.")
DIFFERENT = document("different", "Tokayev won the early presidential election with over 71% of the vote.")


def test_near_duplicates_of_two_documents_are_one_claim_with_two_citations():
    groups = select(
        [QuestionEvidence([evidence(ONE, Tokayev=0.7), evidence(OTHER, Tokayev=0.9)], asking("tokayev"))],
        min_probability=0.5,
        max_claims=3,
    )
    (claim,) = cite_all(groups, {"one": ONE, "other": OTHER}.__getitem__)
    assert claim.text == OTHER.text, "the more probable sentence speaks"
    assert [(c.marker, c.source) for c in claim.citations] == [(1, "other.txt"), (2, "one.txt")]


def test_a_near_duplicate_is_cited_although_it_adds_nothing_and_the_claims_are_full():
    read = evidence(ONE, Tokayev=0.9), evidence(OTHER, Tokayev=0.8)
    assert chosen(*read, asked="tokayev", max_claims=1) == [[ONE.text, OTHER.text]]


def test_a_near_duplicate_below_the_threshold_is_not_cited():
    assert chosen(evidence(ONE, Tokayev=0.9), evidence(OTHER, Tokayev=0.2), asked="tokayev") == [[ONE.text]]


def test_different_numbers_are_never_one_claim():
    read = evidence(ONE, Tokayev=0.9), evidence(DIFFERENT, Tokayev=0.8)
    assert chosen(*read, asked="81 71") == [[ONE.text], [DIFFERENT.text]]
    assert chosen(*read, asked="tokayev") == [[ONE.text], [DIFFERENT.text]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The meeting lasted two hours.", "The meeting lasted two hours."),
        ("“The meeting lasted two hours.”", '"The meeting lasted two hours".'),
        ("Şavkat said that the talks went well.", "Savkat said that the talks went well."),
        ("THE MEETING LASTED TWO HOURS.", "The meeting lasted two hours."),
    ],
)
def test_other_quotation_marks_accents_capitals_and_order_say_the_same(one: str, other: str):
    assert says_the_same(one, other)
    assert says_the_same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The meeting lasted two hours.", "Kazakhstan is building a nuclear plant."),
        ("They met in Moscow on 27 December 2025.", "They met in Moscow on 27 December 2024."),
        ("Some 9,000 Russian companies operate there.", "Some 9,001 Russian companies operate there."),
        ("Turnover grew by 3.5% in the year.", "Turnover grew by 3.6% in the year."),
        ("Turnover grew by 3.5% in the year.", "Turnover grew in the year."),
    ],
)
def test_other_words_and_other_numbers_do_not_say_the_same(one: str, other: str):
    assert not says_the_same(one, other)
    assert not says_the_same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Trade reached $11 billion in the first eight months.",
            "Trade reached $11 million in the first eight months.",
        ),
        ("Tokayev visited Moscow two times last year.", "Tokayev visited Moscow three times last year."),
        (
            "Kazakhstan supports the independence of Luhansk.",
            "Kazakhstan does not support the independence of Luhansk.",
        ),
        ("Nazarbayev invited Putin to Astana on Saturday.", "Putin invited Nazarbayev to Astana on Saturday."),
        ("The meeting took place in Moscow on Monday.", "The meeting took place in Astana on Monday."),
    ],
)
def test_sentences_that_contradict_each_other_are_never_one_claim(one: str, other: str):
    assert not says_the_same(one, other)
    assert not says_the_same(other, one)


@given(st.text(max_size=60), st.text(max_size=60))
def test_saying_the_same_is_mutual_and_every_text_says_what_it_says(one: str, other: str):
    assert says_the_same(one, one)
    assert says_the_same(one, other) == says_the_same(other, one)


def test_a_sentence_in_two_overlapping_passages_is_quoted_once_with_its_better_probability():
    read = evidence(TREATY, Alpha=0.1, Beta=0.6), evidence(TREATY, Beta=0.9, Gamma=0.2)
    groups = select([QuestionEvidence(read, asking("beta"))], min_probability=0.5, max_claims=3)
    assert texts(groups) == [["Beta refused to sign it."]]
    assert groups[0][0].evidence.probability == 0.9


def test_of_equally_probable_sentences_the_one_retrieved_first_answers():
    other = document("other", "Delta signed the treaty.")
    first, second = evidence(other, Delta=0.9), evidence(TREATY, Alpha=0.9)
    assert chosen(first, second, asked="signed", max_claims=1) == [["Delta signed the treaty."]]
    assert chosen(second, first, asked="signed", max_claims=1) == [["Alpha signed the treaty in Geneva."]]


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.floats(0, 1),
    st.integers(1, 3),
    st.lists(st.sampled_from(["alpha", "beta", "gamma", "treaty"]), unique=True),
)
def test_whatever_the_probabilities_an_answer_reaches_the_threshold_and_the_rest_a_part_of_it(
    probabilities: list[float], threshold: float, max_claims: int, asked: list[str]
):
    read = evidence(TREATY, **dict(zip(("Alpha", "Beta", "Gamma"), probabilities, strict=True)))
    groups = select([QuestionEvidence([read], asking(*asked))], min_probability=threshold, max_claims=max_claims)
    quotes = [quote for group in groups for quote in group]
    assert all(quote.evidence.probability >= FURTHER * threshold for quote in quotes)
    assert len({quote.span for quote in quotes}) == len(quotes)
    assert len(groups) <= max_claims
    assert bool(groups) == (max(probabilities) >= threshold)
    if groups:
        assert max(quote.evidence.probability for quote in quotes) == max(probabilities)
    assert [group[0].span for group in groups] == sorted(group[0].span for group in groups)


def test_markers_count_through_all_claims_and_make_an_answer():
    read = evidence(ONE, Tokayev=0.9), evidence(OTHER, Tokayev=0.8), evidence(TREATY, Beta=0.7)
    groups = select([QuestionEvidence(read, asking("tokayev", "beta"))], min_probability=0.5, max_claims=3)
    documents = {d.id: d for d in (ONE, OTHER, TREATY)}
    answer = Answer("Who?", cite_all(groups, documents.__getitem__), hits=(), trace=TRACE)
    assert [[c.marker for c in claim.citations] for claim in answer.claims] == [[1, 2], [3]]
    assert answer.text == f"{ONE.text} [1][2]\nBeta refused to sign it. [3]"
    for citation in answer.citations:
        assert citation.quote == citation.span.cut(documents[citation.doc_id].text)
        assert citation.source == f"{citation.doc_id}.txt"


def test_no_groups_make_no_claims():
    assert cite_all([], {}.__getitem__) == ()


def test_a_passage_that_is_not_what_its_document_says_is_damage():
    forged = Passage("treaty:0-5", "treaty", Span(0, 5), "", text="OMEGA", sentences=(Span(0, 5),))
    with pytest.raises(IndexDamaged, match="its text and its passages differ"):
        cite_all([[Quote(forged, SentenceEvidence(Span(0, 5), 1.0))]], lambda _: TREATY)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Armenia was attacked by Azerbaijan.", "Armenia attacked Azerbaijan."),
        ("The attack by Russia on Ukraine failed.", "The attack on Russia by Ukraine failed."),
        ("The minister will resign.", "The minister resigned."),
        ("They support the treaty.", "They do not support the treaty."),
        ("It grew by 5%.", "It grew by -5%."),
        ("It cost $10.", "It cost €10."),
    ],
)
def test_sentences_that_resemble_and_contradict_each_other_are_not_the_same(one: str, other: str):
    assert not says_the_same(one, other)


def test_a_span_that_the_document_does_not_have_cannot_be_cited():
    with pytest.raises(InvalidValue, match="reaches past"):
        Citation.of(TREATY, Span(0, 10_000), marker=1)


# -- several questions at once -----------------------------------------------------------------------------------------


def test_each_question_of_several_gets_its_claim_before_the_first_gets_a_second():
    first = QuestionEvidence([evidence(TREATY, Alpha=0.9, Gamma=0.8)], asking("alpha", "gamma"))
    second = QuestionEvidence([evidence(TREATY, Beta=0.7)], asking("beta"))
    for max_claims, quoted in ((1, 1), (2, 2), (3, 3)):
        groups = select([first, second], min_probability=0.5, max_claims=max_claims)
        assert len(groups) == quoted
    said = texts(select([first, second], min_probability=0.5, max_claims=2))
    assert said == [["Alpha signed the treaty in Geneva."], ["Beta refused to sign it."]]


def test_a_sentence_that_answers_two_questions_is_quoted_once():
    both = [QuestionEvidence([evidence(TREATY, Alpha=0.9)], asking(word)) for word in ("alpha", "geneva")]
    assert texts(select(both, min_probability=0.5, max_claims=3)) == [["Alpha signed the treaty in Geneva."]]


def test_where_one_sentence_answers_less_is_enough_for_the_others():
    assert quotable_from(0.5, min_probability=0.5) == FURTHER * 0.5
    assert quotable_from(0.49, min_probability=0.5) == 0.5
    assert quotable_from(0.0, min_probability=0.0) == 0.0


# -- sentences that speak of the one before them -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "second",
    [
        "He added that nothing was decided.",
        "This was denied by Beta.",
        "“Their meeting was short,” he said.",
        "It failed.",
    ],
)
def test_a_sentence_that_refers_back_brings_the_one_before_it(second: str):
    talks = document("talks", "Alpha spoke to reporters.", second)
    word = second.split(maxsplit=1)[0]
    (group,) = select(
        [QuestionEvidence([evidence(talks, Alpha=0.1, **{word: 0.9})], asking())], min_probability=0.5, max_claims=1
    )
    assert group[0].text == f"Alpha spoke to reporters. {second}"
    (claim,) = cite_all([group], {"talks": talks}.__getitem__)
    assert claim.citations[0].quote == talks.text


def test_no_sentence_is_shown_twice():
    life = document("life", "Ada Lovelace wrote the first program.", "She died in London.")
    read = [QuestionEvidence([evidence(life, Ada=0.9, She=0.8)], asking("wrote", "died"))]
    shown_ = texts(select(read, min_probability=0.5, max_claims=3))
    assert shown_ == [["Ada Lovelace wrote the first program."], ["She died in London."]]


def test_what_he_did_is_not_the_same_of_two_people():
    volta = document("volta", "Anna Lind runs Volta.", "She resigned on Monday.")
    kemi = document("kemi", "Petra Moss runs Kemi.", "She resigned on Monday.")
    read = [
        QuestionEvidence(
            [evidence(each, **{each.text.split()[0]: 0.1, "She": 0.9}) for each in (volta, kemi)], asking()
        )
    ]
    assert texts(select(read, min_probability=0.5, max_claims=3)) == [[volta.text], [kemi.text]]


@pytest.mark.parametrize(
    "second", ["Beta denied it.", "This year Beta resigned.", "It is likely that Beta resigns.", "Itaipu is a dam."]
)
def test_a_sentence_that_stands_alone_is_quoted_alone(second: str):
    talks = document("talks", "Alpha spoke to reporters.", second)
    word = second.split(maxsplit=1)[0]
    (group,) = select(
        [QuestionEvidence([evidence(talks, Alpha=0.1, **{word: 0.9})], asking())], min_probability=0.5, max_claims=1
    )
    assert group[0].text == second


def test_the_first_sentence_of_a_passage_has_nothing_to_bring():
    talks = document("talks", "He spoke to reporters.")
    (group,) = select([QuestionEvidence([evidence(talks, He=0.9)], asking())], min_probability=0.5, max_claims=1)
    assert group[0].text == "He spoke to reporters."
