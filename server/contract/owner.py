"""Whose a task is: what shares of the queue are counted by."""

from typing import NamedTuple


class Owner(NamedTuple):
    """`id`: names a client, in bounded length. `weight`: its share under overload, relative to the others'."""

    id: str = ""
    weight: float = 1.0


NOBODY = Owner()
"""Of tasks that no client asked for."""
