"""The library: files into the index and out of it, in the browser and without."""

import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import OpenPage, ask, served
from conftest import HashingEncoder
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from rag import Answer, Rag, Settings
from rag.documents import LOADERS
from rag.errors import UsageError
from rag.models import SentenceEncoder
from rag.web import library
from rag.web.library import Received, add, delete, file_name, folder_of, reread, unread

SKY = "The sky over Zorblatt is blue.\n"
FACT = "Mira Quillon won the chess tournament of Zorblatt in May.\n"
WAIT_MS = 180_000  # another process loads a model first, and gives way to all others
WINNER = "Who won the chess tournament of Zorblatt?"

Open = Callable[..., Rag]
Upload = Callable[..., list[Received]]


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    """Write files as the server hands them over, to be moved away."""

    def write(**texts: str | bytes) -> list[Received]:
        received = []
        for number, (name, text) in enumerate(texts.items()):
            path = tmp_path / "uploads" / f"{len(list(tmp_path.glob('uploads/*')))}{number}" / "file"
            path.parent.mkdir(parents=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            received.append(Received(name.replace("__", "."), path))
        return received

    return write


def outcome(rag: Rag, files: list[Received]) -> dict[str, tuple[str, str]]:
    *_, last = add(rag, files)
    return {upload.name: (upload.state, upload.line) for upload in last}


# -- names -------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=80), st.sampled_from([".txt", ".md", ".TXT"]))
def test_a_file_gets_a_name_of_one_visible_part_whatever_it_was_called(stem: str, suffix: str) -> None:
    try:
        name = file_name(stem + suffix)
    except UsageError:
        return
    assert Path("/library", name).parent == Path("/library")
    assert Path("/library", name).resolve() == Path("/library", name)
    assert not set(name) & set('/\\<>:"|?*\n\r\t\0')
    assert not name.startswith(".")
    assert name.isprintable()
    assert len(name.encode()) <= 255


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("report.txt", "report.txt"),
        ("../../etc/cron.d/job.txt", "job.txt"),
        ("C:\\Users\\me\\notes.MD", "notes.md"),
        ("...hidden.txt", "hidden.txt"),
        ("<img src=x>.txt", "_img src=x_.txt"),
        ("gpj\u202etxt.txt", "gpjtxt.txt"),
    ],
)
def test_names_are_kept_as_far_as_they_are_harmless(given_name: str, name: str) -> None:
    assert file_name(given_name) == name


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.exe", "a", ".txt", "", "a.txt.zip"])
def test_archives_and_other_kinds_of_files_are_refused_by_a_line(name: str) -> None:
    with pytest.raises(UsageError, match="this kind of file is not read; known are"):
        file_name(name)


# -- taking in ---------------------------------------------------------------------------------------------------------


def test_each_file_has_an_outcome_and_good_ones_become_documents(open_rag: Open, upload: Upload) -> None:
    rag = open_rag()
    steps = list(add(rag, upload(good__txt=SKY, empty__txt=" \n", noise__txt=b"\0\1\2", packed__zip=b"PK")))
    assert [u.state for u in steps[0]] == ["waiting"] * 4
    assert {u.name: u.state for u in steps[-1]} == {
        "good.txt": "done",
        "empty.txt": "refused",
        "noise.txt": "refused",
        "packed.zip": "refused",
    }
    assert {u.name: u.line for u in steps[-1]}["good.txt"] == "added, 1 passage"
    assert str(rag.settings.index_dir) not in " ".join(u.line for u in steps[-1])
    assert [listed.source for listed in rag.listing()] == ["good.txt"]
    assert [path.name for path in folder_of(rag).iterdir()] == ["good.txt"]


def test_a_second_upload_of_a_name_replaces_the_first_and_says_so(open_rag: Open, upload: Upload) -> None:
    rag = open_rag()
    outcome(rag, upload(a__txt=SKY))
    assert outcome(rag, upload(a__txt=FACT)) == {"a.txt": ("done", "replaced the document of this name, 1 passage")}
    assert [entry.document.text for entry in rag.documents()] == [FACT]
    assert outcome(rag, upload(a__txt=FACT)) == {"a.txt": ("done", "is there already, unchanged, 1 passage")}


def test_a_bad_file_does_not_replace_a_good_one(open_rag: Open, upload: Upload) -> None:
    rag = open_rag()
    outcome(rag, upload(a__txt=SKY))
    assert outcome(rag, upload(a__txt=b"\0"))["a.txt"][0] == "refused"
    assert (folder_of(rag) / "a.txt").read_text() == SKY
    assert [entry.document.text for entry in rag.documents()] == [SKY]


