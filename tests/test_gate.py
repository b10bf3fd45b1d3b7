"""The gold sentences of the claim gate: that they are what they say, and what the gate makes of them."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from evals.gate import KINDS, Outcome, PassageAt, Sentence, judge, load, passages_of, rows, table
from evals.gold import Place
from rag.documents import read_synonyms
from rag.errors import UsageError
from rag.models import TrainedEvidence
from rag.values import Source
from tests.conftest import SEEDS

NEVER_PASS = {"uncited", "fabricated", "misquoted"}


@pytest.fixture(scope="module")
def passages() -> dict[Place, Source]:
    return passages_of(SEEDS)


def judged(sentences: list[Sentence], passages: dict[Place, Source], **support: object) -> list[Outcome]:
    return judge(sentences, passages, synonyms=read_synonyms(SEEDS), **support)  # type: ignore[arg-type]


def test_there_are_sound_sentences_and_faulty_ones_of_each_kind_in_both_splits():
    sentences = load()
    assert (
        len({sentence.id for sentence in sentences}) == len({(s.text, s.question) for s in sentences}) == len(sentences)
    )
    n = Counter((sentence.split, sentence.kind) for sentence in sentences)
    assert {kind for _, kind in n} == set(KINDS) - {"off the question"}
    assert min(n.values()) >= 5
    assert sum(n["dev", kind] + n["test", kind] for kind in KINDS if kind != "sound") >= 150


def test_no_fabricated_uncited_or_misquoted_sentence_passes_however_sure_the_model_is(passages: dict[Place, Source]):
    faulty = [sentence for sentence in load() if sentence.kind in NEVER_PASS]
    passed = [o.sentence.text for o in judged(faulty, passages, support=lambda *_: 1.0) if o.found == "sound"]
    assert passed == []


def test_few_wrong_numbers_pass_however_sure_the_model_is(passages: dict[Place, Source]):
    faulty = [sentence for sentence in load() if sentence.kind == "wrong number"]
    passed = [o.sentence.text for o in judged(faulty, passages, support=lambda *_: 1.0) if o.found == "sound"]
    assert len(passed) <= len(faulty) / 15, passed


@pytest.mark.parametrize(("split", "share"), [("dev", 1 / 20), ("test", 1 / 10)])  # test: as it was at first sight
def test_few_sound_sentences_are_refused(split: str, share: float, passages: dict[Place, Source]):
    sound = [sentence for sentence in load() if (sentence.kind, sentence.split) == ("sound", split)]
    refused = [o for o in judged(sound, passages, support=TrainedEvidence().support) if o.found != "sound"]
    assert len(refused) <= len(sound) * share, [(o.sentence.text, o.found, o.detail) for o in refused]


def outcome(kind: str, found: str, split: str = "dev") -> Outcome:
    return Outcome(Sentence(id="x", split=split, kind=kind, question="", text="", sources=()), found)  # type: ignore[arg-type]


def test_the_figures_of_a_kind_by_hand():
    found = rows(
        [
            outcome("sound", "sound"),
            outcome("sound", "negated"),
            outcome("negated", "negated"),
            outcome("negated", "wrong name"),
            outcome("negated", "sound"),
            outcome("misquoted", "misquoted", split="test"),
        ]
    )
    assert [(row["split"], row["kind"], row["n"]) for row in found] == [
        ("dev", "sound", 2), ("dev", "negated", 3), ("test", "misquoted", 1),
    ]  # fmt: skip
    sound, negated, _ = found
    assert (sound["recall"]["value"], sound["precision"]["value"]) == (1 / 2, 1 / 2)
    assert (negated["recall"]["value"], negated["named"]["value"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert negated["precision"]["value"] == 1 / 2
    assert negated["recall"]["low"] < 2 / 3 < negated["recall"]["high"]
    assert table(found).row_count == 3


def test_a_passage_that_the_splitter_does_not_make_is_refused(passages: dict[Place, Source]):
    sentence = load()[0].model_copy(update={"sources": (PassageAt(source="000.txt", start=0, end=9),)})
    with pytest.raises(UsageError, match="is no passage"):
        judged([sentence], passages, support=None)


def test_the_program_measures_one_split_without_a_model():
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "evals.gate", "--split", "test", "--no-model"]
    shown = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True, cwd=root).stdout
    found = json.loads(shown)
    assert {row["split"] for row in found["rows"]} == {"test"}
    assert {row["kind"] for row in found["rows"]} == set(KINDS) - {"off the question"}
    assert all(row["recall"]["value"] == 1.0 for row in found["rows"] if row["kind"] in NEVER_PASS)
    assert all(line["id"] for line in found["missed"])
