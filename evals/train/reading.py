"""Public reading-comprehension questions, cut into sentences, and which articles are kept aside.

An article is held out by a hash of its name, so that every program agrees without a list.
"""

import gzip
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.text.sentences import sentences
from rag.values import Span

FILES = (
    "squad2_tune",
    "squad11_extra",
    "squadshifts_new_wiki",
    "squadshifts_reddit",
    "squadshifts_amazon_reviews",
    "nq_oracle",
    "policyqa_dev",
)
HELD_OUT_SHARE = 8  # one article in so many is never trained on
_ONE_TITLE = frozenset({"squadshifts_reddit"})  # its paragraphs are their own articles


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text and its sentences."""

    source: str
    title: str
    text: str
    sentences: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the places in its paragraph that answer it; none if the paragraph does not."""

    id: str
    text: str
    paragraph: Paragraph
    answers: tuple[Span, ...]

    @property
    def gold(self) -> tuple[int, ...]:
        """The sentences, by number, that hold an answer."""
        spans = enumerate(self.paragraph.sentences)
        return tuple(i for i, s in spans if any(a.start < s.end and s.start < a.end for a in self.answers))


def is_held_out(source: str, title: str) -> bool:
    """Whether an article is kept for development."""
    digest = hashlib.sha256(f"{source}/{title}".encode()).digest()
    return digest[6] % HELD_OUT_SHARE == 0  # this byte keeps two of the ten adversarial articles, the first would three


def load(folder: Path, *, processes: int = 2) -> list[Question]:
    """Return all questions of the files in a folder, in their order."""
    rows = [(name, row) for name in FILES for row in _lines(folder / f"{name}.jsonl.gz")]
    texts = list(dict.fromkeys(row["context"] for _, row in rows))
    with ProcessPoolExecutor(processes) as pool:
        split = dict(zip(texts, pool.map(_split, texts, chunksize=200), strict=True))
    titles = {id(row): _title(name, row) for name, row in rows}
    return [
        Question(
            id=f"{name}/{row['id']}",
            text=" ".join(row["question"].split()),
            paragraph=Paragraph(name, titles[id(row)], row["context"], split[row["context"]]),
            answers=tuple(Span(a["start"], a["start"] + len(a["text"])) for a in row["answers"] if a["text"].strip()),
        )
        for name, row in rows
    ]


def hashes(folder: Path) -> dict[str, str]:
    """Return file name -> SHA-256."""
    paths = [folder / f"{name}.jsonl.gz" for name in FILES]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _lines(path: Path) -> Sequence[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _title(name: str, row: dict[str, Any]) -> str:
    if name in _ONE_TITLE:
        return hashlib.sha256(row["context"].encode()).hexdigest()[:12]
    return str(row["title"])


def _split(text: str) -> tuple[Span, ...]:
    return sentences(text, Span(0, len(text)))
