"""Train small readers on parts of the examples, and measure each on the held-out articles: what pays.

    python -m evals.train.ablate EXAMPLES_FOLDER OUT_FOLDER [--examples 300000] [--batch 256] [--rate 3.5e-4]

None has a teacher, all but the plain recipe see as many examples, and each begins from the same encoder. Prints a line
of JSON for each: the figures of measure_reader with their intervals.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

import torch

from evals.train.batches import UNJUDGED, Table, encoded, read_rows
from evals.train.held_out import measured, scores
from evals.train.reader import CORES, arguments_of, new_model, read_by_bert, train

PLAIN_SOURCES = {"squadshifts_new_wiki", "squad11_extra", "squad2_tune", "nq_oracle"}
PLAIN_KINDS = {"given", "adversarial", "searched", "removed"}
PLAIN = {"examples": 26_500, "batch": 16, "rate": 1.2e-4}
MADE_UP = ("question-", "passage-", "opposite", "negated", "asked-otherwise", "neighbour")

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
    examples, asked = (encoded(some, processes=CORES) for some in (rows, held_out))
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
    return train(new_model(), read_by_bert, examples, Namespace(**chosen)).averaged()


if __name__ == "__main__":
    main()
