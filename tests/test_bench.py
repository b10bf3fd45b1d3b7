"""The benchmark: a corpus that is what it says, and a small run of the whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HashingEncoder

from evals.bench_pipeline import _run, peak_rss
from evals.made_up_corpus import (
    OUTLETS,
    PASSAGES_A_DOCUMENT,
    SENTENCES_A_DOCUMENT,
    TEMPLATES,
    document,
    questions,
    sentence,
    write_corpus,
)
from rag import Rag, Settings

ROOT = Path(__file__).parents[1]

ROWS = """command|machine|date|text of the corpus|load the embedding model|corpus|ingest|ingest rate|ingest: embedding
ingest: the rest|peak RSS of ingest|add one document|bytes of existing vector files changed by it
ingest without a change|warm search|warm search, one source of ten|warm search, later half of the dates|warm ask
warm ask, one source of ten|warm ask, later half of the dates|ask, stage condense|ask, stage retrieve
ask, stage evidence|ask, stage answer|cold `rag ask QUESTION`|peak RSS of ask|cold `rag --help`
index on disk: catalogue|index on disk: vectors|index on disk: words|index on disk""".replace("\n", "|").split("|")


def test_no_sentence_comes_twice():
    n_sentences = 20_000
    assert len({sentence(number)[0] for number in range(n_sentences)}) == n_sentences


def test_the_corpus_is_the_same_every_time_and_varied(tmp_path: Path):
    write_corpus(tmp_path / "one", 3)
    write_corpus(tmp_path / "other", 3)
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "other" / path.relative_to(tmp_path / "one")).read_bytes()
    words = {word for number in range(2_000) for word in sentence(number)[0].split()}
    assert len(words) > 1_500


def test_a_question_uses_no_word_that_its_sentence_lacks():
    asking = set(
        "Who How much was the that on in for of had asked according to Where by Which never saw For when".split()
    )
    asking |= set("How many people worth left over about".split())
    for number in range(len(TEMPLATES) * 5):
        stated, asked = sentence(number)
        assert {word.strip("?,.") for word in asked.split()} - asking <= {word.strip("“”,.") for word in stated.split()}


def test_a_document_has_the_passages_that_the_corpus_is_counted_by(tmp_path: Path):
    write_corpus(tmp_path / "corpus", 4)
    previews = list(Rag(Settings(), encoder=HashingEncoder()).preview([tmp_path / "corpus"]))
    assert len(previews) == 4
    for item in previews:
        assert len(item.passages) >= PASSAGES_A_DOCUMENT
        assert item.excluded == (), "no rule takes a made-up sentence for furniture"
        assert item.document.date


@pytest.mark.parametrize("n_documents", [2, OUTLETS, 30])
def test_a_question_is_asked_of_the_source_that_answers_it(n_documents: int):
    texts = {source: text for source, text, _ in map(document, range(n_documents))}
    by_question = {
        sentence(i)[1]: source
        for n, source in enumerate(texts)
        for i in range(n * SENTENCES_A_DOCUMENT, (n + 1) * SENTENCES_A_DOCUMENT)
        if sentence(i)[0] in texts[source]
    }
    asked = questions(20, n_documents)
    assert len({question.text for question in asked}) == 20
    assert all(by_question[question.text].startswith(f"{question.source}/") for question in asked)


def test_a_small_run_fills_every_row(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    arguments = ["--passages", "40", "--questions", "3", "--runs", "1", "--work", str(tmp_path / "work")]
    done = subprocess.run(
        [sys.executable, "-m", "evals.bench_pipeline", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    head, rule, *rows = done.stdout.splitlines()
    assert (head, rule) == ("| what | value | how |", "|---|---|---|")
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
    assert [row[0] for row in cells] == ROWS
    values = {row[0]: row[1] for row in cells}
    assert all(values.values())
    assert values["bytes of existing vector files changed by it"] == "0"
    assert "--passages 40 --questions 3 --runs 1" in values["command"]
    assert int(values["corpus"].split(", ")[1].split()[0]) >= 40
    assert (tmp_path / "work" / "index" / "catalog.sqlite3").is_file()


def test_the_memory_of_a_command_is_not_that_of_the_process_which_measures_it():
    """The kernel lets a child's peak begin at its parent's; with a model in the parent that would be all one sees."""
    ballast = b"x" * 300_000_000
    _, peak = _run([sys.executable, "-I", "-S", "-c", ""], dict(os.environ))
    assert peak_rss() > len(ballast)
    assert peak < 100_000_000


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path):
    (tmp_path / "precious").write_text("mine")
    done = subprocess.run(
        [sys.executable, "-m", "evals.bench_pipeline", "--work", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
