"""Whose turn it is among batchers that share cores. Pure.

1. A batcher that has had less than its share goes first, the one that lacks most before others. Only what it lacked
   while it wanted counts: nobody saves up.
2. Otherwise the most urgent job goes first, of these the one that is due first, whoever has it.

Time that was used is counted in seconds of a core, divided by the batcher's share: equal numbers are fair.
"""

from collections.abc import Iterable
from typing import NamedTuple

BURST_S = 0.05  # of a core: what one may lack before it goes before more urgent jobs
_LEAST_URGENT = 7  # what is less urgent only uses what others leave, and is owed nothing


class Claim(NamedTuple):
    """What one batcher wants next, and what it has had."""

    urgency: int
    deadline: float
    used_s: float
    """Seconds of a core, divided by its share."""
    share: float


Rank = tuple[int, float, float]


def rank(claim: Claim, most_used_s: float) -> Rank:
    """The lowest goes first. `most_used_s`: of all that want something."""
    lack_s = (most_used_s - claim.used_s) * claim.share
    if lack_s > BURST_S and claim.urgency <= _LEAST_URGENT:
        return (0, -lack_s, 0.0)
    return (1, claim.urgency, claim.deadline)


def is_before(one: Claim, other: Claim) -> bool:
    """Whether one goes before the other."""
    most_used_s = max(one.used_s, other.used_s)
    return rank(one, most_used_s) < rank(other, most_used_s)


def cores_for(share: float, shares: Iterable[float], cores: float, others_busy: float) -> float:
    """How many cores a batcher can count on: what the others leave, and its part of all shares at the least."""
    guaranteed = cores * share / max(share, sum(shares))
    return max(guaranteed, cores - others_busy)
