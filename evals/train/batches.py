"""Encoded examples as tensors, batches of them, and what a model is to learn from a batch.

All examples lie in flat tensors on the device that trains, so that a batch is a few look-ups whatever its size. Used to
train the reader and its teacher alike.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from rag.models.encoder import bundled_folder
from rag.models.reader import PAD, EncodedPair, encode_pair

UNJUDGED = "found"  # the kind of examples of which nobody has said whether they answer
LOSSES = ("answers", "evidence", "rank", "span")
SHARES = (1.0, 1.0, 0.5, 0.25)  # of each loss in what is minimised
TAUGHT = 0.75  # of what is learnt of a judged example comes from the teacher, where there is one
_SORTED_TOGETHER = 64  # batches: examples of like length share one
_AT_ONCE = 2000  # rows that a process encodes


@dataclass(frozen=True, slots=True)
class Target:
    """An encoded example and what the model should say: sentence labels, start and end position (-1 for none)."""

    pair: EncodedPair
    judged: bool
    answers: bool
    evidence: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What examples should be read as, a row for each. marks, evidence: (n, n_sentences), a mark of -1 for none."""

    marks: Tensor
    evidence: Tensor
    answers: Tensor
    judged: Tensor
    start: Tensor
    end: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Labels):
    """Examples side by side. ids, types, mask: (n, width).

    taught: the teacher's four outputs a token, (n, width, 4), without a teacher None.
    """

    ids: Tensor
    types: Tensor
    mask: Tensor
    taught: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Labels):
    """All examples. ids: all their word pieces in a row; begins: where each example begins in it.

    lengths: the word pieces of each; they stay on the CPU, since to ask a GPU for a number is to wait for it.
    """

    lengths: Tensor
    ids: Tensor
    begins: Tensor
    passage_at: Tensor
    taught: Tensor | None = None
    pad: int = PAD

    def __len__(self) -> int:
        return len(self.passage_at)

    def to(self, device: str) -> "Table":
        """Return the table on a device."""
        named = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "lengths"}
        moved: dict[str, Any] = {name: t.to(device) for name, t in named.items() if isinstance(t, Tensor)}
        return replace(self, **moved)

    def chosen(self, rows: Tensor) -> "Table":
        """Return these examples, by numbers or by a mask."""
        whole = {"ids", "taught", "pad"}
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name not in whole})

    def batch(self, rows: Tensor) -> Batch:
        """Return these examples, by numbers on the CPU, side by side."""
        lengths = self.lengths[rows]
        width = -(-int(lengths.max()) // 8) * 8  # what a GPU multiplies well
        places = torch.arange(width, device=self.ids.device)
        rows, lengths = rows.to(self.ids.device), lengths.to(self.ids.device)
        mask = places < lengths[:, None]
        at = torch.where(mask, self.begins[rows][:, None] + places, 0)
        return Batch(
            ids=torch.where(mask, self.ids[at].long(), self.pad),
            types=(mask & (places >= self.passage_at[rows][:, None])).long(),
            mask=mask.long(),
            taught=None if self.taught is None else self.taught[at].float(),
            **{f.name: getattr(self, f.name)[rows] for f in fields(Labels)},
        )


@cache
def _tokenizer() -> Tokenizer:
    """Return the bundled encoder's tokenizer, whose words are also MPNet's; it neither cuts nor pads."""
    tokenizer = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the examples of a file, as make_examples wrote them."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_table(paths: Sequence[Path], *, processes: int) -> Table:
    """Return the encoded examples of files, in their order."""
    return encoded(list(chain.from_iterable(map(read_rows, paths))), processes=processes)


def encoded(rows: Sequence[dict[str, Any]], *, processes: int) -> Table:
    """Return examples, as make_examples wrote them, encoded, in their order."""
    parts = [rows[i : i + _AT_ONCE] for i in range(0, len(rows), _AT_ONCE)]
    with ProcessPoolExecutor(processes) as pool:
        return table(list(chain.from_iterable(pool.map(_targets, parts))))


def _targets(rows: Sequence[dict[str, Any]]) -> list[Target]:
    return [target(_tokenizer(), row) for row in rows]


def target(tokenizer: Tokenizer, row: dict[str, Any]) -> Target:
    """Encode one example."""
    pair = encode_pair(tokenizer, row["question"], row["sentences"])
    start = end = -1
    if row["answer"]:
        number, begin, stop = row["answer"]
        inside = [
            pair.passage_at + i
            for i, place in enumerate(pair.offsets)
            if place and place[0] == number and place[1] < stop and begin < place[2]
        ]
        start, end = (inside[0], inside[-1]) if inside else (-1, -1)
    evidence = tuple(int(i in row["gold"]) for i in range(len(pair.marks)))
    return Target(pair, row["kind"] != UNJUDGED, bool(row["gold"]), evidence, start, end)


def table(targets: Sequence[Target]) -> Table:
    """Lay encoded examples out flat."""
    most = max(len(t.pair.marks) for t in targets)
    marks = torch.full((len(targets), most), -1)
    evidence = torch.zeros((len(targets), most))
    for row, t in enumerate(targets):
        marks[row, : len(t.pair.marks)] = torch.tensor([-1 if m is None else m for m in t.pair.marks])
        evidence[row, : len(t.evidence)] = torch.tensor(t.evidence, dtype=torch.float32)
    lengths = torch.tensor([len(t.pair.ids) for t in targets])
    return Table(
        lengths=lengths,
        ids=torch.tensor([i for t in targets for i in t.pair.ids], dtype=torch.int32),
        begins=lengths.cumsum(0) - lengths,
        passage_at=torch.tensor([t.pair.passage_at for t in targets]),
        marks=marks,
        evidence=evidence,
        answers=torch.tensor([float(t.answers) for t in targets]),
        judged=torch.tensor([t.judged for t in targets]),
        start=torch.tensor([t.start for t in targets]),
        end=torch.tensor([t.end for t in targets]),
    )


def batches(lengths: Tensor, size: int, *, seed: int) -> Iterator[Tensor]:
    """Yield the rows of one batch after the other without end, the same for the same seed; those of one of like length.

    Every example comes once before any comes again, save the few that fill no batch.
    """
    epoch = 0
    while True:
        shuffled = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(seed * 1000 + epoch))
        groups = torch.split(shuffled, size * _SORTED_TOGETHER)
        sorted_ = [g[lengths[g].argsort(descending=True)] for g in groups]
        alike = [b for g in sorted_ for b in torch.split(g, size) if len(b) == size]
        for i in torch.randperm(len(alike), generator=torch.Generator().manual_seed(seed * 1000 + epoch)).tolist():
            yield alike[i]
        epoch += 1


