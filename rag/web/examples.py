"""Example questions, read from ``questions.toml`` beside the documents.

    questions = ["Who …?", "When …?"]

A corpus without this file has no examples; none are built in.
"""

import logging
import tomllib
from collections.abc import Iterable
from pathlib import Path

_FILE = "questions.toml"
_SHOWN = 5
_log = logging.getLogger(__name__)


def example_questions(roots: Iterable[str | Path]) -> list[str]:
    """Return the example questions of these ingested folders, in order, five at most.

    A broken file is logged and ignored, so that it cannot keep the page from opening.
    """
    questions: list[str] = []
    for root in dict.fromkeys(roots):
        questions += _read(Path(root) / _FILE)
    return questions[:_SHOWN]


def _read(path: Path) -> list[str]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("questions", [])
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:  # not TOML, not UTF-8, not readable
        _log.warning("%s: not read (%s)", path, error)
        return []
    if not isinstance(found, list) or not all(isinstance(question, str) for question in found):
        _log.warning("%s: 'questions' is no list of texts", path)
        return []
    return found
