"""Turn files into passages: read, mark exclusions, describe and split."""

from rag.documents.files import FoundFile, find_documents, is_there
from rag.documents.formats import LOADERS
from rag.documents.prepare import Prepared, Preparer, absolute, preview
from rag.documents.sources import read_synonyms

__all__ = [
    "LOADERS",
    "FoundFile",
    "Prepared",
    "Preparer",
    "absolute",
    "find_documents",
    "is_there",
    "preview",
    "read_synonyms",
]