def losses(logits: Tensor, batch: Batch) -> Tensor:
    """Return the sums over examples of four losses: passage answers, sentence is evidence, which sentence, span.

    logits: (n, width, 4). What nobody has judged is learnt from the teacher alone.
    """
    own = _own_losses(logits, batch)
    if batch.taught is None:
        return (own * batch.judged[:, None]).sum(0)
    share = torch.where(batch.judged, TAUGHT, 1.0)[:, None]
    return ((1 - share) * own + share * _taught_losses(logits, batch.taught, batch)).sum(0)


def _own_losses(logits: Tensor, batch: Batch) -> Tensor:
    """Return the four losses of each example by its labels, (n, 4)."""
    scores, present = at_marks(logits, batch)
    listed = torch.where(present, scores, -1e4)
    gold = batch.evidence.bool() & present
    ranked = gold.any(1) & (present.sum(1) > 1)
    rank = listed.logsumexp(1) - torch.where(gold, scores, -1e4).logsumexp(1)
    inside = batch.types.bool()
    span = logits.new_zeros(len(logits))
    for at, column in ((batch.start, 2), (batch.end, 3)):
        said = torch.where(inside, logits[..., column], -1e4)
        span = span + torch.where(at >= 0, said.logsumexp(1) - logits[_rows(at), at.clamp(min=0), column], 0.0)
    return torch.stack(
        [
            functional.binary_cross_entropy_with_logits(logits[:, 0, 0], batch.answers, reduction="none"),
            _evidence_loss(scores, batch.evidence, present),
            torch.where(ranked, rank, 0.0),
            span,
        ],
        dim=1,
    )


def _taught_losses(logits: Tensor, taught: Tensor, batch: Batch) -> Tensor:
    """Return the four losses of each example against what the teacher says of it, (n, 4).

    Which sentence and where the short answer is count as much as the teacher believes that there is one.
    """
    scores, present = at_marks(logits, batch)
    known, _ = at_marks(taught, batch)
    answers = taught[:, 0, 0].sigmoid()
    inside = batch.types.bool()
    span = sum(_cross_entropy(logits[..., c], taught[..., c], inside) for c in (2, 3))
    return torch.stack(
        [
            functional.binary_cross_entropy_with_logits(logits[:, 0, 0], answers, reduction="none"),
            _evidence_loss(scores, known.sigmoid(), present),
            answers * _cross_entropy(scores, known, present),
            answers * span,
        ],
        dim=1,
    )


def at_marks(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the evidence logit of each sentence and which sentences there are, both (n, n_sentences)."""
    return logits[..., 1].gather(1, batch.marks.clamp(min=0)), batch.marks >= 0


def _evidence_loss(scores: Tensor, wanted: Tensor, present: Tensor) -> Tensor:
    loss = functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    return (loss * present).sum(1) / present.sum(1).clamp(min=1).sqrt()


def _cross_entropy(said: Tensor, wanted: Tensor, present: Tensor) -> Tensor:
    said, wanted = (torch.where(present, values, -1e4) for values in (said, wanted))
    return -(wanted.softmax(1) * said.log_softmax(1)).sum(1)


def _rows(like: Tensor) -> Tensor:
    return torch.arange(len(like), device=like.device)
