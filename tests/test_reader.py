"""What the model reads, and that what it says comes back to the right sentences; random weights unless said."""

import hashlib
import json
import shutil

import pytest
from tokenizers import Tokenizer

from rag.errors import ModelUnavailable
from rag.models import Candidate, TrainedEvidence
from rag.models.encoder import bundled_folder
from rag.models.reader import MARK, MAX_PIECES, Reader, encode_pair
from rag.models.trained_evidence import FEATURES, WEIGHTS, features
from rag.values import Passage, Span

SENTENCES = ("The bridge was opened in 1931.", "It cost 4 million crowns.", "Nobody knows who designed it.")


@pytest.fixture(scope="module")
def tokenizer():
    made = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    made.no_truncation()
    made.no_padding()
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch
    from transformers import MPNetConfig, MPNetForTokenClassification

    from evals.train.reader import write_reader

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("reader")
    config = MPNetConfig(hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, num_labels=4)
    write_reader(MPNetForTokenClassification(config), path)
    digest = hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()
    decision = {"name": "random", "sha256": digest, "bias": 0.0, "weights": dict.fromkeys(FEATURES, 0.1)}
    decision["support"] = {"slope": 1.0, "bias": 0.0}
    (path / "decision.json").write_text(json.dumps(decision))
    return path


def test_every_sentence_has_its_mark(tokenizer):
    pair = encode_pair(tokenizer, "When was it opened?", SENTENCES)
    assert [pair.ids[mark] for mark in pair.marks] == [MARK] * 3
    assert pair.passage_at == min(pair.marks)
    assert len(pair.offsets) == len(pair.ids) - pair.passage_at


def test_word_pieces_lie_in_their_sentences(tokenizer):
    pair = encode_pair(tokenizer, "When was it opened?", SENTENCES)
    read = "".join(SENTENCES[place[0]][place[1] : place[2]] for place in pair.offsets if place)
    assert read == "".join(SENTENCES).replace(" ", "")


def test_what_is_too_long_is_left_out(tokenizer):
    pair = encode_pair(tokenizer, "why " * 500, [s * 20 for s in SENTENCES])
    assert len(pair.ids) <= MAX_PIECES
    assert len(pair.marks) == 3
    assert pair.marks[0] is not None


def test_passages_are_read_alike_alone_and_side_by_side(folder, tokenizer):
    reader = Reader(folder, threads=2, bf16=False)
    passages = [list(SENTENCES[:n]) for n in (1, 3, 2, 3, 1)]
    together = reader._run([encode_pair(tokenizer, "When?", passage) for passage in passages])
    alone = reader.read(["When?"] * 5, passages)
    for one, other in zip(together, alone, strict=True):
        assert one.answers == pytest.approx(other.answers, abs=1e-4)
        assert one.evidence == pytest.approx(other.evidence, abs=1e-4)


@pytest.mark.parametrize(
    ("n_passages", "threads", "bf16", "sizes"),
    [
        (10, 2, False, [1] * 10),
        (10, 2, True, [5, 5]),
        (8, 2, True, [4, 4]),
        (12, 2, True, [3, 3, 3, 3]),
        (3, 8, True, [1, 1, 1]),
        (1, 2, True, [1]),
        (0, 2, False, []),
    ],
)
def test_passages_are_shared_out_evenly(folder, n_passages: int, threads: int, bf16: bool, sizes: list[int]):
    reader, batches = Reader(folder, threads=threads, bf16=bf16), []
    reader._run = lambda pairs: batches.append(len(pairs)) or [len(pair.marks) for pair in pairs]
    passages = [list(SENTENCES[: 1 + i % 3]) for i in range(n_passages)]
    assert reader.read(["When?"] * n_passages, passages) == [len(passage) for passage in passages]
    assert sorted(batches, reverse=True) == sizes


def test_each_sentence_gets_a_probability_and_its_answer_lies_inside(folder):
    text = " ".join(SENTENCES)
    spans, start = [], 0
    for sentence in SENTENCES:
        spans.append(Span(100 + start, 100 + start + len(sentence)))
        start += len(sentence) + 1
    passage = Passage("d:1", "d", Span(100, 100 + len(text)), "", text=text, sentences=tuple(spans))
    empty = Passage("d:2", "d", Span(0, 5), "", text="Title", sentences=())
    candidates = [Candidate(passage, (0.1, 0.2, 0.3), (0.0, 0.5, 1.0)), Candidate(empty, (), ())]
    read = TrainedEvidence(folder).read("When?", candidates)
    assert [len(r.sentences) for r in read] == [3, 0]
    assert all(0 <= s.probability <= 1 for s in read[0].sentences)
    assert all(s.answer is None or s.span.covers(s.answer) for s in read[0].sentences)
    assert read[1].probability == 0


def test_margins_are_zero_for_the_best_and_negative_for_others(folder):
    passage = Passage("d:1", "d", Span(0, 3), "", text="A B", sentences=(Span(0, 1), Span(2, 3)))
    candidate = Candidate(passage, (0.1, 0.3), (0.0, 0.5))
    rows = features([candidate], Reader(folder).read(["B?"], [["A", "B"]]))[0]
    assert rows.shape == (2, len(FEATURES))
    assert rows[:, FEATURES.index("similarity_margin")] == pytest.approx([-0.2, 0])


def test_other_weights_than_those_measured_are_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "reader")
    with (tmp_path / "reader" / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelUnavailable, match="SHA-256"):
        TrainedEvidence(tmp_path / "reader").support("It was opened.", SENTENCES)


def test_short_answers_lie_inside_their_sentences_and_are_no_likelier_than_certain(folder):
    (reading,) = Reader(folder, threads=1).read(["When?"], [SENTENCES])
    for sentence, found in zip(SENTENCES, reading.spans, strict=True):
        assert found is not None
        start, end, log_probability = found
        assert 0 <= start < end <= len(sentence)
        assert log_probability <= 0


def test_support_is_a_probability(folder):
    assert 0 <= TrainedEvidence(folder).support("The bridge was opened in 1931.", SENTENCES) <= 1


def test_the_shipped_weights_are_those_that_were_measured():
    measured = json.loads((WEIGHTS / "decision.json").read_text(encoding="utf-8"))
    assert hashlib.sha256((WEIGHTS / "model.safetensors").read_bytes()).hexdigest() == measured["sha256"]
    assert (WEIGHTS / "model.safetensors").stat().st_size <= 50e6


def test_the_shipped_model_tells_what_answers_from_what_does_not():
    model = TrainedEvidence()
    assert model.support("The bridge was opened in 1931.", SENTENCES) > model.support(
        "The bridge is in Norway.", SENTENCES
    )
    read = Reader(WEIGHTS).read(
        ["How much did the bridge cost?"] * 2, [SENTENCES, ("Penguins live on ice.", "They eat fish.")]
    )
    assert read[0].answers > read[1].answers
    assert max(range(3), key=read[0].evidence.__getitem__) == 1
    start, end, _ = read[0].spans[1]
    assert "4 million" in SENTENCES[1][start:end]
