"""Renders values as HTML."""
