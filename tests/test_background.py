"""Files are read and indexed in other processes, with limits that hold."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag import Rag, Settings
from rag.errors import IndexLocked
from rag.web.server import background
from rag.web.server.background import Background


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[Rag]:
    opened = Rag(Settings(index_dir=tmp_path / "index"))
    yield opened
    opened.close()


@pytest.fixture
def reading(rag: Rag) -> Iterator[Background]:
    with Background(rag.settings) as begun:
        yield begun


def test_what_can_be_read_has_no_problem_and_what_cannot_has_its_line(reading: Background, tmp_path: Path) -> None:
    good, bad = tmp_path / "a.txt", tmp_path / "b.pdf"
    good.write_text("The sky is blue.\n", encoding="utf-8")
    bad.write_bytes(b"%PDF-1.7 and nothing of one")
    assert reading.problem(good) is None
    assert reading.problem(bad) == f"{bad}: is no PDF that can be read; save it again"
    assert reading.problem(good) is None


def test_a_file_that_takes_too_long_costs_its_line_and_nothing_else(
    reading: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("The sky is blue. " * 20_000, encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(background, "READ_S", 0.3)
        patched.setattr(background, "READ_S_PER_MB", 0.0)
        assert "takes longer than 0 seconds to read" in (reading.problem(path) or "")
    path.write_text("The sky is blue.\n", encoding="utf-8")
    assert reading.problem(path) is None


def test_a_file_that_takes_too_much_memory_costs_its_line_and_nothing_else(
    rag: Rag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("The sky is blue.\n", encoding="utf-8")
    monkeypatch.setattr(background, "READ_MEMORY_MB", 450)
    with Background(rag.settings) as reading:
        assert reading.problem(path) is None
        path.write_text("The sky is blue.\n" * 2_000_000, encoding="utf-8")
        assert "cannot be read" in (reading.problem(path) or "")
        path.write_text("The sky is blue.\n", encoding="utf-8")
        assert reading.problem(path) is None


def test_an_ingest_is_what_it_is_in_this_process(reading: Background, rag: Rag, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The sky is blue.\n", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"\0")
    signs: list[tuple[int, int, str]] = []
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    report = reading.ingest(paths, on_progress=lambda *sign: signs.append(sign))
    assert report.added == ("a.txt",)
    assert [path for path, _ in report.failed] == [str(tmp_path / "b.txt")]
    assert (0, 2, "a.txt") in signs
    assert [listed.source for listed in rag.listing()] == ["a.txt"]
    assert rag.ingest(paths).unchanged == ("a.txt",), "the same index, to the last hash"


def test_errors_of_the_index_arrive_as_what_they_are(reading: Background, rag: Rag, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The sky is blue.\n", encoding="utf-8")
    rag.ingest([tmp_path / "a.txt"])
    with rag.index.write(), pytest.raises(IndexLocked, match="another process is writing"):
        reading.ingest([tmp_path / "a.txt"], on_progress=lambda *_: None)


def test_a_process_that_is_gone_is_an_error_of_one_line(rag: Rag, tmp_path: Path) -> None:
    with Background(rag.settings) as reading:
        reading._indexing.kill()
        with pytest.raises(background.ReadingFailed, match="has ended; try again"):
            reading.ingest([tmp_path], on_progress=lambda *_: None)


def test_a_secret_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_AUTH", "ann:hunter2")
    monkeypatch.setenv("RAG_LLM_API_KEY", "hunter2")
    assert "hunter2" not in str(background._environment("index"))
