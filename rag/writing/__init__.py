"""Answers written by a language model from numbered passages."""

from rag.writing.language_model import CONTEXT_TOKENS, LanguageModel, configured, first_word_s
from rag.writing.prompts import prompt_hash
from rag.writing.written_answer import Draft, Material, rewrite, write

__all__ = [
    "CONTEXT_TOKENS",
    "Draft",
    "LanguageModel",
    "Material",
    "configured",
    "first_word_s",
    "prompt_hash",
    "rewrite",
    "write",
]
