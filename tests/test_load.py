"""Finding documents below folders and decoding them."""

import codecs
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.documents import LOADERS, FoundFile, find_documents
from rag.documents.formats.plain import Decoded
from rag.documents.load import LoadedText, load
from rag.errors import (
    DocumentError,
    EmptyDocument,
    EmptyFolder,
    FileTooLarge,
    MissingPath,
    UndecodableText,
    UnreadableFile,
    UnsupportedFormat,
)

SEEDS = Path(__file__).parents[1] / "seeds"


def write(path: Path, content: bytes = b"Some text.\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def load_bytes(folder: Path, content: bytes, *, max_bytes: int = 1_000_000) -> LoadedText:
    path = write(folder / "document.txt", content)
    return load(FoundFile(folder, path, "document.txt"), max_bytes=max_bytes)


def sources(paths: list[Path], **options: list[str]) -> list[str]:
    files, errors = find_documents(paths, **options)
    assert errors == []
    return [found.source for found in files]


def test_the_seeds_are_five_documents_and_their_readme_is_none() -> None:
    assert [source[:3] for source in sources([SEEDS])] == ["000", "001", "002", "003", "004"]


def test_seeds_load_byte_for_byte() -> None:
    for found in find_documents([SEEDS])[0]:
        raw = found.path.read_bytes()
        loaded = load(found, max_bytes=1_000_000)
        assert loaded == LoadedText(found.source, raw.decode(), hashlib.sha256(raw).hexdigest(), "utf-8")


def test_folders_are_searched_at_any_depth_for_known_suffixes_in_any_case(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.TXT", "a/d/e.md", "a/photo.png", "sources.toml"):
        write(tmp_path / name, b"")
    assert sources([tmp_path]) == ["a/c.TXT", "a/d/e.md", "b.txt"]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    for name in ("seen.txt", ".hidden.txt", ".git/notes.txt"):
        write(tmp_path / name)
    assert sources([tmp_path]) == ["seen.txt"]


def test_patterns_leave_files_out_at_any_depth(tmp_path: Path) -> None:
    for name in ("README.md", "sub/README.md", "drafts/a.txt", "b.txt"):
        write(tmp_path / name)
    write(tmp_path / "sources.toml", b'ignore = ["README.md"]')
    assert sources([tmp_path]) == ["b.txt", "drafts/a.txt"]
    assert sources([tmp_path], ignored=["drafts/*"]) == ["b.txt"]


def test_a_file_named_directly_is_taken_even_if_its_folder_ignores_it(tmp_path: Path) -> None:
    readme = write(tmp_path / "README.md")
    write(tmp_path / "sources.toml", b'ignore = ["README.md"]')
    assert find_documents([readme])[0] == [FoundFile(tmp_path, readme, "README.md")]


def test_a_file_found_by_two_paths_counts_once_by_the_outer_folder(tmp_path: Path) -> None:
    inner = write(tmp_path / "sub/a.txt")
    assert sources([inner, inner.parent, tmp_path]) == ["sub/a.txt"]


def test_links_out_of_the_folder_and_loops_are_passed_over(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside/secret.txt")
    root = tmp_path / "root"
    write(root / "a.txt")
    (root / "loop").symlink_to(root)
    (root / "away").symlink_to(outside.parent)
    (root / "link.txt").symlink_to(outside)
    (root / "broken.txt").symlink_to(root / "nowhere.txt")
    assert sources([root]) == ["a.txt"]


def test_a_link_inside_the_folder_never_hides_the_file_that_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path / "z.txt")
    write(tmp_path / ".store/hidden.txt", b"Another text.")
    (tmp_path / "a.txt").symlink_to(tmp_path / "z.txt")
    (tmp_path / "shown.txt").symlink_to(tmp_path / ".store/hidden.txt")
    assert sources([tmp_path]) == ["shown.txt", "z.txt"]


def test_what_is_wrong_with_one_path_does_not_stop_the_others(tmp_path: Path) -> None:
    good = write(tmp_path / "good/a.txt")
    picture = write(tmp_path / "picture.png")
    (tmp_path / "empty").mkdir()
    write(tmp_path / "broken/b.txt")
    write(tmp_path / "broken/sources.toml", b"ignore = 3")
    paths = [tmp_path / name for name in ("missing", "empty", "picture.png", "broken", "good")]
    files, errors = find_documents(paths)
    assert [found.path for found in files] == [good]
    assert {type(error): error.path for error in errors} == {
        MissingPath: tmp_path / "missing",
        EmptyFolder: tmp_path / "empty",
        UnsupportedFormat: picture,
        DocumentError: tmp_path / "broken/sources.toml",
    }
    assert all("\n" not in str(error) for error in errors)


def test_a_name_that_no_page_could_show_is_an_error_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "good.txt")
    write(tmp_path / "bad\udcff.txt")
    files, errors = find_documents([tmp_path])
    assert [found.source for found in files] == ["good.txt"]
    assert [type(error) for error in errors] == [UnreadableFile]
    str(errors[0]).encode("utf-8")


@settings(max_examples=20, deadline=None)
@given(order=st.permutations([".", "sub", "sub/a.txt", "b.txt", "sub/deep/c.md"]))
def test_the_order_of_paths_does_not_matter(tmp_path_factory: pytest.TempPathFactory, order: list[str]) -> None:
    root = tmp_path_factory.mktemp("order")
    for name in ("b.txt", "sub/a.txt", "sub/deep/c.md"):
        write(root / name)
    assert sources([root / name for name in order]) == ["b.txt", "sub/a.txt", "sub/deep/c.md"]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("Zürich – “fine”".encode(), "utf-8"),
        ("Zürich – “fine”".encode("utf-8-sig"), "utf-8-sig"),
        ("Zürich – “fine”".encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + "Zürich – “fine”".encode("utf-16-be"), "utf-16"),
        (codecs.BOM_UTF32_LE + "Zürich – “fine”".encode("utf-32-le"), "utf-32"),
    ],
)
def test_unicode_encodings_give_the_same_text_without_the_mark(tmp_path: Path, content: bytes, encoding: str) -> None:
    loaded = load_bytes(tmp_path, content)
    assert (loaded.text, loaded.encoding) == ("Zürich – “fine”", encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Il a dit : « L’été dernier, nous étions à Zürich — déjà. » C’est ça. ", "cp1252"),
        ("Zażółć gęślą jaźń. Prezydent przyjechał późno wieczorem do Moskwy, żeby rozmawiać.", "cp1250"),
        ("Президент Казахстана прибыл в Москву поздно вечером. Переговоры прошли утром.", "cp1251"),
        ("Президент Казахстана прибыл в Москву поздно вечером. Переговоры прошли утром.", "koi8_r"),
    ],
)
def test_older_encodings_are_told_apart(tmp_path: Path, text: str, encoding: str) -> None:
    loaded = load_bytes(tmp_path, text.encode(encoding))
    assert (loaded.text, loaded.encoding) == (text, encoding)


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        "no mark".encode("utf-16-le"),
        codecs.BOM_UTF16_LE + b"\x00\xd8",  # an unpaired surrogate
        bytes(range(1, 256)) * 3,
        ("The President said “hello” to them. " * 9).encode() + b"\xff",
        "Президент Казахстана".encode()[:-1],
        "大統領は夜遅くモスクワに到着した。".encode("shift_jis"),
    ],
    ids=["png", "utf-16 without mark", "surrogate", "every byte", "damaged utf-8", "cut utf-8", "shift_jis"],
)
def test_bytes_that_are_no_certain_text_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UndecodableText, match=r"document\.txt: .*UTF-8"):
        load_bytes(tmp_path, content)


