"""The fewest sentences that answer, quoted word for word."""
