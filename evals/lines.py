"""JSONL as people write and fetch it: a value a line, checked, and what is wrong with a line in one line."""

import codecs
import gzip
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rag.errors import UsageError

ModelT = TypeVar("ModelT", bound=BaseModel)


class Malformed(ValueError):
    """A line that is not what it should be; the message is one line and names the key."""


def numbered_lines(path: Path) -> list[tuple[int, bytes]]:
    """Return the lines of a file, plain or gzipped, that are not blank, with their numbers from 1; no byte order mark.

    Raises UsageError if the file is missing or cannot be read.
    """
    return _numbered(content_of(path))


def content_of(path: Path) -> bytes:
    """Return the bytes of a file, plain or gzipped, without a byte order mark; raises UsageError as above."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except FileNotFoundError as error:
        raise UsageError(f"{path}: nothing is there; check the spelling") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}); give a JSONL file") from error
    except (EOFError, zlib.error) as error:
        raise UsageError(f"{path}: is damaged ({error}); fetch it again") from error
    return content.removeprefix(codecs.BOM_UTF8)


def _numbered(content: bytes) -> list[tuple[int, bytes]]:
    lines = content.split(b"\n")  # not splitlines: U+2028 may stand in a JSON text
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def parsed(model: type[ModelT], raw: bytes, *, known_keys: tuple[str, ...] = ()) -> ModelT:
    """Return a line of JSON as an instance of ``model``; raises Malformed with what is wrong first.

    known_keys: what a key that is not known may have been meant for.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise Malformed(_first_fault(error, known_keys)) from error


def values(model: type[ModelT], path: Path) -> list[ModelT]:
    """Return every line of a file as an instance of ``model``; raises UsageError for a bad line, or none."""
    found = []
    for number, raw in numbered_lines(path):
        try:
            found.append(parsed(model, raw))
        except Malformed as error:
            raise UsageError(f"{path}:{number}: {error}") from error
    if not found:
        raise UsageError(f"{path}: is empty; give a file with an object a line")
    return found


def _first_fault(error: ValidationError, known_keys: tuple[str, ...]) -> str:
    # An unknown key first: it is often the misspelt form of one that is therefore missing.
    first = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
    match first["type"]:
        case "json_invalid":  # each line is parsed alone, so that its "line 1" would mislead
            problem = first["ctx"]["error"].replace(" at line 1 column ", " at column ")
            return f"not JSON in UTF-8 ({problem}); write one object a line"
        case "extra_forbidden":
            return f"unknown key {shown(where)}; {_suggested(str(first['loc'][-1]), known_keys)}"
        case "missing":
            return f"{where} is missing; add it"
        case "value_error":
            return f"{where or 'the line'} {first['ctx']['error']}"
    return f"{where or 'the line'} is {shown(first['input'])}; {first['msg'].replace('Input', 'it', 1)}"


def _suggested(key: str, known_keys: tuple[str, ...]) -> str:
    near = get_close_matches(key, known_keys, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known_keys)}"


def shown(value: object) -> str:
    """Return a value on one line, cut to what a message has room for."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