def test_line_ends_become_newlines_and_nothing_else_changes(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, " a\t\r\nb\rc\n\r\n\u00a0\u2028d\x0c ".encode())
    assert loaded.text == " a\t\nb\nc\n\n\u00a0\u2028d\x0c "


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0\ufeff"), min_size=1))
@settings(max_examples=50, deadline=None)
def test_any_utf8_text_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    content = f"x{text}".encode()
    assert load_bytes(tmp_path_factory.mktemp("utf8"), content).text == f"x{text}"


@pytest.mark.parametrize("content", [b"", b" \n\t\r\n", "\u00a0\u2003\n".encode()])
def test_a_document_of_white_space_is_empty(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(EmptyDocument):
        load_bytes(tmp_path, content)


def test_a_file_above_the_limit_is_refused_with_size_limit_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileTooLarge, match=r"2\.00 MB.*1\.00 MB.*RAG_MAX_FILE_MB"):
        load_bytes(tmp_path, b"a" * 2 * 1024 * 1024, max_bytes=1024 * 1024)
    assert load_bytes(tmp_path, b"a" * 100, max_bytes=100).text == "a" * 100


def test_a_file_that_vanished_and_one_that_is_none_are_document_errors(tmp_path: Path) -> None:
    with pytest.raises(MissingPath):
        load(FoundFile(tmp_path, tmp_path / "gone.txt", "gone.txt"), max_bytes=100)
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(UnreadableFile):
        load(FoundFile(tmp_path, tmp_path / "folder.txt", "folder.txt"), max_bytes=100)


def test_a_loader_that_fails_costs_its_own_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(raw: bytes, path: Path) -> Decoded:
        raise RecursionError

    monkeypatch.setitem(LOADERS, ".txt", fails)
    with pytest.raises(UndecodableText, match=r"document\.txt: cannot be read \(RecursionError\)"):
        load_bytes(tmp_path, b"Some text.")
