"""Actionable error messages about settings."""

import difflib
from collections.abc import Iterable, Sequence


class SettingsError(Exception):
    """Settings that cannot be used; the message lists all of them and is ready to print."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = "1 setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        super().__init__("\n  ".join((f"tureen: {count} wrong:", *self.problems)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: the known one that looks most like it, if one does."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
