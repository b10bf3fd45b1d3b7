"""Measure how long the evidence model takes to load and to read ten passages, and what memory it needs.

    python -m evals.bench_evidence [--questions 60]

The questions are the gold's, the passages what the product's retrieval finds for them in the seeds.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from rag import Rag, Settings
from rag.encode import SentenceEncoder
from rag.evidence import Candidate, TrainedEvidence
from rag.retrieve import Filters, retrieve

ROOT = Path(__file__).parents[1]
N_PASSAGES = 10


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
    for question, candidates in asked[:3]:
        model.read(question, candidates)
    took = []
    for question, candidates in asked:
        start = time.perf_counter()
        model.read(question, candidates)
        took.append((time.perf_counter() - start) * 1000)
    low, p50, p95, high = np.quantile(took, [0.0, 0.5, 0.95, 1.0])
    measured = {
        "questions": len(asked),
        "passages": N_PASSAGES,
        "load_ms": load * 1000,
        "p50_ms": p50,
        "p95_ms": p95,
        "lowest_ms": low,
        "highest_ms": high,
        "memory_mib": (process.memory_info().rss - before) / 2**20,
    }
    print(json.dumps({name: round(value) for name, value in measured.items()}))


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
                    reading=reading,
                    encoder=encoder,
                    filters=Filters(),
                    candidates=rag.settings.candidates,
                    top_k=N_PASSAGES,
                ).candidates
                for question in questions
            ]
        rag.close()
    return list(zip(questions, found, strict=True))


if __name__ == "__main__":
    main()
