"""Train the evidence model from the examples of ``make_examples`` and from what its teacher says of them.

    python -m evals.train.reader EXAMPLES_FOLDER RUN_FOLDER --teacher TEACHER_FOLDER [--layers 0 2 4 6 8 10]

The reader begins as some layers of the teacher (evals.train.teacher, which writes TEACHER_FOLDER), four outputs a token
(rag/models/reader.py says what they mean). It learns from labels and from the teacher's outputs, and from these alone
what nobody has judged, found.jsonl.gz. Word embeddings stay as they are, rounded to the four bits in which they will be
stored. No dropout: it is slow on CPU. On CPU a step's micro-batches go to single-threaded workers as these become free:
where another program keeps a core busy, that is several times as fast as one batch on two threads. On a GPU a batch is
one. A checkpoint is written every few minutes and when the program is asked to end; the same command goes on from it,
also with another number of examples. The weights are written as models of transformers, as they are (last/) and
averaged over the latest steps (average/), and at the end as rag/models/weights has them (packed/).
"""

import argparse
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import MPNetForTokenClassification
from transformers.utils import logging as transformers_logging

from evals.train.batches import LOSSES, SHARES, Batch, Table, batches, losses, read_table
from rag.models.packed_weights import GROUP, restored, rounded, write_packed
from rag.models.reader import LABELS, has_bf16

CORES = len(os.sched_getaffinity(0))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WARM_UP = 0.04  # of all steps
COOL_DOWN = 0.6  # the last share of all steps, in which the learning rate falls to zero
AVERAGE_OVER = 400  # steps, roughly: weights average with 1 - 1/400, less at the beginning
WEIGHT_DECAY = 0.01
WORD_BITS, LAYER_BITS = 4, 6  # in which weights are stored
REPORT_EVERY = 20  # steps

Forward = Callable[[Any, Batch], Tensor]


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float, float, float, float]] = field(default_factory=list)


def main() -> None:
    """Train, or go on training."""
    parser = arguments_of(__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="folder that evals.train.teacher wrote")
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 2, 4, 6, 8, 10], help="of the teacher")
    arguments = parser.parse_args()
    examples = read_table([arguments.data / f"{n}.jsonl.gz" for n in ("train", "found")], processes=CORES)
    examples = replace(examples, taught=torch.from_numpy(np.load(arguments.teacher / "scores.npy")))
    torch.manual_seed(arguments.seed)
    run = train(new_reader(arguments.teacher / "average", arguments.layers), logits_of, examples, arguments)
    write_reader(run.averaged(), arguments.out / "packed")


def arguments_of(doc: str) -> argparse.ArgumentParser:
    """Return the arguments that every training has."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of make_examples")
    parser.add_argument("out", type=Path)
    parser.add_argument("--examples", type=int, default=60_000, help="in all; passes over the data as needed")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop then, with a checkpoint")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--micro", type=int, default=6, help="examples of a batch that a worker reads at once, on CPU")
    parser.add_argument("--rate", type=float, default=1.5e-4)
    parser.add_argument("--every", type=float, default=8, help="minutes between checkpoints")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def new_reader(teacher: Path, layers: Sequence[int]) -> Any:
    """Return these layers of the teacher, in their order, on word embeddings of four bits."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model: Any = MPNetForTokenClassification.from_pretrained(
        teacher,
        dtype=torch.float32,  # whatever the file holds
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(LABELS)),
        label2id={name: i for i, name in enumerate(LABELS)},
    )
    model.mpnet.encoder.layer = torch.nn.ModuleList(model.mpnet.encoder.layer[i] for i in layers)
    model.config.num_hidden_layers = len(layers)
    words = model.mpnet.embeddings.word_embeddings.weight
    with torch.no_grad():
        words.copy_(torch.from_numpy(restored(*rounded(words.numpy(), WORD_BITS))))
    return model


def logits_of(model: Any, batch: Batch) -> Tensor:
    """Return the logits of a batch, (n, width, 4)."""
    logits: Tensor = model(input_ids=batch.ids, attention_mask=batch.mask).logits
    return logits


