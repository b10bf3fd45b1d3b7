"""How the shipped models are made: programs, run by hand, that read public data from a path."""