def test_a_document_of_another_folder_is_never_replaced(open_rag: Open, upload: Upload, tmp_path: Path) -> None:
    rag = open_rag()
    (tmp_path / "a.txt").write_text(SKY)
    rag.ingest([tmp_path / "a.txt"])
    state, line = outcome(rag, upload(a__txt=FACT))["a.txt"]
    assert (state, "rename the file" in line) == ("refused", True)
    assert [entry.document.text for entry in rag.documents()] == [SKY]


def test_more_files_than_allowed_are_refused_together(open_rag: Open, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="upload fewer"):
        list(add(open_rag(), [Received("a.txt", tmp_path)] * (library.MAX_UPLOAD_FILES + 1)))


def test_a_busy_index_gives_a_line_and_nothing_is_lost(
    open_rag: Open, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "_WAIT_S", 0.0)
    rag = open_rag()
    outcome(rag, upload(a__txt=SKY))
    with rag.index.write():
        state, line = outcome(rag, upload(b__txt=FACT))["b.txt"]
    assert (state, "another process is writing" in line, "kept in the library" in line) == ("refused", True, True)
    assert unread(rag) == ["b.txt"]
    assert [listed.source for listed in rag.listing()] == ["a.txt"]
    *_, line = reread(rag)
    assert line == "All files were read again; 1 had changed."
    assert unread(rag) == []
    assert [listed.source for listed in rag.listing()] == ["a.txt", "b.txt"]


def test_a_writer_is_waited_for(open_rag: Open, upload: Upload) -> None:
    rag = open_rag()
    outcome(rag, upload(a__txt=SKY))
    writing, written = threading.Event(), threading.Event()

    def write() -> None:
        with rag.index.write():
            writing.set()
            assert written.wait(20)

    other = threading.Thread(target=write)
    other.start()
    assert writing.wait(20)
    steps = []
    for uploads in add(rag, upload(b__txt=FACT)):
        steps.append(uploads[0].line)
        if uploads[0].line.startswith("waiting for another"):
            written.set()
    other.join()
    assert "waiting for another writer to be done" in steps
    assert steps[-1] == "added, 1 passage"


# -- out again ---------------------------------------------------------------------------------------------------------


def test_deleting_takes_an_uploaded_file_along_and_leaves_others(
    open_rag: Open, upload: Upload, tmp_path: Path
) -> None:
    rag = open_rag()
    (tmp_path / "b.txt").write_text(SKY)
    rag.ingest([tmp_path / "b.txt"])
    outcome(rag, upload(a__txt=FACT))
    ids = {listed.source: listed.doc_id for listed in rag.listing()}
    assert delete(rag, ids["a.txt"]) == "a.txt is deleted."
    assert not (folder_of(rag) / "a.txt").exists()
    assert delete(rag, ids["b.txt"]) == f"b.txt is out of the index. Its file stays in {tmp_path}."
    assert (tmp_path / "b.txt").exists()
    assert library.listing(rag) == []
    with pytest.raises(UsageError, match="not in the index any more"):
        delete(rag, ids["a.txt"])


def test_a_file_changed_on_the_disk_is_read_again(open_rag: Open, upload: Upload) -> None:
    rag = open_rag()
    outcome(rag, upload(a__txt=SKY))
    (folder_of(rag) / "a.txt").write_text(FACT)
    *_, line = reread(rag)
    assert line == "All files were read again; 1 had changed."
    assert [entry.document.text for entry in rag.documents()] == [FACT]


def test_an_upload_neither_holds_up_nor_breaks_an_answer(
    tmp_path: Path, encoder: SentenceEncoder, upload: Upload
) -> None:
    (tmp_path / "a.txt").write_text(FACT)
    rag = Rag(Settings(index_dir=tmp_path / "index"), encoder=encoder)
    rag.ingest([tmp_path / "a.txt"])
    reached, go_on = threading.Event(), threading.Event()

    class Slow(HashingEncoder):
        name = encoder.name
        max_pieces = encoder.max_pieces

        def encode(self, texts):
            reached.set()
            assert go_on.wait(60)
            return encoder.encode(texts)

    writer = Rag(Settings(index_dir=tmp_path / "index"), encoder=Slow())
    steps = threading.Thread(target=lambda: list(add(writer, upload(b__txt=SKY))))
    steps.start()
    assert reached.wait(60)
    answer = rag.ask(WINNER)
    go_on.set()
    steps.join()
    assert isinstance(answer, Answer)
    assert answer.citations[0].quote == FACT.strip()
    assert [listed.source for listed in rag.listing()] == ["a.txt", "b.txt"]
    rag.close()
    writer.close()