def train(model: Any, forward: Forward, examples: Table, arguments: argparse.Namespace) -> "Run":
    """Run the steps that are left."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    n_steps = arguments.examples // arguments.batch
    run = Run(model.to(DEVICE), forward, arguments.out, arguments.rate, n_steps)
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    began = saved = time.monotonic()
    drawn = batches(examples.lengths, arguments.batch, seed=arguments.seed)
    examples = examples.to(DEVICE)
    for rows in islice(drawn, run.progress.step, n_steps):
        parts = torch.split(rows, arguments.micro) if DEVICE == "cpu" else [rows]
        run.step([examples.batch(part) for part in parts], arguments.rate * _schedule(run.progress.step / n_steps))
        if run.progress.step % REPORT_EVERY == 0:
            print(run.report(arguments.batch), flush=True)
        if asked_to_end.is_set() or time.monotonic() - began > arguments.minutes * 60:
            break
        if time.monotonic() - saved > arguments.every * 60:
            run.save()
            saved = time.monotonic()
    run.save()
    minutes = run.progress.seconds / 60
    print(f"stopped at step {run.progress.step} of {n_steps} after {minutes:.1f} minutes", flush=True)
    return run


class Run:
    """A model in training, its optimizer, its average, and the folder where all of it is kept."""

    def __init__(self, model: Any, forward: Forward, folder: Path, rate: float, n_steps: int) -> None:
        torch.set_num_threads(1)  # threads that wait for one another at every small sum wait for a busy core
        model.base_model.embeddings.word_embeddings.weight.requires_grad_(False)
        self.model = model.train()
        self.forward = forward
        self.folder = folder
        self.n_steps = n_steps
        self.progress = Progress()
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names, self.parameters = [name for name, _ in named], [p for _, p in named]
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in self.parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), foreach=True)
        self.average = [p.detach().clone() for p in self.parameters]
        self._pool = ThreadPoolExecutor(CORES, initializer=torch.set_num_threads, initargs=(1,))
        self._recent: list[Tensor] = []
        self._since = self._reported = time.monotonic()
        if (folder / "checkpoint.pt").exists():
            self._load()

    def step(self, parts: Sequence[Batch], rate: float) -> None:
        """Learn from one batch, given in parts."""
        size = sum(len(part.ids) for part in parts)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        done = [*self._pool.map(lambda part: self._gradients(part, size), parts)]
        for i, p in enumerate(self.parameters):
            p.grad = sum((gradients[i] for gradients, _ in done[1:]), start=done[0][0][i])
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        self.progress.step += 1
        decay = min(1 - 1 / AVERAGE_OVER, self.progress.step / (self.progress.step + 9))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        self._recent = [*self._recent, torch.stack([said for _, said in done]).sum(0)][-REPORT_EVERY:]

    def _gradients(self, part: Batch, n_batch: int) -> tuple[Sequence[Tensor], Tensor]:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE != "cpu" or has_bf16()):
            logits = self.forward(self.model, part)
        said = losses(logits.float(), part) / n_batch
        loss = sum(share * part_of_it for share, part_of_it in zip(SHARES, said, strict=True))
        return torch.autograd.grad(loss, self.parameters), said.detach()

    def averaged(self) -> Any:
        """Return the model with the average of its weights. Ends the program if the run was stopped before its end."""
        if self.progress.step < self.n_steps:
            raise SystemExit(f"{self.folder}: stopped at step {self.progress.step} of {self.n_steps}; run it again")
        with torch.no_grad():
            for parameter, mean in zip(self.parameters, self.average, strict=True):
                parameter.copy_(mean)
        return self.model.eval()

    def report(self, batch: int) -> str:
        """Return the mean losses of the latest steps, in words, and keep them."""
        self._check()
        means = [round(m, 4) for m in torch.stack(self._recent).mean(0).tolist()]
        self.progress.losses.append((self.progress.step, *means))
        speed = REPORT_EVERY * batch / (time.monotonic() - self._reported)
        self._reported = time.monotonic()
        shown = " ".join(f"{name} {mean:.3f}" for name, mean in zip(LOSSES, means, strict=True))
        return f"step {self.progress.step}/{self.n_steps} {shown} {speed:.1f} examples/s"

    def _check(self) -> None:
        """End the program if a loss of the latest steps is no number."""
        if self._recent and not torch.stack(self._recent).isfinite().all():
            raise SystemExit(f"step {self.progress.step}: the losses are no numbers any more; try a lower --rate")

    def save(self) -> None:
        """Write the checkpoint and both models; a checkpoint is replaced whole, and by none that is of no use."""
        self._check()
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
        saved = torch.load(self.folder / "checkpoint.pt", weights_only=False, map_location=DEVICE)
        with torch.no_grad():
            for p, stored in zip(self.parameters, saved["parameters"], strict=True):
                p.copy_(stored)
        self.average, self.progress = saved["average"], Progress(**saved["progress"])
        self.optimizer.load_state_dict(saved["optimizer"])
        print(f"goes on from step {self.progress.step}", flush=True)


def write_model(model: Any, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write these weights, in half precision, as a model of transformers."""
    state = {**model.state_dict(), **weights}
    state = {name: value.detach().half().cpu() for name, value in state.items()}
    model.save_pretrained(folder, state_dict=state)


def write_reader(model: Any, folder: Path) -> None:
    """Write config.json and model.safetensors as the package has them, matrices in few bits."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    weights: dict[str, Any] = {}
    for name, tensor in model.state_dict().items():
        values = tensor.cpu().numpy()
        if values.ndim == 2 and values.shape[1] % GROUP == 0:
            bits = WORD_BITS if "word_embeddings" in name else LAYER_BITS
            weights[name] = *rounded(values, bits), bits
        else:
            weights[name] = values
    write_packed(folder / "model.safetensors", weights)


def _schedule(done: float) -> float:
    """Return the share of the full learning rate after a share of all steps: up, level, then down to zero."""
    return max(0.0, min(1.0, (done + 1e-3) / WARM_UP, (1 - done) / COOL_DOWN))


if __name__ == "__main__":
    main()
