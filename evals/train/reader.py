"""Train the evidence model from the examples of ``make_examples``.

    python -m evals.train.reader EXAMPLES_FOLDER RUN_FOLDER [--examples 60000] [--minutes 90]

all-MiniLM-L6-v2 with four outputs a token (rag/reader.py says what they mean). Word embeddings stay as they are. No
dropout: it is slow on CPU. A step's micro-batches are of like length and go to single-threaded workers as these become
free: where another program keeps a core busy, that is several times as fast as one batch on two threads.
A checkpoint is written every few minutes and when the program is asked to end; the same command goes on from it, also
with another number of examples. The weights are written as a model of transformers, as they are (last/) and averaged
over the latest steps (average/).
"""

import argparse
import gzip
import json
import math
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import BertConfig, BertForTokenClassification
from transformers.utils import logging as transformers_logging

from rag.encode import bundled_folder
from rag.reader import CLS, LABELS, MARK, PAD, Pair, encode_pair, has_bf16

WORKERS = len(os.sched_getaffinity(0))
WARM_UP = 0.04  # of all steps
COOL_DOWN = 0.6  # the last share of all steps, in which the learning rate falls to zero
AVERAGE_OVER = 400  # steps, roughly: weights average with 1 - 1/400, less at the beginning
WEIGHT_DECAY = 0.01
REPORT_EVERY = 20  # steps
LOSSES = ("answers", "evidence", "rank", "span")
SHARES = (1.0, 1.0, 0.5, 0.25)  # of each loss in what is minimised


@dataclass(frozen=True, slots=True)
class Target:
    """An encoded example and what the model should say: sentence labels, start and end position (-1 for none)."""

    pair: Pair
    answers: bool
    evidence: tuple[int, ...]
    start: int
    end: int
    weight: float = 1.0


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float, float, float, float]] = field(default_factory=list)


