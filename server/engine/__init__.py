"""A task in, an answer out. Knows no HTTP."""
