"""From a file to passages: read it, mark what is left out, describe it, split it."""
