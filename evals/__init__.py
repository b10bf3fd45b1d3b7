"""Measuring Footnote, and making what it decides with."""
