"""The layout: what rooms there are, and that each is entered by its door."""

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import environment

ROOT = Path(__file__).parents[1]
WITH_A_DOOR = {"documents", "gate", "index", "models", "quoting", "retrieval", "writing"}
OTHERS = {"cli", "integrations", "text", "web"}  # text is a toolbox; nobody imports the other three
GOLD = (
    '{"id": "q", "split": "dev", "kind": "near-miss", "question": "Who painted it?", "answerable": false, "facts": [], '
    '"evidence": []}\n'
)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_every_folder_is_a_room_that_says_what_happens_in_it():
    folders = {path.name for path in (ROOT / "rag").iterdir() if (path / "__init__.py").is_file()}
    assert folders == WITH_A_DOOR | OTHERS
    for name in folders:
        assert ast.get_docstring(ast.parse((ROOT / "rag" / name / "__init__.py").read_text(encoding="utf-8")))
    assert len([path for path in (ROOT / "rag").iterdir() if path.is_file()]) <= 12


@pytest.mark.parametrize("room", sorted(WITH_A_DOOR))
def test_a_room_is_entered_by_its_door(room: str):
    inside = ROOT / "rag" / room
    for path in (ROOT / "rag").rglob("*.py"):
        if not path.is_relative_to(inside):
            assert not [name for name in imports(path) if name.startswith(f"rag.{room}.")], path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel installs, in a folder of its own; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source = folder / "source"
    ignored = ["--exclude-standard", "--cached", "--others"]
    files = subprocess.run(["git", "ls-files", *ignored], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        if (ROOT / name).is_file() and name.partition("/")[0] not in {"docs", "seeds", "tests"}:
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(ROOT / name)
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    target = folder / "installed"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(target)
    return target


def run(installed: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from rag.cli import main; main()", *arguments]
    return subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=environment(PYTHONPATH=str(installed)),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_wheel_installs_nothing_at_top_level_but_rag(installed: Path):
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"rag"}


def test_a_wheel_works_without_the_clone(installed: Path, tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "sky.txt").write_text("About the sky\n\nThe sky is blue because of the air.\n", "utf-8")
    where = run(installed, "--help", cwd=tmp_path)
    assert where.returncode == 0
    for arguments in (["ingest", "docs"], ["ask", "Which colour has the sky?", "--json"], ["serve", "--help"]):
        done = run(installed, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "gold.jsonl").write_text(GOLD, encoding="utf-8")
    done = run(installed, "eval", "gold.jsonl", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run(installed, "eval", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("rag: the seed documents are not installed; run this in a clone")
