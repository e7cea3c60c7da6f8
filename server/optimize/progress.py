"""How much is done, of how much: in runs of the model on one picture, about."""

from collections.abc import Callable

Told = Callable[[float, float, str], None]
"""Hears how much is done, of how much, and what is being done."""


class Progress:
    """Its state: `_done` of `_total`."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._done, self._total = 0.0, 1.0

    def expect(self, work: float) -> None:
        """So much more is to come."""
        self._total = self._done + work

    def doing(self, what: str) -> None:
        """This begins."""
        self._told(self._done, self._total, what)

    def step(self, what: str, work: float = 1.0) -> None:
        """So much of it is done."""
        self._done = min(self._done + work, self._total)
        self._told(self._done, self._total, what)

    def skip(self, work: float) -> None:
        """So much need not be done."""
        self._total = max(self._done, self._total - work)
