"""Answers that are kept for the next upload of the same bytes: in memory, or in Redis."""
