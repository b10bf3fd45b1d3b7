"""What the reader learns from: encoded examples, batches of them, and losses."""

import argparse
import gzip
import json
import math
import signal
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import MPNetConfig, MPNetForTokenClassification

from evals.train import reader
from evals.train.ablate import PARTS, as_bert, part, read_by_bert, small_reader
from evals.train.batches import Batch, Table, batches, losses, read_table
from evals.train.held_out import scores
from rag.models.encoder import bundled_folder
from rag.models.packed_weights import read_packed
from rag.models.reader import MARK, Reader

FOX = ["The fox slept.", "It woke at seven and left the den.", "Nobody saw it go."]


def row(question: str, gold: list[int], answer: list[int] | None = None, kind: str = "given") -> dict[str, Any]:
    return {"question": question, "sentences": FOX, "gold": gold, "answer": answer, "kind": kind}


ROWS = [
    row("When did the fox wake?", [1], [1, 11, 16]),
    row("Who fed the fox?", [], kind="adversarial"),
    row("What did the fox do in its den, and when did it wake?", [0, 1]),
    row("Where is the den?", [], kind="found"),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    path = tmp_path_factory.mktemp("examples") / "train.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(r) + "\n" for r in ROWS)
    return read_table([path], processes=1)


def logits_for(batch: Batch, seed: int = 0) -> torch.Tensor:
    return torch.randn((*batch.ids.shape, 4), generator=torch.Generator().manual_seed(seed))


def slope(logits: torch.Tensor, batch: Batch) -> float:
    """Return how far the losses are from a minimum."""
    logits = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(losses(logits, batch).sum(), logits)
    return float(gradient.abs().max())


def test_a_mark_stands_where_the_table_says_and_the_answer_between_its_words(table: Table) -> None:
    batch = table.batch(torch.arange(len(table)))
    for ids, marks in zip(batch.ids, batch.marks, strict=True):
        assert (ids[marks] == MARK).all()
    assert batch.start.tolist()[1:] == [-1, -1, -1]
    assert batch.marks[0, 1] < batch.start[0] <= batch.end[0] < batch.marks[0, 2]
    assert batch.judged.tolist() == [True, True, True, False]


def test_the_marks_of_a_passage_do_not_begin_alike(table: Table) -> None:
    """As copies of [CLS] each said the same of the whole passage, and no sentence was told from another."""
    batch = as_bert(table).batch(torch.arange(1))
    with torch.no_grad():
        said = small_reader().bert(batch.ids, batch.mask, batch.types).last_hidden_state[0]
    assert said[batch.marks[0]].std(0).mean() > 0.3 * said.std(0).mean()


def test_every_example_is_drawn_once_before_any_is_drawn_again_and_the_same_for_the_same_seed(table: Table) -> None:
    lengths = torch.randint(5, 90, (64,), generator=torch.Generator().manual_seed(1))
    drawn = list(islice(batches(lengths, 8, seed=3), 16))
    for epoch in (drawn[:8], drawn[8:]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(64))
    assert all(torch.equal(a, b) for a, b in zip(drawn, batches(lengths, 8, seed=3), strict=False))
    assert not all(torch.equal(a, b) for a, b in zip(drawn, batches(lengths, 8, seed=4), strict=False))


def test_without_a_teacher_the_losses_are_those_of_the_labels(table: Table) -> None:
    batch = table.batch(torch.arange(len(table)))
    logits = logits_for(batch)
    answers, evidence, rank, span = 0.0, 0.0, 0.0, 0.0
    for i, r in enumerate(ROWS[:3]):  # the fourth is not judged
        gold = torch.tensor([float(n in r["gold"]) for n in range(len(FOX))])
        said = logits[i, batch.marks[i], 1]
        answers += float(functional.binary_cross_entropy_with_logits(logits[i, 0, 0], gold.max()))
        each = functional.binary_cross_entropy_with_logits(said, gold, reduction="sum")
        evidence += float(each) / math.sqrt(len(FOX))
        if gold.any():
            rank += float(said.logsumexp(0) - said[gold.bool()].logsumexp(0))
        if r["answer"]:
            inside = batch.types[i].bool()
            for at, column in ((batch.start[i], 2), (batch.end[i], 3)):
                span += float(logits[i, inside, column].logsumexp(0) - logits[i, at, column])
    assert losses(logits, batch).tolist() == pytest.approx([answers, evidence, rank, span], rel=1e-4)


def test_what_nobody_judged_is_learnt_from_the_teacher_alone(table: Table) -> None:
    batch = table.batch(torch.tensor([3]))
    logits = logits_for(batch)
    assert losses(logits, batch).tolist() == [0.0] * 4
    same, other = (replace(batch, taught=logits_for(batch, seed)) for seed in (0, 1))
    assert slope(logits, same) < 1e-6 < slope(logits, other)
    contrary = replace(same, answers=1 - same.answers, evidence=1 - same.evidence)
    assert torch.equal(losses(logits, same), losses(logits, contrary))


def test_a_part_of_the_examples_holds_what_belongs_to_it_and_nothing_unjudged(table: Table) -> None:
    rows = [{**r, "source": "squad2_tune" if i else "policyqa_dev"} for i, r in enumerate(ROWS)]
    assert len(part(table, rows, PARTS["everything"])) == 3
    chosen = part(table, rows, PARTS["plain recipe"])
    assert chosen.answers.tolist() == [0.0, 1.0]
    assert torch.equal(chosen.batch(torch.tensor([0])).ids, table.batch(torch.tensor([1])).ids)


def test_what_a_model_says_is_kept_by_word_piece_in_the_order_of_the_examples(table: Table) -> None:
    said = scores(None, lambda _, batch: batch.ids[..., None].float().expand(-1, -1, 4), table)
    assert said[:, 0].tolist() == table.ids.half().tolist()


@pytest.fixture
def as_before() -> Iterator[None]:
    """What a run changes of its process is put back."""
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


def run(table: Table, folder: Path, **changed: float) -> reader.Run:
    arguments = reader.arguments_of("").parse_args(["", str(folder), "--batch", "2", "--examples", "4"])
    arguments = argparse.Namespace(**{**vars(arguments), **changed})
    return reader.train(small_reader(), read_by_bert, as_bert(table), arguments)


@pytest.mark.usefixtures("as_before")
def test_a_run_ends_without_a_checkpoint_when_its_losses_are_no_numbers(table: Table, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the losses are no numbers"):
        run(table, tmp_path, rate=math.inf)
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.usefixtures("as_before")
def test_what_was_stopped_is_not_measured_and_goes_on_from_its_checkpoint(table: Table, tmp_path: Path) -> None:
    stopped = run(table, tmp_path, minutes=0)
    assert stopped.progress.step == 1
    with pytest.raises(SystemExit, match="stopped at step 1 of 2"):
        stopped.averaged()
    run(table, tmp_path).averaged()


def test_every_part_but_the_whole_leaves_something_out() -> None:
    made = ["given", "adversarial", "searched", "removed", "reworded", "question-name", "restated", "stated-wrongly"]
    rows = [{"kind": kind, "source": source} for kind in made for source in ("squad2_tune", "policyqa_dev")]
    assert [name for name, belongs in PARTS.items() if all(map(belongs, rows))] == ["everything"]


def test_a_shorter_example_counts_the_same_beside_a_longer_one(table: Table) -> None:
    alone, both = table.batch(torch.tensor([1])), table.batch(torch.tensor([1, 2]))
    logits = logits_for(both)
    second = replace(both, judged=torch.tensor([True, False]))
    width = alone.ids.shape[1]
    assert losses(logits, second).tolist() == pytest.approx(losses(logits[:1, :width], alone).tolist(), rel=1e-5)


def test_the_small_reader_gets_the_word_pieces_that_its_tokenizer_makes(table: Table) -> None:
    tokenizer = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    batch = as_bert(table).batch(torch.arange(len(table)))
    for r, ids, mask in zip(ROWS, batch.ids, batch.mask, strict=True):
        words = tokenizer.encode(r["question"], " ".join(FOX)).ids
        assert [i for i in ids[mask == 1].tolist() if i != 1] == words  # 1: the marks
        assert not ids[mask == 0].any()


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher")
    config = MPNetConfig(hidden_size=64, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64, num_labels=4)
    model = MPNetForTokenClassification(config)
    reader.write_model(model, {}, path / "average")
    return path


def test_the_reader_begins_as_layers_of_its_teacher_on_rounded_word_embeddings(teacher: Path) -> None:
    whole = MPNetForTokenClassification.from_pretrained(teacher / "average", dtype=torch.float32)
    model = reader.new_reader(teacher / "average", [1, 3])
    for ours, theirs in zip(model.mpnet.encoder.layer, [whole.mpnet.encoder.layer[i] for i in (1, 3)], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    words, those = (m.mpnet.embeddings.word_embeddings.weight for m in (model, whole))
    assert len(words[7].unique()) <= 15 < len(those[7].unique())
    assert torch.allclose(words, those, atol=those.abs().max().item() / 14 + 1e-3)


@pytest.mark.usefixtures("as_before")
def test_what_learns_from_a_teacher_is_written_as_the_package_reads_it(
    table: Table, teacher: Path, tmp_path: Path
) -> None:
    arguments = reader.arguments_of("").parse_args(["", str(tmp_path), "--batch", "2", "--examples", "8"])
    taught = replace(table, taught=torch.randn(len(table.ids), 4, generator=torch.Generator().manual_seed(1)).half())
    run = reader.train(reader.new_reader(teacher / "average", [0, 2]), reader.logits_of, taught, arguments)
    model = run.averaged()
    reader.write_reader(model, tmp_path / "packed")
    weights = read_packed(tmp_path / "packed" / "model.safetensors")
    state = model.state_dict()
    assert set(weights) == set(state)
    unchanged = [name for name in weights if torch.equal(torch.from_numpy(weights[name]), state[name])]
    assert "mpnet.embeddings.word_embeddings.weight" in unchanged  # it learnt with what is stored
    with torch.no_grad():
        for name, value in weights.items():
            state[name].copy_(torch.from_numpy(value))
    batch = table.batch(torch.arange(1))
    said = reader.logits_of(model, batch)[0].detach()
    (read,) = Reader(tmp_path / "packed", bf16=False).read([ROWS[0]["question"]], [FOX])
    assert read.answers == pytest.approx(float(said[0, 0]), abs=1e-5)
    assert read.evidence == pytest.approx(said[batch.marks[0], 1].tolist(), abs=1e-5)
