"""How many workers of how many threads: measured, chosen, and remembered in a file."""
