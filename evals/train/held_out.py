"""What a model says of examples, and how it judges the held-out articles, on the device that trains it.

Used for the reader and its teacher alike. The reader as it ships is measured by ``measure_reader``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evals.train.batches import Table
from evals.train.measure_reader import TASKS, Judged, measure
from evals.train.reader import DEVICE, Forward
from rag.models.reader import LABELS, ReaderOutput

AT_ONCE = 1024 if DEVICE == "cuda" else 16  # examples that are read together


@torch.inference_mode()
def scores(model: Any, forward: Forward, examples: Table) -> NDArray[np.float16]:
    """Return the four outputs of each word piece of all examples, in their order."""
    found = torch.zeros((len(examples.ids), len(LABELS)), dtype=torch.float16, device=DEVICE)
    order = examples.lengths.argsort(descending=True)
    examples = examples.to(DEVICE)
    for rows in torch.split(order, AT_ONCE):
        batch = examples.batch(rows)
        with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE != "cpu"):
            logits = forward(model, batch)
        mask = batch.mask.bool()
        at = examples.begins[rows.to(DEVICE)][:, None] + torch.arange(mask.shape[1], device=DEVICE)
        found[at[mask]] = logits[mask].half()
    return found.cpu().numpy()


def measured(
    rows: Sequence[dict[str, Any]], examples: Table, outputs: NDArray[np.float16]
) -> dict[str, dict[str, Any]]:
    """Return the figures of each task of measure_reader.

    rows: examples as make_examples wrote them; examples: the same, encoded; outputs: (n_pieces, 4), what a model says.
    """
    outputs = outputs.astype(np.float64)
    figures = {}
    for name, (sources, kinds) in TASKS.items():
        judged = []
        for i, row in enumerate(rows):
            if row["source"] not in sources or row["kind"] not in kinds:
                continue
            first, marks = int(examples.begins[i]), examples.marks[i]
            evidence = outputs[first + marks[marks >= 0].numpy(), 1]
            judged.append(Judged(row, ReaderOutput(float(outputs[first, 0]), tuple(evidence.tolist()), ())))
        figures[name] = measure(judged)
    return figures
