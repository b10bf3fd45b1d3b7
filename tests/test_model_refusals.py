"""Refusals of models: that they are understood in their own words, and that nothing that claims anything is one."""

import pytest

from rag.gate import written_sentences
from rag.writing.model_refusals import REFUSAL, is_refusal, refuses

REFUSALS = [
    REFUSAL,
    REFUSAL.upper(),
    REFUSAL.rstrip("."),
    f"**{REFUSAL}**",
    f"“{REFUSAL}” [1]",
    f"I'm sorry, but {REFUSAL.lower()}",
    f"I’m sorry, but based on the provided passages: {REFUSAL}\n",
    f"{REFUSAL} Please let me know if you have any other questions.",
]
ANSWERS = [
    "",
    "Solberg became CEO [1].",
    f"Solberg became CEO [1]. {REFUSAL}",
    f"{REFUSAL} However, Solberg became CEO [1].",
    f"{REFUSAL} But Okafor said the margin was weak [2].",
    f"It is not true that {REFUSAL.lower()}",
    "The passages do not answer. Solberg became CEO.",
    "The passages do not answer this question about Solberg [1].",
]


IN_OTHER_WORDS = [
    "The passages do not contain information about the price of the yard.",
    "The provided passages don’t mention who bought the yard.",
    "The passages do not answer.",
    "The passages do not answer this question about Solberg.",
    "The given documents do not provide enough information to answer this question.",
    "The context does not specify when Solberg resigned.",
    "The text doesn't say how many people work in Rotterdam.",
    "None of the passages mentions a merger.",
    "None of the provided documents answer this.",
    "The sources contain no information on the merger.",
    "The passages make no mention of a merger.",
    "I cannot answer this from the given passages.",
    "I'm sorry, but I can't answer that question based on the passages.",
    "Unfortunately, I do not have enough information to answer this.",
    "I do not know.",
    "I am unable to find this in the passages.",
    "I could not find an answer in the provided documents.",
    "There is no information about the merger in the passages.",
    "There is not enough information in the passages to answer.",
    "No information about the merger is given in the passages.",
    "The answer is not given in the passages.",
    "It is not stated in the documents.",
    "This question cannot be answered from the passages.",
    "Based on the provided passages, there is no mention of a merger.",
    "I cannot answer this question, as the passages do not mention a merger.",
    "The passages do not mention a merger. I cannot answer this.",
    "**The passages do not mention a merger.**",
    "There is no evidence of a merger in the passages.",
    "No evidence of a merger is given in the documents.",
    "The information provided does not include the price.",
    "I'm sorry. The passages do not mention a merger. Please let me know if you have any other questions.",
]
CLAIMS = [
    "The documents do not support the claim that Solberg was dismissed [1].",
    "The passages do not mention a merger [1].",
    "The passages do not say that Solberg resigned.",
    "The passages do not mention a merger, but Solberg became CEO.",
    "The passages do not mention a merger; Solberg became CEO in May.",
    "The passages do not mention a merger. Solberg became CEO.",
    "The passages do not mention a merger. They only discuss the yard.",
    "The passages do not only mention the yard but also the plant.",
    "The passages do not mention Okafor, who expects no merger.",
    "The passages do not mention a merger (Okafor expects none).",
    "The passages do not mention the price although the yard was sold for 3 billion.",
    "Okafor does not answer this question.",
    "Solberg did not mention a merger.",
    "The treaty does not contain a date.",
    "The documents were not given to Solberg.",
    "Okafor said that the passages do not mention a merger.",
    "It is not clear that Solberg became CEO.",
    "There is no merger in sight.",
    "I do not know Solberg, said Okafor.",
    "I cannot answer this: Solberg became CEO.",
    "The passages mention no price because the yard was never sold.",
    "There is no evidence of fraud at the yard.",
    "No evidence of a leak was found in the reactor by inspectors.",
    "No data on customers was made public.",
    "The information did not include passwords or card numbers.",
]


@pytest.mark.parametrize("text", IN_OTHER_WORDS)
def test_a_refusal_in_other_words_is_one(text: str):
    assert is_refusal(text)
    assert all(refuses(sentence) for sentence in written_sentences(text) if "passages" in sentence.text)


@pytest.mark.parametrize("text", CLAIMS)
def test_what_says_more_than_a_refusal_is_none(text: str):
    assert not is_refusal(text)


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_understood_in_any_dress(text: str):
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_that_claims_anything_is_no_refusal(text: str):
    assert not is_refusal(text)
