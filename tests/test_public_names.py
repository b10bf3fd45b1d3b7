"""What ``import rag`` promises."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import rag

PUBLIC = """Abstention Answer Citation Claim Document Hit IngestReport Passage Rag RagError Settings Span
Stage""".split()


def test_the_public_names_are_these():
    assert rag.__all__ == PUBLIC


def test_star_import_gives_the_public_names_and_no_other():
    names: dict[str, object] = {}
    exec("from rag import *", names)
    del names["__builtins__"]
    assert sorted(names) == PUBLIC
    assert all(inspect.isclass(value) for value in names.values())


@pytest.mark.parametrize("name", PUBLIC)
def test_a_name_is_the_same_object_as_at_its_home(name: str):
    value = getattr(rag, name)
    assert value is getattr(import_module(value.__module__), name)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(inspect.getfile(rag)).read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    declared = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert declared == rag._HOME
    assert all(getattr(import_module(module), name) is getattr(rag, name) for name, module in declared.items())


@pytest.mark.parametrize("name", ["Engine", "rag", "", "settings", "_nothing"])
def test_an_unknown_name_is_an_attribute_error_that_names_it(name: str):
    with pytest.raises(AttributeError, match=repr(name)):
        getattr(rag, name)


def test_an_unknown_name_cannot_be_imported():
    done = subprocess.run(
        [sys.executable, "-c", "from rag import Nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ImportError: cannot import name 'Nothing' from 'rag'" in done.stderr


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_is_documented(name: str):
    value = getattr(rag, name)
    written = ast.get_docstring(ast.parse(inspect.getsource(value)).body[0])
    assert written, f"{name} has no docstring of its own"
    assert written[0].isupper()
    assert written.splitlines()[0].endswith((".", ":", ";")), written.splitlines()[0]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_method_is_documented(name: str):
    own = {k: v for k, v in vars(getattr(rag, name)).items() if not k.startswith("_")}
    functions = {k: getattr(v, "fget", None) or getattr(v, "__func__", None) or v for k, v in own.items()}
    undocumented = [k for k, v in functions.items() if inspect.isfunction(v) and not v.__doc__]
    assert undocumented == []


def test_every_setting_is_described_and_they_are_few():
    fields = rag.Settings.model_fields
    assert len(fields) <= 20
    assert [name for name, field in fields.items() if not field.description] == []


def test_the_module_shows_how_to_begin():
    example = inspect.getdoc(rag)
    assert example
    used = {name for name in PUBLIC if f"{name}(" in example}
    assert used == {"Rag", "Settings"}
