"""Statements made of questions and their answers, true and false, for learning and measuring what supports them.

All take and return an ``Example`` whose question is the statement; None where no form fits.
"""

import gzip
import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evals.train.corrupt import AUXILIARY, Example, kind_of, names_of, question_swapped

_STATED = (  # a question and the statement that its answer makes of it
    (r"(?:who|what)\s+(?!(?:{a})\b)(?P<rest>.+)", "{answer} {rest}"),
    (r"(?:which|what)\s+\w+\s+(?!(?:{a})\b)(?P<rest>\w+(?:ed|s|t)\b.+)", "{answer} {rest}"),
    (r"(?:who|what)\s+(?P<be>is|was|are|were)\s+(?P<rest>.+)", "{rest} {be} {answer}"),
    (r"(?:when|where|in (?:what|which) \w+)\s+(?:did|does|do)\s+(?P<rest>.+)", "{rest} {answer}"),
    (
        r"(?:when|where|in (?:what|which) \w+)\s+(?P<be>is|was|are|were)\s+(?P<rest>.+) (?P<last>\w+)",
        "{rest} {be} {last} {answer}",
    ),
    (r"how (?:many|much)\s+(?P<what>\w+)\s+(?:did|does|do)\s+(?P<rest>.+)", "{rest} {answer} {what}"),
    (
        r"how (?:many|much)\s+(?P<what>\w+)\s+(?P<be>is|was|are|were|have|has|had)\s+(?P<rest>.+)",
        "{answer} {what} {be} {rest}",
    ),
)
_STATING = [(re.compile("^" + form.replace("{a}", AUXILIARY) + "$", re.IGNORECASE), made) for form, made in _STATED]


def stated(example: Example) -> Example | None:
    """Return the question as the statement that its answer makes of it."""
    answer = example.answer_text.strip(" .,")
    if not answer:
        return None
    for form, made in _STATING:
        if match := form.match(example.question.rstrip("? ")):
            text = made.format(answer=answer, **match.groupdict())
            return replace(example, question=text[0].upper() + text[1:] + ".", kind="stated")
    return None


def restated(example: Example, rng: random.Random) -> Example | None:
    """Return a sentence of the passage as the statement to support."""
    long = [i for i, s in enumerate(example.sentences) if 30 < len(s) < 250]
    if not long:
        return None
    number = rng.choice(long)
    return Example(example.sentences[number], example.sentences, (number,), None, "restated")


def answered_wrongly(example: Example, others: Sequence[str], rng: random.Random) -> Example | None:
    """State another name, number or year of the article as the answer."""
    answer = example.answer_text.strip(" .,")
    if not answer or example.answer is None:
        return None
    here = [o for o in names_of(example.sentences) if kind_of(o) == kind_of(answer)]
    pool = [
        o for o in here or others if o.casefold() not in answer.casefold() and answer.casefold() not in o.casefold()
    ]
    if not pool:
        return None
    sentence, start, end = example.answer
    wrong = rng.choice(pool)
    text = example.sentences[sentence][:start] + wrong + example.sentences[sentence][end:]
    sentences = (*example.sentences[:sentence], text, *example.sentences[sentence + 1 :])
    made = stated(replace(example, sentences=sentences, answer=(sentence, start, start + len(wrong))))
    return Example(made.question, example.sentences, (), None, "stated-wrongly") if made else None


def held_out(dev: Path, *, limit: int, seed: int = 1) -> list[tuple[str, tuple[str, ...], bool]]:
    """Return (statement, passage as sentences, whether it supports the statement) of held-out questions, half and half.

    A false statement has the wrong answer, or a name, number, year or word of the true one exchanged.
    """
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    with gzip.open(dev, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["kind"] == "given"]
    found: list[tuple[str, tuple[str, ...], bool]] = []
    for row in rng.sample(rows, len(rows)):
        place = tuple(row["answer"]) if row["answer"] else None
        example = Example(row["question"], tuple(row["sentences"]), tuple(row["gold"]), place, "given")
        true = stated(example)
        if true is None:
            continue
        names = names_of(example.sentences)
        false = answered_wrongly(example, names, rng) if rng.random() < 0.5 else None
        false = false or question_swapped(true, names, rng)
        if false:
            found += [(true.question, true.sentences, True), (false.question, false.sentences, False)]
        if len(found) >= limit:
            break
    return found
