"""The bundled models: the encoder, the reader, and the classifier that decides which sentences answer."""

from rag.models.encoder import Encoder, SentenceEncoder, Vectors, piece_limit
from rag.models.evidence import Candidate, EvidenceModel, PassageEvidence, SentenceEvidence, Support, likeliest
from rag.models.trained_evidence import TrainedEvidence, min_probability_for

__all__ = [
    "Candidate",
    "Encoder",
    "EvidenceModel",
    "PassageEvidence",
    "SentenceEncoder",
    "SentenceEvidence",
    "Support",
    "TrainedEvidence",
    "Vectors",
    "likeliest",
    "min_probability_for",
    "piece_limit",
]
