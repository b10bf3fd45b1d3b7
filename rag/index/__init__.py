"""The index on disk: storage, updates and retrieval."""

from rag.index.bm25 import Query
from rag.index.catalog import Catalog, Entry, Listed
from rag.index.index import Index
from rag.index.ingestion import IngestReport, OnProgress, ingest
from rag.index.lexical import spelt_as_in
from rag.index.snapshot import Snapshot

__all__ = [
    "Catalog",
    "Entry",
    "Index",
    "IngestReport",
    "Listed",
    "OnProgress",
    "Query",
    "Snapshot",
    "ingest",
    "spelt_as_in",
]
