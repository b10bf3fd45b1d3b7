"""Whatever reads foreign text takes time in proportion to it: documents, questions, what a language model writes.

One hostile text would otherwise keep everybody waiting, since a regular expression lets no other thread work.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from growth import pieces, too_slow

from rag.answer_text import answer_in
from rag.documents.clean import exclusions, load_rules
from rag.documents.describe import describe
from rag.documents.formats.html import load_html
from rag.documents.formats.pdf import joined, without_running_lines
from rag.documents.formats.plain import load_plain
from rag.documents.sources import Overrides
from rag.documents.split import split
from rag.gate import settled, unmarked, visible, written_sentences
from rag.gate.rules.negation import contradicts
from rag.gate.rules.opposites import opposed
from rag.gate.rules.overstatement import absolute, still
from rag.gate.rules.quantities import bounds, misplaced_first, quantities, quantities_with_years, wording
from rag.gate.rules.quotations import first_unquoted, quotations
from rag.gate.rules.reservations import unconditioned, unreserved
from rag.gate.rules.reversals import reverses, undone
from rag.gate.rules.semantic_roles import turned
from rag.gate.rules.shared_words import most_shared, moved, n_shared, overlap
from rag.gate.rules.speakers import speakers
from rag.retrieval import condense, objection, parts, question_itself
from rag.text.duplicates import says_the_same
from rag.text.names import learn_names
from rag.text.sentences import sentences
from rag.text.tokens import Limit
from rag.text.words import words
from rag.values import Document, Span
from rag.writing.model_refusals import is_refusal

RULES = load_rules()
SOURCE = (
    "Ann Lee said that the budget did not rise in 2021, but “it fell by 3 per cent” to 1.2 million euros. "
    "However, all of the members of the council may vote if they wish; none of them was against it. "
)
NOTHING = learn_names([])


def document(text: str) -> Document:
    return Document(
        id="d", source="a.txt", title="", publisher=None, author=None, date=None, text=text, sha256="", language=None
    )


def split_up(text: str) -> object:
    limits = [Limit("characters", lambda piece: len(piece) // 4 + 1, 200)]
    return split(document(f"x{text}"), exclusions(f"x{text}", RULES), limits=limits, overlap_sentences=1)


CALLS: dict[str, Callable[[str], object]] = {
    # documents
    "load_plain": lambda text: load_plain(text.encode(), Path("a.txt")),
    "load_html": lambda text: load_html(f"<html><body><p>{SOURCE}{text}</p></body></html>".encode(), Path("a.html")),
    "joined lines of a PDF": lambda text: joined([text.split("\n")] * 2),
    "running lines of a PDF": lambda text: without_running_lines([[line] * 3 for line in text.split("\n")[:2000]]),
    "exclusions": lambda text: exclusions(text, RULES),
    "describe": lambda text: describe(text, "a.txt", (), Overrides(), Overrides(), roles={}),
    "sentences": lambda text: sentences(text, Span(0, len(text))),
    "split": split_up,
    "words": words,
    # questions
    "objection": lambda text: objection(text, max_chars=100_000),
    "question_itself": question_itself,
    "parts": parts,
    "condense": lambda text: condense(text, [("Who is Ann Lee?", SOURCE)], names=NOTHING),
    "condense after": lambda text: condense("And why did she?", [(text, text)], names=NOTHING),
    "learn_names": lambda text: learn_names([text]),
    # what a language model writes, and what it is compared with
    "written_sentences": written_sentences,
    "settled": settled,
    "shown": visible,
    "unmarked": unmarked,
    "answer_in": answer_in,
    "is_refusal": is_refusal,
    "quotations": quotations,
    "quantities": quantities,
    "quantities_with_years": lambda text: quantities_with_years(text, before=SOURCE, year=2021),
    "bounds": bounds,
    "wording": wording,
    "speakers": speakers,
    "first_unquoted": lambda text: first_unquoted(text, [SOURCE]),
    **{
        f"{compare.__name__} {which}": call
        for compare in (
            *(
                misplaced_first,
                turned,
                contradicts,
                reverses,
                undone,
                opposed,
                absolute,
                still,
                unreserved,
                unconditioned,
            ),
            *(overlap, n_shared, moved, says_the_same),
        )
        for which, call in (
            ("said", lambda text, compare=compare: compare(text, SOURCE)),
            ("source", lambda text, compare=compare: compare(SOURCE, text)),
        )
    },
    "most_shared": lambda text: most_shared(SOURCE, [text]),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_time_grows_with_the_text_and_not_faster(name: str) -> None:
    assert too_slow(CALLS[name], pieces()) == []
