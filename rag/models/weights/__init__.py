"""Bundled model weights; each file names its data, its recipe and the command that made it."""
