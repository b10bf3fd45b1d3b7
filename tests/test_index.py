"""What a reader may rely on: before or after, never between; and what a writer must not do."""

import dataclasses
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import HashingEncoder
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from rag import Rag, Settings
from rag.config import BUNDLED_ENCODER
from rag.errors import IndexDamaged, IndexLocked, IndexMismatch, IndexMissing, IndexUnusable
from rag.index import Catalog
from rag.index.lexical import LexicalIndex
from rag.index.vectors import Segment
from rag.values import UNITS

Open = Callable[..., Rag]


def write(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def contents(rag: Rag) -> dict[str, object]:
    """Everything a reader can see, but for when documents were added and how vectors lie in segments."""
    with rag.index.read() as reading:
        units = {u: sorted(i.ids) for u, i in reading.lexical.units.items()}
        for unit, ids in units.items():
            assert sorted(reading.vectors(unit, ids)) == ids, "every unit of the word index has its vector"
        entries = [dataclasses.replace(e, added_at=None, segment=0, root="") for e in reading.catalog.entries()]
        query = reading.lexical.query("alpha beta gamma treaty")
        ranked = [reading.lexical.rank(unit, query, 50) for unit in UNITS]
        return {
            "entries": entries,
            "units": units,
            "passages": [reading.catalog.passages_of(e.document.id) for e in entries],
            "ranked": [[(i, round(s, 4)) for i, s in ranking] for ranking in ranked],
            "surface": dict(sorted(reading.lexical.surface.items())),
        }


def test_a_missing_index_says_what_to_run(open_rag: Open):
    with pytest.raises(IndexMissing, match="run rag ingest"):
        open_rag().ask("Who won?")


def test_ingesting_twice_embeds_nothing_and_changes_nothing(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", one="Alpha signed the treaty. Beta did not.", two="Gamma spoke in May.")
    rag = open_rag()
    first = rag.ingest([docs])
    before, files = contents(rag), {p: p.stat().st_mtime_ns for p in rag.settings.index_dir.rglob("*.npy")}
    second = open_rag().ingest([docs])
    assert (first.added, second.unchanged) == (("one.txt", "two.txt"), ("one.txt", "two.txt"))
    assert (second.n_embedded, second.index_version) == (0, first.index_version)
    assert contents(rag) == before
    assert files == {p: p.stat().st_mtime_ns for p in rag.settings.index_dir.rglob("*.npy")}


def test_the_model_is_not_loaded_when_nothing_has_changed(tmp_path: Path):
    docs = write(tmp_path / "docs", one="Alpha signed the treaty.")
    encoder = HashingEncoder()
    encoder.name = BUNDLED_ENCODER  # an index as the model makes it, but for its vectors, which nobody looks at
    Rag(Settings(index_dir=tmp_path / "i"), encoder=encoder).ingest([docs])
    code = (
        "import sys; from rag import Rag, Settings\n"
        f"report = Rag(Settings(index_dir={str(tmp_path / 'i')!r})).ingest([{str(docs)!r}])\n"
        "print(report.unchanged, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('one.txt',) False"


def test_a_changed_document_embeds_only_itself(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", one="Alpha signed the treaty.", two="Beta spoke in May.")
    rag = open_rag()
    rag.ingest([docs])
    write(docs, two="Beta spoke in June.")
    report = rag.ingest([docs])
    assert (report.updated, report.unchanged) == (("two.txt",), ("one.txt",))
    assert report.n_embedded == 2, "one passage and its one sentence, whose texts are the same but differ from before"
    assert rag.search("When did Beta speak?")[0].passage.text == "Beta spoke in June."
    assert all("May" not in h.passage.text for h in rag.search("Beta May"))


def test_a_changed_description_embeds_nothing(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", one="Alpha signed the treaty.")
    rag = open_rag()
    rag.ingest([docs])
    (docs / "sources.toml").write_text('["one.txt"]\ntitle = "The treaty"\n', encoding="utf-8")
    report = rag.ingest([docs])
    assert (report.updated, report.n_embedded) == (("one.txt",), 0)
    assert rag.documents()[0].document.title == "The treaty"
    assert rag.search("treaty")


def test_documents_are_removed_only_when_asked(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", one="Alpha signed the treaty.", two="Beta spoke in May.")
    other = write(tmp_path / "other", three="Gamma stayed at home.")
    rag = open_rag()
    rag.ingest([docs, other])
    (docs / "two.txt").unlink()
    assert rag.ingest([docs]).removed == ()
    assert rag.ingest([docs], prune=True).removed == ("two.txt",)
    assert [e.document.source for e in rag.documents()] == ["one.txt", "three.txt"]
    assert all("Beta" not in h.passage.text for h in rag.search("Beta May"))


def test_documents_are_removed_by_id_all_or_none(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", one="Alpha signed the treaty.", two="Beta spoke in May.", three="Gamma left.")
    rag = open_rag()
    rag.ingest([docs])
    ids = {listed.source: listed.doc_id for listed in rag.listing()}
    with pytest.raises(KeyError):
        rag.remove([ids["one.txt"], "0" * 16])
    assert len(rag.listing()) == 3
    rag.remove([ids["one.txt"], ids["two.txt"]])
    assert [listed.source for listed in rag.listing()] == ["three.txt"]
    assert {hit.passage.source for hit in rag.search("treaty")} == {"three.txt"}
    assert (docs / "one.txt").exists()


def test_a_listing_says_of_each_document_what_its_entry_does(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", one="Alpha signed the treaty.\n\nAdvertisement\n", two="Beta spoke in May.")
    rag = open_rag()
    rag.ingest([docs])
    for listed, entry in zip(rag.listing(), rag.documents(), strict=True):
        document = entry.document
        assert (listed.doc_id, listed.root, listed.source) == (document.id, entry.root, document.source)
        assert (listed.title, listed.publisher, listed.date) == (document.title, document.publisher, document.date)
        assert (listed.added_at, listed.n_passages) == (entry.added_at, entry.n_passages)
        assert listed.n_excluded == len(entry.excluded)
        assert rag.entry(listed.doc_id) == entry
    assert [listed.n_excluded for listed in rag.listing()] == [1, 0]


def test_the_order_of_ingesting_does_not_matter(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", a="Alpha signed the treaty.", b="Beta spoke of Alpha.", c="Gamma met Beta in May.")
    together, apart = open_rag(index_dir=tmp_path / "1"), open_rag(index_dir=tmp_path / "2")
    together.ingest([docs])
    for name in "cab":
        apart.ingest([docs / f"{name}.txt"])
    one, other = contents(together), contents(apart)
    assert {k: one[k] for k in ("entries", "passages", "surface", "ranked")} == {
        k: other[k] for k in ("entries", "passages", "surface", "ranked")
    }


_words = st.lists(
    st.sampled_from("alpha beta gamma treaty signed spoke met never twice".split()), min_size=1, max_size=30
)
_texts = _words.map(lambda words: " ".join(words).capitalize() + ".")
_changes = st.dictionaries(
    st.sampled_from("abcde"), st.none() | _texts, min_size=1, max_size=4
)  # None: delete the file


@examples(max_examples=12)
@given(steps=st.lists(_changes, min_size=1, max_size=4))
def test_any_sequence_of_changes_equals_a_clean_build(
    steps: list[dict[str, str | None]], tmp_path_factory: pytest.TempPathFactory
):
    tmp = tmp_path_factory.mktemp("steps")
    docs = write(tmp / "docs", always="Delta stays here.")
    grown = Rag(Settings(index_dir=tmp / "grown"), encoder=HashingEncoder())
    for step in steps:
        for name, text in step.items():
            if text is None:
                (docs / f"{name}.txt").unlink(missing_ok=True)
            else:
                write(docs, **{name: text})
        grown.ingest([docs], prune=True)
    clean = Rag(Settings(index_dir=tmp / "clean"), encoder=HashingEncoder())
    clean.ingest([docs])
    assert contents(grown) == contents(clean)
    grown.close()
    clean.close()


class Broken(Exception):
    pass


STEPS = """rag.index.vectors.Segment.create rag.index.vectors.Segment.add rag.index.catalog.Catalog.put
rag.index.lexical.LexicalIndex.save rag.index.bm25.UnitIndex.save rag.index.catalog.Catalog.commit
rag.index.transaction.Transaction.commit""".split()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [0, 1])
def test_a_failure_at_any_step_then_a_rerun_equals_a_clean_build(
    step: str, after: int, open_rag: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    docs = write(tmp_path / "docs", a="Alpha signed the treaty.", b="Beta spoke of Alpha.")
    rag = open_rag(index_dir=tmp_path / "1")
    rag.ingest([docs])
    before = contents(rag)
    write(docs, b="Beta never spoke.", c="Gamma met Beta in May.", d="Delta left.")
    module, _, name = step.rpartition(".")
    owner = __import__(module.rpartition(".")[0], fromlist=["x"]).__dict__[module.rpartition(".")[2]]
    original, calls = getattr(owner, name), []

    def failing(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) > after:
            raise Broken
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        try:
            rag.ingest([docs])
            assert len(calls) <= after, "the step was reached and did not fail"
        except Broken:
            assert contents(rag) == before
    rag.ingest([docs])
    clean = open_rag(index_dir=tmp_path / "2")
    clean.ingest([docs])
    assert contents(rag) == contents(clean)


# A process that has imported what the others need makes them by forking, before it has opened anything itself.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["chromadb", "hypothesis", "pytest", "rag.engine"])
OWNERS = {"add": Segment, "save": LexicalIndex, "commit": Catalog}


def _killed(step: str, before: bool, index: Path, docs: Path) -> None:
    original = getattr(OWNERS[step], step)

    def killed(*args: object, **kwargs: object) -> None:
        if not before:
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(OWNERS[step], step, killed)
    _ingest(index, docs)


def _ingest(index: Path, docs: Path) -> None:
    Rag(Settings(index_dir=index), encoder=HashingEncoder()).ingest([docs])


def in_another_process(work: Callable[..., None], *arguments: object) -> int:
    """Return the exit code."""
    worker = PROCESSES.Process(target=work, args=arguments)
    worker.start()
    worker.join(120)
    assert worker.exitcode is not None
    return worker.exitcode


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", OWNERS)
def test_a_killed_writer_leaves_the_last_commit_answering(step: str, before: bool, open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", a="Alpha signed the treaty.")
    rag = open_rag(index_dir=tmp_path / "i")
    rag.ingest([docs])
    old = contents(rag)
    write(docs, b="Beta spoke of Alpha.")
    assert in_another_process(_killed, step, before, tmp_path / "i", docs) == -signal.SIGKILL
    clean = open_rag(index_dir=tmp_path / "clean")
    clean.ingest([docs])
    committed = step == "commit" and not before
    assert contents(rag) == (contents(clean) if committed else old)
    rag.ingest([docs])
    assert contents(rag) == contents(clean)


def test_a_second_writer_gets_an_error_at_once(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", a="Alpha signed the treaty.")
    first, second = open_rag(), open_rag()
    first.ingest([docs])
    with first.index.write(), pytest.raises(IndexLocked, match="another process is writing"):
        second.ingest([docs])
    assert second.ingest([docs]).unchanged == ("a.txt",)


def test_a_reader_sees_another_process_finish_at_its_next_question(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", a="Alpha signed the treaty.")
    reader = open_rag()
    reader.ingest([docs])
    assert not any("Omega" in h.passage.text for h in reader.search("Omega"))
    write(docs, b="Omega arrived at noon.")
    assert in_another_process(_ingest, tmp_path / "index", docs) == 0
    assert reader.search("When did Omega arrive?")[0].passage.text == "Omega arrived at noon."


def test_questions_during_ingests_never_fail_and_never_see_a_half(open_rag: Open, tmp_path: Path):
    """Each ingest adds two documents that name each other: a reader must see both or neither."""
    docs = write(tmp_path / "docs", base="Nothing happened.")
    writer, reader = open_rag(), open_rag()
    writer.ingest([docs])
    stop, problems = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            try:
                with reader.index.read() as reading:
                    sources = [e.document.source for e in reading.catalog.entries()]
                    ids = [i for u in ("sentences",) for i in reading.lexical.units[u].ids]
                    if len(reading.vectors("sentences", ids)) != len(set(ids)):
                        problems.append("a sentence without a vector")
                if len([s for s in sources if s != "base.txt"]) % 2:
                    problems.append(f"half of a commit: {sources}")
                reader.search("Who signed the treaty with Beta?")
            except Exception as error:  # noqa: BLE001 - collected for the assertion
                problems.append(repr(error))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for i in range(8):
            pair = {f"left{i}": f"Alpha {i} signed the treaty with Beta {i}.", f"right{i}": f"Beta {i} met Alpha {i}."}
            writer.ingest([write(docs, **pair)])
    finally:
        stop.set()
    for thread in threads:
        thread.join(60)
    assert problems == []


def test_adding_a_document_leaves_large_segments_as_they_are(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", big=" ".join(f"Delegate {i} signed treaty number {i}." for i in range(400)))
    rag = open_rag()
    rag.ingest([docs])
    vectors = tmp_path / "index" / "vectors"
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in vectors.rglob("*.bin")}
    for i in range(5):
        rag.ingest([write(tmp_path / "docs", **{f"small{i}": f"Observer {i} watched."})])
    assert before
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in before} == before
    with rag.index.read() as reading:
        assert len(reading.segments) <= 4, "small segments are merged"
    assert rag.search("Which observer watched?", top_k=5)
    assert rag.search("Who signed treaty number 399?")[0].passage.source == "big.txt"


def test_files_out_of_use_are_deleted_once_no_question_can_be_reading_them(
    open_rag: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    docs, rag = write(tmp_path / "docs", a="Alpha signed the treaty."), open_rag()

    def on_disk() -> set[str]:
        return {
            f"{p.parent.name}/{p.name}"
            for kind in ("vectors", "lexical")
            for p in (tmp_path / "index" / kind).iterdir()
        }

    rag.ingest([docs])
    first = on_disk()
    rag.ingest([write(docs, a="Beta tore it up.")])
    assert first <= on_disk()
    monkeypatch.setattr("rag.index.index._GRACE_S", -1.0)
    rag.ingest([write(docs, a="Gamma wrote a new one.")])
    rag.ingest([docs])
    assert not first & on_disk()
    assert len(on_disk()) == 2
    assert rag.search("Who wrote a new one?")[0].passage.text == "Gamma wrote a new one."


def test_an_index_built_with_other_settings_is_refused(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", a="Alpha signed the treaty.")
    open_rag().ingest([docs])
    other = open_rag(max_passage_tokens=100)
    for action in (lambda: other.ask("Who signed?"), lambda: other.ingest([docs])):
        with pytest.raises(IndexMismatch, match="RAG_MAX_PASSAGE_TOKENS=200"):
            action()


def test_damage_is_named_in_one_line(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", a="Alpha signed the treaty.")
    folder = tmp_path / "index"

    def damage(pattern: str) -> None:
        open_rag().ingest([docs])
        for path in folder.glob(pattern):
            path.write_bytes(b"garbage") if path.stat().st_size else path.unlink()

    for pattern in (
        "catalog.sqlite3",
        "lexical/*/surface.json",
        "lexical/*/passages/*.npy",
        "vectors/*/chroma.sqlite3",
    ):
        damage(pattern)
        (folder / "catalog.sqlite3-wal").unlink(missing_ok=True)
        with pytest.raises(IndexDamaged, match="run rag ingest") as caught:
            open_rag().search("Who signed the treaty?")
        assert "\n" not in str(caught.value)
        shutil.rmtree(folder)


def test_a_full_disk_leaves_the_index_as_it_was(open_rag: Open, tmp_path: Path):
    """A limit on file size stands in for a full disk: the system refuses the write in the same places."""
    docs = write(tmp_path / "docs", a="Alpha signed the treaty.")
    rag = open_rag(index_dir=tmp_path / "i")
    rag.ingest([docs])
    before = contents(rag)
    write(docs, big=" ".join(f"Delegate {i} signed treaty number {i}." for i in range(3000)))
    code = (
        f"import resource, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from conftest import HashingEncoder\nfrom rag import Rag, Settings\nfrom rag.errors import IndexUnusable\n"
        "import chromadb, rag.engine\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))\n"
        f"try: Rag(Settings(index_dir={str(tmp_path / 'i')!r}), encoder=HashingEncoder()).ingest([{str(docs)!r}])\n"
        "except IndexUnusable as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "run rag ingest again" in done.stdout, done.stderr[-2000:]
    assert contents(rag) == before
    assert rag.ingest([docs]).added == ("big.txt",)


def test_an_index_made_anew_in_the_same_place_is_not_mixed_with_the_old_one(open_rag: Open, tmp_path: Path):
    docs, rag = write(tmp_path / "docs", a="Alpha signed the treaty."), open_rag()
    rag.ingest([docs])
    assert rag.search("Alpha")
    shutil.rmtree(tmp_path / "index")
    open_rag().ingest([write(docs, a="Beta tore it up.")])
    assert [hit.passage.text for hit in rag.search("Alpha")] == ["Beta tore it up."]


def test_a_folder_that_cannot_be_made_is_named(open_rag: Open, tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(IndexUnusable, match="choose another folder with --index"):
        open_rag(index_dir=tmp_path / "file" / "index").ingest([write(tmp_path / "docs", a="Alpha.")])


def test_two_folders_with_a_document_of_the_same_name_do_not_overwrite_each_other(open_rag: Open, tmp_path: Path):
    one, two = write(tmp_path / "1", a="Alpha signed the treaty."), write(tmp_path / "2", a="Beta signed nothing.")
    rag = open_rag()
    rag.ingest([one])
    report = rag.ingest([two])
    assert len(report.failed) == 1
    assert "ingest a folder above both" in report.failed[0][1]
    assert rag.documents()[0].document.text == "Alpha signed the treaty."
    (one / "a.txt").unlink()  # moved away: the name is free
    assert rag.ingest([two]).updated == ("a.txt",)


def test_one_bad_file_stops_nothing_else(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", good="Alpha signed the treaty.", empty="  \n ")
    (docs / "binary.txt").write_bytes(b"\x00\x01\x02" * 100)
    rag = open_rag()
    report = rag.ingest([docs, tmp_path / "nowhere"])
    assert report.added == ("good.txt",)
    assert len(report.failed) == 3
    assert all("\n" not in line for _, line in report.failed)


def test_ingest_without_paths_looks_at_the_known_documents_again(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs" / "deep", a="Alpha signed the treaty.").parent
    rag = open_rag()
    rag.ingest([docs])
    write(docs / "deep", a="Alpha tore the treaty up.")
    assert rag.ingest().updated == ("deep/a.txt",)
    assert rag.documents()[0].document.text == "Alpha tore the treaty up."


def test_a_shortened_vector_file_is_damage_and_not_a_crash(open_rag: Open, tmp_path: Path):
    open_rag().ingest([write(tmp_path / "docs", a="Alpha signed the treaty.")])
    for path in (tmp_path / "index").glob("vectors/*/*/data_level0.bin"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(IndexDamaged, match="not whole"):
        open_rag().search("Who signed the treaty?")


def test_an_index_inside_the_folder_is_no_document(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs", a="Alpha signed the treaty.")
    rag = open_rag(index_dir=docs / "idx")
    assert [rag.ingest([docs]).added, rag.ingest([docs]).added] == [("a.txt",), ()]


def test_one_file_is_one_document_by_whatever_path_it_is_named(open_rag: Open, tmp_path: Path):
    docs = write(tmp_path / "docs" / "deep", a="Alpha signed the treaty.").parent
    rag = open_rag()
    rag.ingest([docs / "deep" / "a.txt"])
    rag.ingest([docs])
    assert [entry.document.source for entry in rag.documents()] == ["deep/a.txt"]
    assert rag.ingest([docs / "deep" / "a.txt"]).unchanged == ("deep/a.txt",)


def test_a_document_replaced_by_a_link_out_of_its_folder_is_not_followed(open_rag: Open, tmp_path: Path):
    docs, rag = write(tmp_path / "docs", a="Alpha signed the treaty."), open_rag()
    rag.ingest([docs])
    secret = write(tmp_path / "elsewhere", secret="Omega is the password.") / "secret.txt"
    (docs / "a.txt").unlink()
    (docs / "a.txt").symlink_to(secret)
    rag.ingest()
    assert not any("Omega" in hit.passage.text for hit in rag.search("Omega password"))


def test_an_ignored_document_goes_when_pruned(open_rag: Open, tmp_path: Path):
    docs, rag = write(tmp_path / "docs", a="Alpha signed the treaty.", b="Beta left."), open_rag()
    rag.ingest([docs])
    (docs / "sources.toml").write_text('ignore = ["b.txt"]\n', encoding="utf-8")
    assert rag.ingest([docs], prune=True).removed == ("b.txt",)


def test_nothing_to_ingest_makes_no_index_that_answers(open_rag: Open, tmp_path: Path):
    assert open_rag().ingest([tmp_path / "nowhere"]).failed
    with pytest.raises(IndexMissing, match="run rag ingest"):
        open_rag().ask("Who won?")


def test_an_index_of_another_encoder_is_refused(open_rag: Open, tmp_path: Path):
    open_rag().ingest([write(tmp_path / "docs", a="Alpha signed the treaty.")])
    other = HashingEncoder()
    other.name = "another"
    with pytest.raises(IndexMismatch, match="built with encoder = hashing"):
        open_rag(encoder=other).ask("Who signed?")


def test_a_filter_may_let_any_number_of_documents_through(
    open_rag: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    texts = {f"{place}{i}": f"Delegate {i} of {place} signed." for place in ("north", "south") for i in range(6)}
    rag = open_rag()
    rag.ingest([write(tmp_path / "docs", **texts)])
    named = [hit.passage.source for hit in rag.search("Which delegate of north signed?", source="north1.txt")]
    monkeypatch.setattr("rag.index.snapshot._MAX_NAMED_DOCUMENTS", 0)
    assert [hit.passage.source for hit in rag.search("Which delegate of north signed?", source="north1.txt")] == named
    assert named == ["north1.txt"]
