"""Footnote in other programs, and other programs in Footnote; nothing in the package needs this room."""
