"""The command line interface, ``rag``."""

from rag.cli.commands import main

__all__ = ["main"]
