"""Train small readers on parts of the examples, and measure each on the held-out articles: what pays.

    python -m evals.train.ablate EXAMPLES_FOLDER OUT_FOLDER [--examples 300000] [--batch 256] [--rate 3.5e-4]

None has a teacher, all but the plain recipe see as many examples, and each begins from all-MiniLM-L6-v2, the bundled
encoder, a quarter of the reader that ships: two cores train it on 26,500 examples in half an hour. Prints a line of
JSON for each: the figures of measure_reader with their intervals.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import BertConfig, BertForTokenClassification
from transformers.utils import logging as transformers_logging

from evals.train.batches import UNJUDGED, Batch, Table, encoded, read_rows
from evals.train.held_out import measured, scores
from evals.train.reader import CORES, DEVICE, arguments_of, train
from rag.models.encoder import bundled_folder
from rag.models.reader import CLS, LABELS, PAD, SEP, SHIFT

PLAIN_SOURCES = {"squadshifts_new_wiki", "squad11_extra", "squad2_tune", "nq_oracle"}
PLAIN_KINDS = {"given", "adversarial", "searched", "removed"}
PLAIN = {"examples": 26_500, "batch": 16, "rate": 1.2e-4}
MADE_UP = ("question-", "passage-", "opposite", "negated", "asked-otherwise", "neighbour")

BERT_NUMBERS = {CLS: 101, PAD: 0, SEP: 102}

Row = dict[str, Any]
PARTS: dict[str, Callable[[Row], bool]] = {
    "everything": bool,
    "without made-up unanswerables": lambda row: not row["kind"].startswith(MADE_UP),
    "without searched passages": lambda row: not row["kind"].startswith("searched"),
    "without removed answers": lambda row: not row["kind"].startswith("removed"),
    "without rewordings": lambda row: row["kind"] != "reworded",
    "without statements": lambda row: "stated" not in row["kind"],
    "without reviews, forum and policies": lambda row: row["source"] in PLAIN_SOURCES,
    "plain recipe": lambda row: row["source"] in PLAIN_SOURCES and row["kind"] in PLAIN_KINDS,
}


def main() -> None:
    """Train and measure one after the other."""
    parser = arguments_of(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.set_defaults(examples=300_000, batch=256, rate=3.5e-4)
    arguments = parser.parse_args()
    rows, held_out = (read_rows(arguments.data / f"{name}.jsonl.gz") for name in ("train", "dev"))
    examples, asked = (as_bert(encoded(some, processes=CORES)) for some in (rows, held_out))
    for name in arguments.only:
        model = trained(name, part(examples, rows, PARTS[name]), arguments)
        print(json.dumps({name: measured(held_out, asked, scores(model, read_by_bert, asked))}), flush=True)


def part(examples: Table, rows: Sequence[Row], belongs: Callable[[Row], bool]) -> Table:
    """Return the judged examples that belong."""
    return examples.chosen(torch.tensor([row["kind"] != UNJUDGED and belongs(row) for row in rows]))


def trained(name: str, examples: Table, arguments: Namespace) -> Any:
    """Return a reader that learnt from these examples."""
    chosen = {**vars(arguments), **(PLAIN if name == "plain recipe" else {})}
    chosen["out"] = arguments.out / name.replace(" ", "-").replace(",", "")
    torch.manual_seed(arguments.seed)
    return train(small_reader(), read_by_bert, examples, Namespace(**chosen)).averaged()


def small_reader() -> Any:
    """Return the bundled encoder with four outputs a token."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = BertConfig.from_pretrained(
        bundled_folder(), num_labels=len(LABELS), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    attention = "eager" if DEVICE == "cpu" else "sdpa"  # which is the faster there
    return BertForTokenClassification.from_pretrained(
        bundled_folder(), config=config, dtype=torch.float32, attn_implementation=attention
    )


def read_by_bert(model: Any, batch: Batch) -> Tensor:
    """Return the logits of a batch, (n, width, 4)."""
    logits: Tensor = model(input_ids=batch.ids, token_type_ids=batch.types, attention_mask=batch.mask).logits
    return logits


def as_bert(examples: Table) -> Table:
    """Return the examples in BERT's numbers."""
    ids = examples.ids - SHIFT
    for ours, theirs in BERT_NUMBERS.items():
        ids[examples.ids == ours] = theirs
    return replace(examples, ids=ids, pad=BERT_NUMBERS[PAD])


if __name__ == "__main__":
    main()
