"""The outside benchmarks, end to end over made-up files of their formats."""

import gzip
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import HashingEncoder
from hypothesis import given
from hypothesis import strategies as st

from evals import bench_scifact, bench_squad
from evals.bench_scifact import Abstract, Asked, Claim, measure, read, scores, write_documents
from evals.bench_squad import (
    Answer,
    Counts,
    Entry,
    evaluate,
    gold_line,
    merged,
    pattern,
    read_entries,
    sample,
    source_names,
)
from evals.gold import load
from rag import Rag, Settings
from rag.errors import RagError

ABSTRACTS = [
    {"id": "11", "title": "Garlic and the flight of bats.", "text": "Bats avoid garlic. They were fed for a year."},
    {
        "id": "12",
        "title": "A trial of comfrey",
        "text": "Comfrey tea did nothing for toothache. We gave it to 40 horses.",
    },
    {"id": "13", "title": "Sleep " + "of very many sorts of marmots and of their kin " * 4, "text": "Marmots sleep."},
    {"id": "x-14", "title": "", "text": "Granite is older than chalk."},
]
CLAIMS = [
    {"id": "1", "question": "Garlic repels bats.", "relevant": ["11"]},
    {"id": "2", "question": "Comfrey cures horses of toothache.", "relevant": ["12", "x-14"]},
    {"id": "3", "question": "Zeppelins fly.", "relevant": ["13"]},
]
MILL = (
    "The mill at Birkholm was built in 1950 by Ada Thorvald.  It burnt “twice” 🔥 in five years.\nNobody rebuilt it. "
)
PORT = "It rains in Norrby. The harbourmaster of Ferrowick is Emil Brandt, who kept bees in 1950."


def entry(question: str, *answers: tuple[str, int], context: str = MILL, **changes: object) -> dict[str, Any]:
    """Return a line of a SQuAD-2-like file."""
    written = [{"text": text, "start": start} for text, start in answers]
    common = {"id": question, "title": "Mills of Birkholm", "context": context, "question": question}
    return {**common, "answers": written, "answerable": bool(answers), **changes}


QUESTIONS = [
    entry("Who built the mill at Birkholm?", ("Ada Thorvald", 42), ("Ada", 42)),
    entry("Who is the harbourmaster of Ferrowick?", ("Emil Brandt", PORT.index("Emil")), context=PORT),
    entry("Who is the Harbourmaster  of Ferrowick?", id="again"),  # asked of another paragraph, which does not say
    entry("How much did the mill at Birkholm cost?"),
    entry("When was the mill at Birkholm built?", ("1950", 0)),  # not there
    entry("How old is Ferrowick?", ("old", 3), context="An old\rtown."),  # not a text that is kept as it is
]


@pytest.fixture
def scifact(tmp_path: Path) -> Path:
    """A folder as SciFact's."""
    folder = tmp_path / "scifact"
    folder.mkdir()
    for name, lines in (("passages", ABSTRACTS), ("queries_test", CLAIMS), ("queries_train", CLAIMS[:1])):
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(_lines(lines)))
    return folder


@pytest.fixture(scope="module")
def squad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as SQuAD's."""
    path = tmp_path_factory.mktemp("squad") / "squad.jsonl"
    path.write_bytes(_lines(QUESTIONS))
    return path


