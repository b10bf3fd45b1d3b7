"""Answers written by a language model from numbered passages."""
