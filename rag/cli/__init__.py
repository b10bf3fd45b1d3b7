"""The command ``rag``: what it is asked, and what it prints."""

from rag.cli.commands import main

__all__ = ["main"]
