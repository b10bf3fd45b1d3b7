"""Measure how long the evidence model takes to load and to read passages, and what memory it needs.

    python -m evals.bench_evidence [--questions 60]

The questions are the gold's, the passages the best that the product's retrieval finds for them in the seeds: as many as
the product reads, and ten.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from rag import Rag, Settings
from rag.models import Candidate, SentenceEncoder, TrainedEvidence
from rag.retrieval import Filters, retrieve

ROOT = Path(__file__).parents[1]
MOST_PASSAGES = 10


def main() -> None:
    """Load, read, print JSON: milliseconds and MiB."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--questions", type=int, default=60)
    asked = _candidates(parser.parse_args().questions)
    process = psutil.Process()
    before = process.memory_info().rss
    start = time.perf_counter()
    model = TrainedEvidence()
    model.warm_up()
    load = time.perf_counter() - start
    measured = {"questions": len(asked), "load_ms": load * 1000}
    for n_passages in (Settings().passages_read, MOST_PASSAGES):
        times = [_milliseconds(model, question, candidates[:n_passages]) for question, candidates in asked]
        lowest, p50, p95, highest = np.quantile(times, [0.0, 0.5, 0.95, 1.0])
        figures = {"p50_ms": p50, "p95_ms": p95, "lowest_ms": lowest, "highest_ms": highest}
        measured |= {f"{n_passages}_passages_{name}": value for name, value in figures.items()}
    measured["memory_mib"] = (process.memory_info().rss - before) / 2**20
    print(json.dumps({name: round(value) for name, value in measured.items()}))


def _milliseconds(model: TrainedEvidence, question: str, candidates: Sequence[Candidate]) -> float:
    start = time.perf_counter()
    model.read(question, candidates)
    return (time.perf_counter() - start) * 1000


def _candidates(n_questions: int) -> list[tuple[str, tuple[Candidate, ...]]]:
    """Return questions with what retrieval finds; torch is imported and the encoder loaded afterwards."""
    lines = (ROOT / "evals" / "gold" / "seeds.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines][:n_questions]
    with tempfile.TemporaryDirectory() as folder:
        encoder = SentenceEncoder()
        rag = Rag(Settings(index_dir=Path(folder)), encoder=encoder)
        rag.ingest([ROOT / "seeds"])
        with rag.index.read() as reading:
            found = [
                retrieve(
                    question,
                    snapshot=reading,
                    encoder=encoder,
                    filters=Filters(),
                    candidates=rag.settings.candidates,
                    top_k=MOST_PASSAGES,
                ).candidates
                for question in questions
            ]
        rag.close()
    return list(zip(questions, found, strict=True))


if __name__ == "__main__":
    main()
