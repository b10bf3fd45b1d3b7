"""The command as its users meet it: what it prints and how it ends.

Each command has a real process here or beside its surface (``serve``, ``mcp``, ``eval``, ``models``), and so has what
only a process shows. What depends on arguments, files and settings alone is run in this one, by ``here``.
"""

import ctypes
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest
from commands import RAG, WAIT_S, Done, environment, here, in_a_process
from conftest import SEEDS, HashingEncoder

from rag import Rag, Settings
from rag.cli import main
from rag.config import BUNDLED_ENCODER

HEAVY = "torch chromadb gradio sentence_transformers llama_index.core transformers".split()
SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"
Run = Callable[..., Done]

ELECTION = "Who won the early presidential election with over 81% of the vote?"
OFF_TOPIC = "What is the boiling point of tungsten?"


def the_line(done: Done, code: int) -> str:
    """Return the one line of an error; everything else that could be on standard error is a failure."""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("rag: "), done.stderr
    assert done.stderr.endswith("\n"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not done.stderr.startswith("rag: ;"), "a line that says what happened"
    assert len(done.stderr) > len("rag: \n") + 10
    return done.stderr


def refused(*arguments: object, code: int = 1, run: Run = here, **settings: str) -> str:
    return the_line(run(*arguments, **settings), code)


def done_well(*arguments: object, run: Run = here, **settings: str) -> str:
    done = run(*arguments, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def asked(seeds_index: Path) -> str:
    """What ``rag ask --json`` prints, in a process of its own."""
    return done_well("ask", ELECTION, "--index", seeds_index, "--json", run=in_a_process)


@pytest.fixture(scope="module")
def small_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of one sentence, for what goes wrong before a question is understood; not to be written to."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "docs").mkdir()
    (folder / "docs" / "a.txt").write_text("Alpha signed the treaty.", encoding="utf-8")
    encoder = HashingEncoder()
    encoder.name = BUNDLED_ENCODER  # the command refuses an index of any other; no question here gets to a vector
    rag = Rag(Settings(index_dir=folder / "index"), encoder=encoder)
    assert not rag.ingest([folder / "docs"]).failed
    rag.close()
    return folder / "index"


# -- documents ---------------------------------------------------------------------------------------------------------


def test_ingest_says_what_became_of_the_documents(tmp_path: Path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text("Alpha signed the treaty in May. Beta did not sign it.", encoding="utf-8")
    report = json.loads(done_well("ingest", docs, "--json", run=in_a_process))
    assert report == {
        "added": ["a.txt"],
        "updated": [],
        "unchanged": [],
        "removed": [],
        "failed": [],
        "n_embedded": 3,
        "index_version": 1,
    }
    assert (tmp_path / ".footnote").is_dir(), "the index is in the working directory"
    assert done_well("ingest").split() == "0 added, 1 unchanged; 0 texts embedded; index version 1".split()
    (docs / "a.txt").unlink()
    (docs / "b.txt").write_text("  \n")
    assert "holds no text" in refused("ingest", docs)
    assert json.loads(here("ingest", docs, "--prune", "--json").stdout)["removed"] == ["a.txt"]


def test_dry_run_shows_every_document_and_every_line_left_out(tmp_path: Path):
    shown = done_well("ingest", SEEDS, "--dry-run", COLUMNS="400")
    record = json.loads(done_well("ingest", SEEDS, "--dry-run", "--json"))
    assert [document["source"] for document in record["documents"]] == sorted(p.name for p in SEEDS.glob("*.txt"))
    assert any(document["excluded"] for document in record["documents"])
    blocks = shown.split("\n\n")
    for document, block in zip(record["documents"], blocks, strict=False):
        lines = [" ".join(line.split()) for line in block.splitlines()]
        assert lines[0] == document["source"]
        assert lines[1] == f"title {document['title']}"
        assert any(line.startswith(f"date {document['date'] or 'not known'}") for line in lines)
        assert f"passages {len(document['passages'])}" in lines
        assert f"left out {len(document['excluded'])} lines" in lines
        for excluded, line in zip(document["excluded"], lines[-len(document["excluded"]) :], strict=True):
            said = f"{excluded['rule']} {excluded['start']}-{excluded['end']} {' '.join(excluded['text'].split())}"
            assert said.startswith(line) or line == said
            assert excluded["reason"]
            assert len(line) > len(excluded["rule"]) + 8
    assert list(tmp_path.iterdir()) == [], "no index is made"


def test_dry_run_shows_a_line_left_out_whole_wherever_it_is_printed():
    """Someone decides by it whether a rule is right, and pipes it into a file to read it."""
    record = json.loads(done_well("ingest", SEEDS, "--dry-run", "--json"))
    shown = " ".join(done_well("ingest", SEEDS, "--dry-run").split())
    longest = max((x["text"] for d in record["documents"] for x in d["excluded"]), key=len)
    assert " ".join(longest.split()) in shown


def test_dry_run_loads_no_model_and_opens_no_index(tmp_path: Path):
    assert imported(f"sys.argv = ['rag', 'ingest', {str(SEEDS)!r}, '--dry-run']") == []
    assert list(tmp_path.iterdir()) == []


def test_dry_run_tells_errors_from_results(tmp_path: Path):
    done = here("ingest", tmp_path / "nowhere", "--dry-run")
    assert "nothing is there" in the_line(done, 1)
    assert "nothing is there" in refused("ingest", tmp_path / "nowhere", "--dry-run", "--json")


def imported(prepare: str) -> list[str]:
    """Run the command line in a fresh interpreter and return which heavy modules it imported."""
    code = (
        f"import atexit, sys\n{prepare}\n"
        f"atexit.register(lambda: print('\\nimported', *[m for m in {HEAVY!r} if m in sys.modules]))\n"
        "from rag.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=WAIT_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    *shown, line = done.stdout.splitlines()
    assert "".join(shown).strip(), "the command did something"
    assert line.startswith("imported")
    return line.split()[1:]


# -- questions ---------------------------------------------------------------------------------------------------------


def test_search_prints_passages_or_one_object(seeds_index: Path):
    found = json.loads(done_well("search", ELECTION, "-k", 3, "--index", seeds_index, "--json"))
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    best = found["hits"][0]
    text = (SEEDS / best["source"]).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    assert text[best["start"] : best["end"]] == best["text"]
    shown = done_well("search", ELECTION, "-k", 3, RAG_INDEX_DIR=str(seeds_index))
    places = re.findall(r"^ *(\d+)\. (\S+):(\d+)-(\d+) ", shown, re.MULTILINE)
    assert places == [tuple(str(hit[k]) for k in ("rank", "source", "start", "end")) for hit in found["hits"]]


def test_ask_prints_an_answer_with_its_footnotes_or_one_object(seeds_index: Path, asked: str):
    record = json.loads(asked)
    assert record["answered"]
    shown = done_well("ask", ELECTION, "--index", seeds_index)
    words = " ".join(shown.split())
    assert " ".join(record["text"].split()) in words
    for citation in record["citations"]:
        assert f"[{citation['marker']}] {citation['title']}" in words
        assert f"{citation['source']}:{citation['start']}-{citation['end']}" in words
    assert not shown.startswith("\n"), "the answer comes first"


def test_that_the_documents_do_not_answer_is_no_failure(seeds_index: Path):
    shown = done_well("ask", OFF_TOPIC, "--index", seeds_index)
    assert "No answer." in shown
    assert "Nearest, with the probability that it answers:" in shown
    record = json.loads(done_well("ask", ELECTION, "--until", "1999-12-31", "--index", seeds_index, "--json"))
    assert (record["answered"], record["stage"]) == (False, "retrieve")


def test_a_batch_answers_what_can_be_and_fails_if_a_line_could_not(seeds_index: Path, tmp_path: Path):
    lines = [json.dumps({"id": "a", "question": ELECTION}), "no JSON", "", json.dumps({"id": "b", "question": 7})]
    lines += [json.dumps({"id": "c", "question": "And where?", "history": [[ELECTION, "Tokayev. [1]"]]})]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = here("ask", "--batch", "in.jsonl", "--out", "out.jsonl", "--index", seeds_index)
    assert "2 lines could not be answered" in the_line(done, 1)
    assert done.stdout == ""
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["id"] for record in records] == ["a", None, "b", "c"]
    assert ["error" in record for record in records] == [False, True, True, False]
    assert records[0]["answered"]
    assert records[3]["standalone_question"] != "And where?"
    (tmp_path / "good.jsonl").write_text(json.dumps({"id": 1, "question": OFF_TOPIC}) + "\n", encoding="utf-8")
    assert done_well("search", "--batch", "good.jsonl", "--out", "found.jsonl", "-k", 2, "--index", seeds_index) == ""
    (found,) = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (found["id"], len(found["hits"])) == (1, 2)


def test_an_unusable_index_ends_a_batch_and_keeps_what_was_there(tmp_path: Path):
    (tmp_path / "in.jsonl").write_text('{"question": "Who?"}\n' * 3, encoding="utf-8")
    (tmp_path / "out.jsonl").write_text("hours of work\n", encoding="utf-8")
    assert "run rag ingest" in refused("ask", "--batch", "in.jsonl", "--out", "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "hours of work\n"


def test_a_batch_says_which_file_is_missing(small_index: Path, tmp_path: Path):
    (tmp_path / "in.jsonl").write_text('{"question": "Who?"}\n', encoding="utf-8")
    said = refused("ask", "--batch", "gone.jsonl", "--out", "out.jsonl", "--index", small_index)
    assert "gone.jsonl: No such file" in said
    said = refused("ask", "--batch", "in.jsonl", "--out", "gone/out.jsonl", "--index", small_index)
    assert "gone/out.jsonl: No such file" in said


def test_a_batch_that_cannot_be_read_destroys_no_earlier_output(small_index: Path, tmp_path: Path):
    (tmp_path / "out.jsonl").write_text("hours of work\n", encoding="utf-8")
    refused("ask", "--batch", "gone.jsonl", "--out", "out.jsonl", "--index", small_index)
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == "hours of work\n"


def test_a_batch_can_come_through_a_pipe(small_index: Path, tmp_path: Path):
    done = subprocess.run(
        [RAG, "search", "--batch", "/dev/stdin", "--out", "out.jsonl", "--index", str(small_index)],
        input='{"id": 1, "question": "?!"}\n',
        capture_output=True,
        text=True,
        env=environment(),
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {"id": 1, "question": "?!", "hits": []}


# -- stored answers ----------------------------------------------------------------------------------------------------


def test_verify_finds_that_what_was_asked_stands(seeds_index: Path, tmp_path: Path, asked: str):
    (tmp_path / "answer.json").write_text(asked, encoding="utf-8")
    shown = done_well("verify", tmp_path / "answer.json", "--index", seeds_index)
    assert shown == "stands  Tokayev won the early presidential election with over 81% of the vote.\n"
    found = json.loads(done_well("verify", tmp_path / "answer.json", "--index", seeds_index, "--json"))
    jsonschema.validate(found, json.loads((SCHEMAS / "verify.schema.json").read_text(encoding="utf-8")))
    assert found["stands"]


def test_verify_fails_with_a_line_for_each_fault(seeds_index: Path, tmp_path: Path, asked: str):
    record = json.loads(asked)
    record["claims"][0]["text"] = record["claims"][0]["text"].replace("81", "91")
    (tmp_path / "answers.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    done = in_a_process("verify", tmp_path / "answers.jsonl", "--index", seeds_index, "--json")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2  # the claim is no quote, and the text not what the claims make
    assert all("answers.jsonl: " in line for line in done.stderr.splitlines())
    assert not json.loads(done.stdout)["stands"]


def test_verify_wants_answers(small_index: Path, tmp_path: Path):
    (tmp_path / "no.json").write_text("[]", encoding="utf-8")
    assert "holds no answers" in refused("verify", tmp_path / "no.json", "--index", small_index, code=2)


# -- arguments and settings: exit code 2 -------------------------------------------------------------------------------

USAGE = {
    "an unknown command": (["frobnicate"], "frobnicate"),
    "an unknown option": (["ask", "--frobnicate", "Who?"], "--frobnicate"),
    "a question too many": (["ask", "Who?", "When?"], "When?"),
    "no question": (["ask"], "QUESTION"),
    "a question and a batch": (["ask", "Who?", "--batch", "a", "--out", "b"], "one of the two"),
    "a batch without output": (["search", "--batch", "a"], "belong together"),
    "an output without batch": (["search", "Who?", "--out", "b"], "belong together"),
    "an output over its input": (["search", "--batch", "a", "--out", "./a"], "choose another"),
    "no number": (["search", "Who?", "-k", "many"], "-k"),
    "too small a number": (["search", "Who?", "-k", "0"], "-k"),
    "a date that is none": (["ask", "Who?", "--since", "2025-13-01"], "YYYY-MM-DD"),
    "a date in words": (["search", "Who?", "--until", "yesterday"], "YYYY-MM-DD"),
    "an unknown mode": (["ask", "Who?", "--mode", "sung"], "--mode"),
    "a mode without its model": (["ask", "Who?", "--mode", "written"], "--mode quotes"),
    "a dry run of nothing": (["ingest", "--dry-run"], "PATH"),
    "a port that is none": (["serve", "--port", "70000"], "--port"),
    "nothing": ([], "--help"),
}


def test_wrong_usage_ends_a_process_with_its_line():
    assert "--frobnicate" in refused("ask", "--frobnicate", "Who?", code=2, run=in_a_process)


@pytest.mark.parametrize(("arguments", "said"), USAGE.values(), ids=USAGE.keys())
def test_wrong_usage_is_told_in_one_line(arguments: list[str], said: str, small_index: Path):
    assert said in refused(*arguments, code=2, **({"RAG_INDEX_DIR": str(small_index)} if arguments else {}))


SETTINGS = {
    "unknown": ("RAG_TOPK", "7", "did you mean RAG_TOP_K?"),
    "of another program": ("RAG_FROBNICATE", "1", "unknown setting RAG_FROBNICATE"),
    "out of range": ("RAG_TOP_K", "0", "top_k"),
    "no number": ("RAG_TOP_K", "many", "top_k"),
}


@pytest.mark.parametrize(("name", "value", "said"), SETTINGS.values(), ids=SETTINGS.keys())
def test_a_wrong_setting_is_told_in_one_line(name: str, value: str, said: str):
    assert said in refused("ask", "Who?", code=2, **{name: value})


# -- documents that cannot be taken: exit code 1 -----------------------------------------------------------------------

BAD_FILES = {
    "binary": ("a.txt", b"\0\1\2" * 100, "NUL bytes"),
    "not UTF-8": ("a.txt", "The café stayed open all night. ".encode() * 20 + b"\xff", "UTF-8"),
    "in no encoding": ("a.txt", bytes(range(128, 256)), "UTF-8"),
    "empty": ("a.txt", b"", "holds no text"),
    "blank": ("a.txt", b" \n\t\r\n", "holds no text"),
    "of an unknown format": ("a.xyz", b"Alpha signed the treaty.", ".txt"),
    "of another file's name": ("a\nb.xyz", b"Alpha signed the treaty.", ".txt"),
}


@pytest.mark.parametrize(("name", "content", "said"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_document_is_told_in_one_line_that_names_it(name: str, content: bytes, said: str, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    line = refused("ingest", tmp_path / name)
    assert said in line
    assert name.split("\n", maxsplit=1)[0] in line


def test_a_missing_path_is_told_in_one_line(tmp_path: Path):
    assert f"{tmp_path / 'nowhere'}: nothing is there" in refused("ingest", tmp_path / "nowhere")


def test_an_empty_folder_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    assert "holds no document of a known format" in refused("ingest", tmp_path / "docs")


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "a.txt")
    assert "no regular file" in refused("ingest", tmp_path / "a.txt")


def test_a_link_to_itself_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "a.txt").symlink_to("a.txt")
    line = refused("ingest", tmp_path / "a.txt")
    assert "a.txt: " in line
    assert "unexpected" not in line


WITHOUT_PRIVILEGE = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: with them root reads what nobody may read
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; refused to others than root, who have neither
os.execv(sys.argv[1], sys.argv[1:])
"""


def run_without_privilege(*arguments: object) -> Done:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_PRIVILEGE, RAG, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=WAIT_S,
        check=False,
    )


def test_a_file_that_may_not_be_read_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "a.txt").write_text("Alpha signed the treaty.", encoding="utf-8")
    (tmp_path / "a.txt").chmod(0)
    line = the_line(run_without_privilege("ingest", tmp_path / "a.txt"), 1)
    assert f"{tmp_path / 'a.txt'}: cannot be read: Permission denied" in line


def test_a_folder_that_may_not_be_entered_is_told_and_the_rest_goes_on(tmp_path: Path):
    (tmp_path / "docs" / "locked").mkdir(parents=True)
    (tmp_path / "docs" / "locked" / "a.txt").write_text("Alpha signed the treaty.", encoding="utf-8")
    (tmp_path / "docs" / "b.txt").write_text("\0", encoding="utf-8")
    (tmp_path / "docs" / "locked").chmod(0)
    done = run_without_privilege("ingest", tmp_path / "docs")
    (tmp_path / "docs" / "locked").chmod(0o700)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("rag: ") for line in lines)
    assert any("locked: cannot be looked into: Permission denied" in line for line in lines)
    assert any("NUL bytes" in line for line in lines)


def test_a_file_above_the_limit_is_refused_without_being_read(tmp_path: Path):
    """It may not even be opened here: that its size is what is complained of shows that nobody tried."""
    path = tmp_path / "docs" / "huge.txt"
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(200 * 1024 * 1024)  # sparse: it takes no space
    path.chmod(0)
    line = the_line(run_without_privilege("ingest", tmp_path / "docs"), 1)
    assert "huge.txt: has 200.00 MB, more than the limit of 50.00 MB; RAG_MAX_FILE_MB raises it" in line


def test_a_file_that_may_not_be_read_keeps_no_other_from_being_taken(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "docs" / name).write_bytes(b"\0")
    (tmp_path / "docs" / "a.txt").chmod(0)
    done = run_without_privilege("ingest", tmp_path / "docs" / "a.txt", tmp_path / "docs" / "b.txt")
    assert done.returncode == 1
    assert sorted(line.split(": ")[2] for line in done.stderr.splitlines()) == [
        "cannot be read",
        "holds NUL bytes, so it is no plain text; save it as UTF-8 text",
    ]


def test_a_raised_limit_is_the_limit_that_counts(tmp_path: Path):
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(2 * 1024 * 1024)
    assert "limit of 1.00 MB" in refused("ingest", path, RAG_MAX_FILE_MB="1")
    assert "NUL bytes" in refused("ingest", path, RAG_MAX_FILE_MB="2")


def test_each_of_several_bad_documents_has_its_line(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / "docs" / name).write_bytes(b"\0")
    done = here("ingest", tmp_path / "docs", tmp_path / "nowhere", "--json")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("rag: ") for line in lines)
    failed = json.loads(done.stdout)["failed"]
    assert sorted(f"rag: {item['error']}" for item in failed) == sorted(lines)


# -- indexes that cannot be used: exit code 1 --------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["ask", "search"])
def test_without_an_index_the_line_says_what_to_run(command: str):
    assert ".footnote: no index there; run rag ingest" in refused(command, "Who?")


def test_an_index_of_other_settings_is_told_with_the_way_back(small_index: Path, tmp_path: Path):
    line = refused("ask", "Who?", "--index", small_index, RAG_MAX_PASSAGE_TOKENS="100")
    assert "RAG_MAX_PASSAGE_TOKENS=200" in line
    (tmp_path / "a.txt").write_text("Beta.", encoding="utf-8")
    assert line == refused("ingest", tmp_path / "a.txt", "--index", small_index, RAG_MAX_PASSAGE_TOKENS="100")


@contextmanager
def held(index: Path) -> Iterator[None]:
    """Another process is writing to the index."""
    code = (
        "import sys\nfrom rag import Rag, Settings\n"
        "with Rag(Settings(index_dir=sys.argv[1])).index.write():\n"
        "    print('writing', flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, index],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "writing\n"
        yield
        holder.communicate("")
    assert holder.returncode == 0


def test_an_index_that_another_process_writes_is_told_at_once_and_can_be_asked(small_index: Path, tmp_path: Path):
    index = shutil.copytree(small_index, tmp_path / "index")
    (tmp_path / "a.txt").write_text("Beta.", encoding="utf-8")
    with held(index):
        assert "another process is writing" in refused("ingest", tmp_path / "a.txt", "--index", index)
        assert done_well("search", "?!", "--index", index) == "Nothing found.\n"
    assert "0 added, 1 unchanged" in done_well("ingest", "--index", index)


@pytest.mark.parametrize("damaged", ["catalog.sqlite3", "lexical/*/surface.json", "vectors/*/chroma.sqlite3"])
@pytest.mark.parametrize("content", [b"garbage" * 1000, b"", None], ids=["garbage", "emptied", "gone"])
def test_a_damaged_index_is_told_with_the_way_out(
    damaged: str, content: bytes | None, small_index: Path, tmp_path: Path
):
    index = shutil.copytree(small_index, tmp_path / "index")
    (index / "catalog.sqlite3-wal").unlink(missing_ok=True)
    (path,) = index.glob(damaged)
    path.unlink() if content is None else path.write_bytes(content)
    line = refused("search", "Alpha", "--index", index)
    assert "run rag ingest" in line
    assert str(index) in line


def test_an_index_folder_that_is_a_file_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "a.txt").write_text("Alpha signed the treaty.", encoding="utf-8")
    line = refused("ingest", tmp_path / "a.txt", "--index", tmp_path / "a.txt")
    assert "choose another folder with --index" in line
    assert "no index there" in refused("ask", "Who?", "--index", tmp_path / "a.txt")


# -- questions that are no text ----------------------------------------------------------------------------------------


def test_an_argument_that_is_not_utf8_is_told_in_one_line(seeds_index: Path):
    done = here("ask", os.fsdecode(b"Who is caf\xe9?"), "--index", seeds_index)
    assert done.returncode in {0, 2}, done.stderr
    if done.returncode:
        assert "unexpected" not in the_line(done, 2)
    else:
        assert done.stderr == ""


def test_a_path_that_is_not_utf8_is_told_in_one_line():
    """A process here, too: it is the interpreter that makes text of the bytes."""
    for run in (here, in_a_process):
        assert "nothing is there" in refused("ingest", os.fsdecode(b"caf\xe9.txt"), run=run)


# -- the page ----------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_told_in_one_line(small_index: Path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        line = refused("serve", "--port", port, "--index", small_index, run=in_a_process)
    assert f"127.0.0.1:{port}: another program listens there" in line
    assert "--port" in line


# -- pipes, help, imports ----------------------------------------------------------------------------------------------


def into_a_closed_pipe(*arguments: object) -> Done:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [RAG, *map(str, arguments)],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            timeout=WAIT_S,
            check=False,
        )
    finally:
        os.close(writing)


@pytest.mark.parametrize("form", [["--json"], []], ids=["json", "text"])
def test_a_reader_that_has_gone_is_no_error(form: list[str], small_index: Path):
    """As in ``rag … | head -1``, at its most extreme: nobody reads anything."""
    for arguments in (["search", "?!", "--index", small_index], ["ingest", SEEDS, "--dry-run"]):
        done = into_a_closed_pipe(*arguments, *form)
        assert done.stderr == ""
        assert done.returncode == 0


def test_search_into_head_prints_a_line_and_nothing_else(seeds_index: Path):
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" search "$1" --index "$2" | head -1', RAG, ELECTION, str(seeds_index)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=WAIT_S,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.startswith(" 1. ")
    assert done.stdout.count("\n") == 1


def test_help_lists_the_commands_and_each_has_its_own():
    shown = done_well("--help", run=in_a_process)
    for command in ("ingest", "search", "ask", "serve", "verify"):
        assert command in shown
        assert "--index" in done_well(command, "--help")


def test_help_imports_nothing_heavy():
    assert imported("sys.argv = ['rag', '--help']") == []


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, rag, rag.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "[]\n"


def test_privileges_can_be_dropped_here():
    """Else the tests above that rest on it would pass for the wrong reason, or not at all."""
    code = "import sys; print(open(sys.argv[1]).read())"
    path = Path("secret")
    path.write_text("secret")
    path.chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PRIVILEGE, sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert hasattr(ctypes.CDLL(None), "prctl")
    assert done.returncode == 1
    assert "PermissionError" in done.stderr


def test_a_command_that_is_stopped_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rag.engine.Rag.ask", interrupted)
    monkeypatch.setattr(sys, "argv", ["rag", "ask", "Who?"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "rag: stopped; the index is as it was before\n"