# -- in the browser ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own_page(tmp_path: Path, encoder: SentenceEncoder, open_page: OpenPage) -> Iterator[Page]:
    """A page over an index of its own, with one document."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "sky.txt").write_text(SKY, encoding="utf-8")
    rag = Rag(Settings(index_dir=tmp_path / "index"), encoder=encoder)
    assert not rag.ingest([tmp_path / "reports"]).failed
    rag.close()
    with served(tmp_path / "index") as address:
        yield open_page(address)


def add_files(page: Page, *files: Path) -> None:
    page.get_by_role("tab", name="Library").click()
    page.locator("#library input[type=file]").set_input_files(files)


def test_documents_are_added_asked_replaced_read_again_and_deleted(own_page: Page, tmp_path: Path) -> None:
    page, index = own_page, tmp_path / "index"
    chess, packed = tmp_path / "chess.md", tmp_path / "packed.zip"
    chess.write_text(f"# The tournament\n\nAdvertisement\n\n{FACT}", encoding="utf-8")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", FACT)

    page.get_by_label("until").evaluate("box => box.closest('details').open = true")
    page.get_by_label("until").fill("2999-01-01")
    add_files(page, chess, packed)
    uploads = page.locator(".uploads li")
    known = ", ".join(sorted(LOADERS))
    expect(uploads).to_have_text(
        ["chess.md added, 2 passages", f"packed.zip packed.zip: this kind of file is not read; known are {known}"],
        timeout=WAIT_MS,
    )
    row = page.locator(".library tbody tr").first
    expect(row).to_contain_text("The tournament")
    expect(row).to_contain_text("1 line")
    assert (index / "library" / "chess.md").read_bytes() == chess.read_bytes()

    row.locator("button.title").click()
    expect(page.get_by_role("dialog").locator(".excluded")).to_have_text("Advertisement")
    page.keyboard.press("Escape")

    page.get_by_role("tab", name="Ask").click()
    expect(page.locator(".choice summary")).to_have_text("until 2999-01-01")  # as it was chosen before
    page.locator(".choice button").evaluate("button => button.click()")
    expect(page.locator(".choice summary")).to_have_text("All documents")
    expect(ask(page, WINNER).locator(".statement")).to_have_text(FACT.strip())

    chess.write_text(f"# The tournament\n\n{FACT.replace('Mira Quillon', 'Odo Brandt')}", encoding="utf-8")
    add_files(page, chess)
    expect(uploads).to_have_text(["chess.md replaced the document of this name, 1 passage"], timeout=WAIT_MS)
    page.get_by_role("tab", name="Ask").click()
    page.locator("#turn-1-marker-1").click()
    expect(page.get_by_role("dialog")).to_contain_text("not in the library any more")
    page.keyboard.press("Escape")
    page.reload()  # what was kept is checked against the documents of now
    expect(page.locator("#turn-1-note-1 .problem")).to_contain_text("These characters are not there any more")
    expect(ask(page, WINNER).locator(".statement")).to_contain_text("Odo Brandt")

    page.get_by_role("tab", name="Library").click()
    (tmp_path / "reports" / "sky.txt").write_text("The sky over Zorblatt is grey.\n", encoding="utf-8")
    page.get_by_role("button", name="Read the files again").click()
    expect(page.locator("#progress")).to_have_text("All files were read again; 1 had changed.", timeout=WAIT_MS)

    delete_button = page.get_by_role("button", name="Delete The tournament")
    delete_button.click()
    confirm = page.get_by_role("dialog")
    expect(confirm).to_contain_text("Its file is deleted with it.")
    confirm.get_by_role("button", name="Keep").click()
    expect(page.locator(".library tbody tr")).to_have_count(2)
    delete_button.click()
    confirm.get_by_role("button", name="Delete").click()
    expect(page.locator(".library tbody tr")).to_have_count(1)
    expect(page.locator("#toast")).to_have_text("chess.md is deleted.")
    assert not (index / "library" / "chess.md").exists()
    page.get_by_role("tab", name="Ask").click()
    expect(ask(page, WINNER).locator(".abstention")).to_be_visible()


def test_without_documents_the_page_leads_to_the_library(tmp_path: Path, open_page: OpenPage) -> None:
    with served(tmp_path / "index") as address:
        page = open_page(address)
        expect(page.locator(".opening")).to_contain_text("run rag ingest")
        page.get_by_role("tab", name="Library").click()
        expect(page.locator(".library")).to_contain_text("No documents yet")
        (tmp_path / "chess.txt").write_text(FACT, encoding="utf-8")
        add_files(page, tmp_path / "chess.txt")
        expect(page.locator(".uploads li")).to_have_text(["chess.txt added, 1 passage"], timeout=WAIT_MS)
        page.get_by_role("tab", name="Ask").click()
        expect(page.locator(".documents li")).to_have_count(1)
        expect(ask(page, WINNER).locator(".statement")).to_have_text(FACT.strip())
