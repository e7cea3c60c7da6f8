"""Whose a task is: what shares of the queue are counted by."""

from typing import NamedTuple


class Owner(NamedTuple):
    """`id`: names a client, in bounded length; empty where it is not known: no share applies. `weight`: its share under
    overload, relative to the others'. `account`: whose answers are kept apart from others'; empty where nobody is
    known."""

    id: str = ""
    weight: float = 1.0
    account: str = ""


NOBODY = Owner()
"""Of tasks whose client is not known."""
