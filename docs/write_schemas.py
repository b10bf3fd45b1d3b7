"""Write docs/schemas anew from ``rag.records``: ``make schemas``. A test compares them."""

import json
from pathlib import Path

from rag.records import MODELS, schema

FOLDER = Path(__file__).with_name("schemas")

if __name__ == "__main__":
    for name in MODELS:
        text = json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"
        (FOLDER / f"{name}.schema.json").write_text(text, encoding="utf-8")
