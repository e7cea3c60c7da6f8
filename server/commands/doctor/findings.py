"""What is wrong, and what to do about it."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is wrong."""

    about: str
    """In a word or two: open files, model, spool ..."""
    found: str
    advice: str
