"""Footnote: questions answered from documents, every sentence with the exact characters it stands on.

    from rag import Rag, Settings
    rag = Rag(Settings(index_dir=".footnote"))
    rag.ingest(["seeds"])
    print(rag.ask("When did Putin and Nazarbayev meet?").text)

Names are imported when first used, so that ``rag --help`` does not wait for an index or a model.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.config import Settings
    from rag.engine import Rag, Stage
    from rag.errors import RagError
    from rag.index import IngestReport
    from rag.values import Abstention, Answer, Citation, Claim, Document, Hit, Passage, Span

_HOME = {
    "Abstention": "rag.values",
    "Answer": "rag.values",
    "Citation": "rag.values",
    "Claim": "rag.values",
    "Document": "rag.values",
    "Hit": "rag.values",
    "IngestReport": "rag.index",
    "Passage": "rag.values",
    "Rag": "rag.engine",
    "RagError": "rag.errors",
    "Settings": "rag.config",
    "Span": "rag.values",
    "Stage": "rag.engine",
}

__all__ = [
    "Abstention",
    "Answer",
    "Citation",
    "Claim",
    "Document",
    "Hit",
    "IngestReport",
    "Passage",
    "Rag",
    "RagError",
    "Settings",
    "Span",
    "Stage",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'rag' has no attribute {name!r}")