def main() -> None:
    """Train, or go on training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--examples", type=int, default=60_000, help="in all; passes over the data as needed")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop then, with a checkpoint")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--micro", type=int, default=6)
    parser.add_argument("--rate", type=float, default=1.5e-4)
    parser.add_argument("--every", type=float, default=8, help="minutes between checkpoints")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="folder of a trained model to begin with instead of the encoder")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    model = new_model(arguments.start)
    train(model, read_targets(arguments.data / "train.jsonl.gz"), arguments)


def new_model(folder: Path | None = None) -> Any:
    """Return the model: the bundled encoder with new outputs, or a trained one from a folder."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if folder is not None:
        return BertForTokenClassification.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    labels = dict(enumerate(LABELS))
    config = BertConfig.from_pretrained(
        bundled_folder(),
        id2label=labels,
        label2id={name: i for i, name in labels.items()},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertForTokenClassification.from_pretrained(bundled_folder(), config=config, attn_implementation="eager")
    words = model.bert.embeddings.word_embeddings.weight
    with torch.no_grad():
        words[MARK] = words[CLS]  # the mark, too, stands for what follows it
    return model


def new_tokenizer() -> Tokenizer:
    """Return the bundled encoder's tokenizer, which neither cuts nor pads."""
    tokenizer = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def read_targets(path: Path) -> list[Target]:
    """Return the encoded examples of a file."""
    tokenizer = new_tokenizer()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [target(tokenizer, json.loads(line)) for line in lines]


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
    return Target(pair, bool(row["gold"]), evidence, start, end)


def train(model: Any, targets: Sequence[Target], arguments: argparse.Namespace) -> None:
    """Run the steps that are left."""
    run = Run(model, arguments.out, arguments.rate)
    n_steps = arguments.examples // arguments.batch
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    began = saved = time.monotonic()
    while run.progress.step < n_steps:
        batch = _batch(targets, run.progress.step, arguments)
        run.step(_micro_batches(batch, arguments.micro), arguments.rate * _schedule(run.progress.step / n_steps))
        if run.progress.step % REPORT_EVERY == 0:
            print(run.report(n_steps, arguments.batch), flush=True)
        if asked_to_end.is_set() or time.monotonic() - began > arguments.minutes * 60:
            break
        if time.monotonic() - saved > arguments.every * 60:
            run.save()
            saved = time.monotonic()
    run.save()
    minutes = run.progress.seconds / 60
    print(f"stopped at step {run.progress.step} of {n_steps} after {minutes:.1f} minutes", flush=True)


class Run:
    """A model in training, its optimizer, its average, and the folder where all of it is kept."""

    def __init__(self, model: Any, folder: Path, rate: float) -> None:
        torch.set_num_threads(1)  # threads that wait for one another at every small sum wait for a busy core
        model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
        self.model = model.train()
        self.folder = folder
        self.progress = Progress()
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names, self.parameters = [name for name, _ in named], [p for _, p in named]
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in self.parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), foreach=True)
        self.average = [p.detach().clone() for p in self.parameters]
        self._pool = ThreadPoolExecutor(WORKERS, initializer=torch.set_num_threads, initargs=(1,))
        self._recent: list[Tensor] = []
        self._since = self._reported = time.monotonic()
        if (folder / "checkpoint.pt").exists():
            self._load()

    def step(self, parts: Sequence[Sequence[Target]], rate: float) -> None:
        """Learn from one batch."""
        size = sum(len(part) for part in parts)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        done = list(self._pool.map(lambda part: _gradients(self.model, self.parameters, part, size), parts))
        for i, p in enumerate(self.parameters):
            p.grad = sum((gradients[i] for gradients, _ in done[1:]), start=done[0][0][i])
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        self.progress.step += 1
        decay = min(1 - 1 / AVERAGE_OVER, self.progress.step / (self.progress.step + 9))
        for mean, p in zip(self.average, self.parameters, strict=True):
            mean.lerp_(p.detach(), 1 - decay)
        self._recent = [*self._recent, torch.stack([losses for _, losses in done]).sum(0)][-REPORT_EVERY:]

    def report(self, n_steps: int, batch: int) -> str:
        """Return the mean losses of the latest steps, in words, and keep them."""
        means = [round(m, 4) for m in torch.stack(self._recent).mean(0).tolist()]
        self.progress.losses.append((self.progress.step, *means))
        speed = REPORT_EVERY * batch / (time.monotonic() - self._reported)
        self._reported = time.monotonic()
        shown = " ".join(f"{name} {mean:.3f}" for name, mean in zip(LOSSES, means, strict=True))
        return f"step {self.progress.step}/{n_steps} {shown} {speed:.1f} examples/s"

    def save(self) -> None:
        """Write the checkpoint and both models; a checkpoint is replaced whole."""
        self.progress.seconds += time.monotonic() - self._since
        self._since = time.monotonic()
        state = {
            "parameters": self.parameters,
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        torch.save(state, self.folder / ".checkpoint.pt")
        (self.folder / ".checkpoint.pt").replace(self.folder / "checkpoint.pt")
        for name, weights in (("last", self.parameters), ("average", self.average)):
            write_model(self.model, dict(zip(self.names, weights, strict=True)), self.folder / name)

    def _load(self) -> None:
        saved = torch.load(self.folder / "checkpoint.pt", weights_only=False)
        with torch.no_grad():
            for p, stored in zip(self.parameters, saved["parameters"], strict=True):
                p.copy_(stored)
        self.average, self.progress = saved["average"], Progress(**saved["progress"])
        self.optimizer.load_state_dict(saved["optimizer"])
        print(f"goes on from step {self.progress.step}", flush=True)


def write_model(model: Any, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write these weights, in half precision, as a model of transformers, with its tokenizer."""
    state = {**model.state_dict(), **weights}
    state = {name: value.detach().half() for name, value in state.items()}
    model.save_pretrained(folder, state_dict=state)
    shutil.copy(bundled_folder() / "tokenizer.json", folder)


def _schedule(done: float) -> float:
    """Return the share of the full learning rate after a share of all steps: up, level, then down to zero."""
    return max(0.0, min(1.0, (done + 1e-3) / WARM_UP, (1 - done) / COOL_DOWN))


def _batch(targets: Sequence[Target], step: int, arguments: argparse.Namespace) -> list[Target]:
    """Return the examples of a step: the same for the same seed, whatever was run before."""
    first, chosen = step * arguments.batch, []
    for number in range(first, first + arguments.batch):
        epoch, place = divmod(number, len(targets))
        chosen.append(targets[_order(len(targets), arguments.seed, epoch)[place]])
    return chosen


_orders: dict[tuple[int, int], list[int]] = {}


def _order(size: int, seed: int, epoch: int) -> list[int]:
    if (seed, epoch) not in _orders:
        order = list(range(size))
        random.Random(seed * 1000 + epoch).shuffle(order)  # noqa: S311 - nothing secret
        _orders[seed, epoch] = order
    return _orders[seed, epoch]


def _micro_batches(batch: Sequence[Target], size: int) -> list[list[Target]]:
    by_length = sorted(batch, key=lambda t: -len(t.pair.ids))  # the longest first: no worker waits for it at the end
    return [by_length[i : i + size] for i in range(0, len(batch), size)]


def padded(pairs: Sequence[Pair]) -> dict[str, Tensor]:
    """Return the model's input."""
    width = max(len(p.ids) for p in pairs)
    ids = torch.full((len(pairs), width), PAD)
    types = torch.zeros_like(ids)
    mask = torch.zeros_like(ids)
    for row, pair in enumerate(pairs):
        ids[row, : len(pair.ids)] = torch.tensor(pair.ids)
        types[row, pair.passage_at : len(pair.ids)] = 1
        mask[row, : len(pair.ids)] = 1
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}


def _gradients(
    model: Any, parameters: Sequence[Tensor], part: Sequence[Target], n_batch: int
) -> tuple[Sequence[Tensor], Tensor]:
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
        logits = model(**padded([t.pair for t in part])).logits
    losses = _losses(logits.float(), part) / n_batch
    weights = torch.tensor(SHARES)
    return torch.autograd.grad((losses * weights).sum(), parameters), losses.detach()


def _losses(logits: Tensor, part: Sequence[Target]) -> Tensor:
    """Return the sums over examples of four losses: passage answers, sentence is evidence, which sentence, span."""
    answers = torch.tensor([float(t.answers) for t in part])
    total = [functional.binary_cross_entropy_with_logits(logits[:, 0, 0], answers, reduction="sum")]
    evidence, rank, span = logits.new_zeros(()), logits.new_zeros(()), logits.new_zeros(())
    for row, t in enumerate(part):
        placed = [(mark, label) for mark, label in zip(t.pair.marks, t.evidence, strict=True) if mark is not None]
        marks, labels = (torch.tensor(column) for column in zip(*placed, strict=True))
        scores = logits[row, marks, 1]
        bce = functional.binary_cross_entropy_with_logits(scores, labels.float(), reduction="none")
        evidence = evidence + bce.sum() / math.sqrt(len(marks))
        if labels.any() and len(marks) > 1:
            rank = rank + scores.logsumexp(0) - scores[labels.bool()].logsumexp(0)
        if t.start >= 0:
            inside = slice(t.pair.passage_at, len(t.pair.ids))
            for at, column in ((t.start, 2), (t.end, 3)):
                span = span + logits[row, inside, column].logsumexp(0) - logits[row, at, column]
    return torch.stack([*total, evidence, rank, span])


if __name__ == "__main__":
    main()
