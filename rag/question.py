"""Whether a text can be asked of documents at all; knows nothing about what they say."""

from rag.words import words

_GREETINGS = frozenset(
    "hi hello hey hallo hiya greetings morning afternoon evening thanks thank thx cheers bye".split()
)
_COMPANIONS = frozenset(
    "good day night you goodbye welcome please ok okay there everyone all how are today so much".split()
)


def objection(question: str, *, max_chars: int, follows: bool = False) -> str | None:
    """Return why a text is no question for the documents, as a sentence for the user; None if it is one.

    follows: there are earlier turns, so that a year alone is a question ("2021?").
    """
    if not question.strip():
        return "The question is empty. Ask something about the documents."
    if len(question) > max_chars:
        return (
            f"The question has {len(question):,} characters; {max_chars:,} are read at most. "
            "Ask for one thing at a time, or raise RAG_MAX_QUESTION_CHARS."
        )
    spoken = [word.folded for word in words(question)]
    if not any(character.isalpha() or (follows and character.isdigit()) for word in spoken for character in word):
        return "There is no word in the question. Ask something about the documents in words."
    if not _GREETINGS.isdisjoint(spoken) and (_GREETINGS | _COMPANIONS).issuperset(spoken):
        return "Hello. Ask something about the documents, and the answer will quote them."
    return None
