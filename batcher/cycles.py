"""Letting go in time. An object in a circle of references is found by the garbage collector alone, which counts objects
and not bytes: a few uploads held that way are a lot of memory, and finding them stops the event loop."""

from typing import NoReturn


def raise_unheld(error: BaseException) -> NoReturn:
    """Raise an error from a frame that does not keep it.

    An error holds the frames it passes, by its traceback; a frame that holds it in turn closes the circle. So pass an
    expression, not a variable: `raise_unheld(self._take())`.
    """
    try:
        raise error
    finally:
        del error


def clear(*ended: object) -> None:
    """Make objects that point at each other, and are of no more use, let go of all that they hold."""
    for one in ended:
        vars(one).clear()
