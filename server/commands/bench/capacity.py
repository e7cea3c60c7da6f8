"""The search for the highest rate at which the promise is kept. Pure: it asks for trials and is told.

Trials are noisy. So a rate that is kept is tried again before it is called the capacity, and the search steps
down where it then is not; one that fails is believed.
"""

from __future__ import annotations

from collections.abc import Generator
from math import sqrt

_GROWTH = 1.5  # while nothing has failed
_STEP_DOWN = 0.9  # where a confirmation fails
_FLOOR = 1 / 64  # of the first rate: below it there is no capacity worth a name


def _between(kept: float, failed: float) -> float:
    """Where to look next; 0 stands for a side that is not known yet."""
    if kept and failed:
        return sqrt(kept * failed)
    return kept * _GROWTH if kept else failed / _GROWTH**2


def search(first: float, tolerance: float = 0.05, most: int = 20) -> Generator[float, bool, float | None]:
    """Yields the rate to try next and is sent whether it was kept; returns the capacity, or None if there is none.

    Every capacity returned was kept twice. `tolerance`: how far above it, as a share, a rate that failed may lie.
    """
    kept, failed, rate, left = 0.0, 0.0, first, most
    while left and not (kept and failed and failed <= kept * (1 + tolerance)):
        left -= 1
        if (yield rate):
            kept = rate
        else:
            failed = rate
        if not kept and failed < first * _FLOOR:
            return None
        rate = _between(kept, failed)
    tried = True  # `kept` was kept once
    while kept > first * _FLOOR:
        if (tried or (yield kept)) and (yield kept):
            return kept
        kept, tried = kept * _STEP_DOWN, False
    return None
