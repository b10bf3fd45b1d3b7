"""Check written sentences against their sources, and audit stored answers."""

from rag.gate.claims import Supported, check, cite_written
from rag.gate.markers import Written, settled, unmarked, visible, written_sentences
from rag.gate.verify import ClaimCheck, audit, read_records

__all__ = [
    "ClaimCheck",
    "Supported",
    "Written",
    "audit",
    "check",
    "cite_written",
    "read_records",
    "settled",
    "unmarked",
    "visible",
    "written_sentences",
]