@pytest.fixture(scope="module")
def evaluated(squad: Path) -> tuple[Counts, dict[str, Any]]:
    """What it measures without an evidence model, which quotes the nearest sentence, whatever it says."""
    counts, (summary,) = evaluate(squad, out=squad.parent / "out", vary=["evidence=none"])
    return counts, summary


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a program with arguments; return exit code, output and errors."""

    def run(module: Any, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", [module.__name__, *map(str, arguments)])
        code = module.main()
        return code, *capsys.readouterr()

    return run


def _lines(objects: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(line) for line in objects).encode()


# ---- SciFact ---------------------------------------------------------------------------------------------------------


def test_claims_are_measured_by_hand_computed_figures(scifact: Path):
    measured = measure(scifact, retrieval="lexical", encoder=HashingEncoder())
    half = 1 / (1 + 1 / math.log2(3))  # the first of two relevant ones stands first, the other one shares no word
    assert measured.scores["nDCG@10"] == pytest.approx((1.0, half, 0.0))
    assert measured.scores["R@100"] == (1.0, 0.5, 0.0)
    assert [asked.found[:1] for asked in measured.asked] == [("11",), ("12",), ()]
    assert (measured.n_documents, measured.n_cleaned) == (4, 0)


@given(st.permutations([f"d{i}" for i in range(14)]), st.sets(st.integers(0, 15), min_size=1), st.integers(0, 14))
def test_a_ranking_is_scored_as_its_definition_says(ranking: list[str], relevant: set[int], n_found: int):
    wanted = {f"d{i}" for i in relevant}
    found = tuple(ranking[:n_found])
    scored = scores([Claim(id="q", question="?", relevant=sorted(wanted))], [Asked(found, 1.0)])
    gains = sum(1 / math.log2(rank + 1) for rank, doc in enumerate(found[:10], start=1) if doc in wanted)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(10, len(wanted)) + 1))
    assert scored["nDCG@10"][0] == pytest.approx(gains / best)
    assert scored["R@100"][0] == pytest.approx(len(wanted & set(found)) / len(wanted))


def test_beirs_own_layout_is_read_as_the_same_claims_and_abstracts(scifact: Path, tmp_path: Path):
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    (beir / "corpus.jsonl").write_bytes(
        _lines([{"_id": a["id"], "title": a["title"], "text": a["text"], "metadata": {}} for a in ABSTRACTS])
    )
    nobody_judged = {"_id": "9", "text": "Nobody judged this."}
    (beir / "queries.jsonl").write_bytes(
        _lines([*({"_id": c["id"], "text": c["question"]} for c in CLAIMS), nobody_judged])
    )
    judged = [f"{c['id']}\t{found}\t1" for c in CLAIMS for found in c["relevant"]]
    (beir / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged, "1\t13\t0"]) + "\n")
    assert read(beir, "test") == read(scifact, "test")
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1 11 1\n")
    with pytest.raises(RagError, match=r"test\.tsv:2: not query, document and score"):
        read(beir, "test")


def test_neither_title_nor_text_is_lost_on_the_way(tmp_path: Path):
    abstracts = [Abstract.model_validate(line) for line in ABSTRACTS]
    write_documents(abstracts, tmp_path / "documents")
    prepared = list(Rag(Settings(), encoder=HashingEncoder()).preview([tmp_path / "documents"]))
    assert [p.document.source for p in prepared] == [abstract.source for abstract in abstracts]
    for abstract, found in zip(abstracts, prepared, strict=True):
        covered = {at for passage in found.passages for at in range(passage.span.start, passage.span.end)}
        text = found.document.text
        assert not [at for at in range(len(text)) if not (at in covered or text[at].isspace())]
        assert abstract.title.strip() in text
        assert abstract.text in text
    titles = [found.document.title for found in prepared]
    assert titles[:2] == [ABSTRACTS[0]["title"], ABSTRACTS[1]["title"]]


def test_a_kept_index_is_not_made_again_and_holds_nothing_else(scifact: Path, tmp_path: Path):
    kept, encoder = tmp_path / "kept", HashingEncoder()
    first = measure(scifact, index=kept, encoder=encoder)
    n_encoded = encoder.n_encoded
    again = measure(scifact, index=kept, encoder=encoder, queries="train")
    assert encoder.n_encoded - n_encoded == 3  # the one claim, thrice: warm, timed, deep
    assert again.asked[0].found == first.asked[0].found
    (kept / "documents" / "other.txt").write_text("A stranger.", encoding="utf-8")
    with pytest.raises(RagError, match=r"has other documents, as other\.txt"):
        measure(scifact, index=kept, encoder=encoder)


def test_a_folder_of_somebody_else_is_not_written_to(scifact: Path, tmp_path: Path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").write_text("mine")
    with pytest.raises(RagError, match="holds something else"):
        measure(scifact, index=mine, encoder=HashingEncoder())
    assert [path.name for path in mine.iterdir()] == ["precious"]


def test_the_program_prints_its_figures_beside_those_of_others(scifact: Path, program: Callable[..., Any]):
    code, out, err = program(bench_scifact, scifact, "--limit", "2")
    assert (code, err) == (0, "")
    assert "2 test queries" in out
    assert re.search(r"Footnote, fused .*\d\.\d{3} to \d\.\d{3}", out)
    for what in ("0.661", "0.634", "0.915", "0.708", "0.946", "0.645", "0 with lines that cleaning left out"):
        assert what in out


# ---- SQuAD -----------------------------------------------------------------------------------------------------------


def test_questions_are_asked_of_the_whole_corpus(evaluated: tuple[Counts, dict[str, Any]]):
    counts, summary = evaluated
    assert str(counts) == "6 entries, 3 documents, 0 cleaned, 1 unread, 1 misplaced, 1 repeated, 3 asked"
    figures = {figure["name"]: figure["value"] for figure in summary["metrics"]}
    assert figures["right"] == pytest.approx(2 / 3, abs=1e-6), "both answers are found, nothing is refused"
    assert (figures["facts"], figures["sentence_recall@1"], figures["refusal_recall"]) == (1.0, 1.0, 0.0)
    assert [row["kind"] for row in summary["questions"]] == ["answerable", "answerable", "unanswerable"]
    assert {row["split"] for row in summary["questions"]} == {"test"}


def test_squads_own_json_is_read_as_the_same_questions(squad: Path, tmp_path: Path):
    articles = [
        {
            "title": line["title"],
            "paragraphs": [
                {
                    "context": line["context"],
                    "qas": [
                        {
                            "id": line["id"],
                            "question": line["question"],
                            "answers": [{"text": a["text"], "answer_start": a["start"]} for a in line["answers"]],
                            "is_impossible": not line["answerable"],
                        }
                    ],
                }
            ],
        }
        for line in QUESTIONS
    ]
    (tmp_path / "dev.json").write_text(json.dumps({"version": "v2.0", "data": articles}), encoding="utf-8")
    assert read_entries(tmp_path / "dev.json") == read_entries(squad)
    (tmp_path / "bad.json").write_text('{"data": [{"title": "A", "paragraphs": [{"qas": []}]}]}')
    with pytest.raises(RagError, match=r"bad\.json: data\.0\.paragraphs\.0\.context: field required"):
        read_entries(tmp_path / "bad.json")


def test_offsets_of_gold_are_those_of_the_contexts(squad: Path, evaluated: tuple[Counts, dict[str, Any]]):
    mill, port, unanswerable = load(squad.parent / "out" / "gold.jsonl")
    assert [(p.source, MILL[p.start : p.end]) for p in mill.evidence[0]] == [
        ("Mills-of-Birkholm-00001.txt", "Ada Thorvald"),
        ("Mills-of-Birkholm-00001.txt", "Ada"),
    ]
    assert [PORT[p.start : p.end] for p in port.evidence[0]] == ["Emil Brandt"]
    assert (unanswerable.answerable, unanswerable.evidence, unanswerable.facts) == (False, (), ())


def test_a_sample_is_the_same_for_a_seed_and_in_order():
    questions = merged(Entry(id=str(i), context="c", question=f"{i}?", answerable=False) for i in range(50))
    chosen = sample(questions, 10, seed=7)
    assert chosen == sample(questions, 10, seed=7) != sample(questions, 10, seed=8)
    assert [int(same[0].id) for same in chosen] == sorted({int(same[0].id) for same in chosen})
    assert len(chosen) == 10
    assert sample(questions, None, seed=7) == sample(questions, 50, seed=7) == questions


@given(st.text(min_size=1), st.data())
def test_an_answer_is_found_where_it_stands(context: str, data: st.DataObject):
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    asked = Entry(
        id="q", context=context, question="?", answers=[Answer(text=context[start:end], start=start)], answerable=True
    )
    if not context[start:end].strip():
        assert not asked.placed
        return
    line = gold_line([asked], source_names([asked]))
    (place,) = line["evidence"][0]
    assert context[place["start"] : place["end"]] == place["quote"] == context[start:end]
    assert re.compile(line["facts"][0], re.IGNORECASE).match(context, start)
    assert re.compile(line["facts"][0], re.IGNORECASE).search(place["quote"])


def test_an_answer_of_whole_words_is_not_found_inside_of_others():
    five = pattern("It took 5 years.", Answer(text="5", start=8))
    assert re.search(five, "in 5 days")
    assert not re.search(five, "in 1950")
    assert re.search(pattern("the 1950s", Answer(text="1950", start=4)), "the 1950s")
    assert re.search(pattern("It cost $5.", Answer(text="$5", start=8)), "US$5, she said")


def test_a_question_of_several_paragraphs_may_be_answered_from_any():
    one = Entry.model_validate(entry("Where?", ("mill", 4), id="1"))
    other = Entry.model_validate(entry("where? ", ("port", 4), id="2", context="The port."))
    silent = Entry.model_validate(entry("Where?", id="3", context="Nowhere."))
    (same,) = merged([silent, one, other])
    line = gold_line(same, source_names([one, other, silent]))
    assert (line["id"], line["kind"]) == ("3", "answerable")
    assert [(place["source"][-5:], place["quote"]) for place in line["evidence"][0]] == [
        ("1.txt", "mill"),
        ("2.txt", "port"),
    ]
    assert line["facts"] == [r"\bmill\b|\bport\b"]


def test_the_program_prints_the_tables_of_an_evaluation(
    squad: Path, evaluated: tuple[Counts, dict[str, Any]], program: Callable[..., Any]
):
    summary = next(squad.parent.rglob("summary.json"))
    options = ["--out", squad.parent / "sample", "--limit", 2, "--baseline", summary]
    code, out, err = program(bench_squad, squad, *options)
    assert code == len(err.splitlines()) == 1, "a sample lacks questions of the baseline, which must not go unnoticed"
    assert "baseline" in err
    assert "3 documents" in out, "the corpus is whole"
    assert "2 asked" in out
    for label in ("right", "refusal recall", "over-refusal", "recall@10", "ECE", "difference"):
        assert label in out
    assert (squad.parent / "sample" / "report.html").is_file()


# ---- what is wrong is said in one line -------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [bench_scifact, bench_squad])
def test_a_path_with_nothing_there_is_told_in_one_line(module: Any, tmp_path: Path, program: Callable[..., Any]):
    code, out, err = program(module, tmp_path / "nothing")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "nothing" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"{}", r":1: context is missing; add it|:1: id is missing; add it"),
        (_lines(QUESTIONS[:1]) + b"\n{", ":2: not JSON"),
        (b'{"id": "\xff"}', ":1: not JSON in UTF-8"),
    ],
)
def test_a_file_that_is_none_is_told_with_its_line(content: bytes, said: str, tmp_path: Path):
    (tmp_path / "squad.jsonl").write_bytes(content)
    with pytest.raises(RagError, match=said):
        evaluate(tmp_path / "squad.jsonl", out=tmp_path / "out")


ARCHIVE = gzip.compress(b"{}" * 100, mtime=0)  # else the time is in the names of tests, which processes disagree about


@pytest.mark.parametrize("content", [b"plain", ARCHIVE[:-9], ARCHIVE[:12]])
def test_a_damaged_archive_is_told(content: bytes, tmp_path: Path):
    (tmp_path / "squad.jsonl.gz").write_bytes(content)
    with pytest.raises(RagError, match=r"squad\.jsonl\.gz: (cannot be read|is damaged)"):
        evaluate(tmp_path / "squad.jsonl.gz", out=tmp_path / "out")


def test_a_variant_that_there_is_not_is_told_before_anything_is_read(tmp_path: Path):
    with pytest.raises(RagError, match="--vary evidence=guess: no such evidence"):
        evaluate(tmp_path / "nothing", out=tmp_path / "out", vary=["evidence=guess"])
    assert not (tmp_path / "out").exists()


def test_an_id_that_comes_twice_is_told(scifact: Path):
    (scifact / "passages.jsonl.gz").write_bytes(gzip.compress(_lines([*ABSTRACTS, ABSTRACTS[0]])))
    with pytest.raises(RagError, match="stands for two abstracts"):
        measure(scifact, encoder=HashingEncoder())
