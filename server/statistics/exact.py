"""An exact lower bound on a rate, and how many trials a claim needs. Pure.

The bound is Clopper's and Pearson's (Biometrika 26, 1934), one-sided: with the true rate at the bound, as many hits or
more would be seen with a chance of 1 - confidence. It holds for any number of trials, also where all are hits.
"""

import math

_MOST_TRIALS = 1 << 24
_STEPS = 60  # halvings: beyond what a float tells apart


def lower_bound(hits: int, trials: int, confidence: float = 0.95) -> float:
    """A one-sided lower bound on the rate of hits, 0 to 1; 0 without hits.

    Example: 299 hits in 299 trials give 0.99002.
    """
    if not hits:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_least(hits, trials, middle) < 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def trials_needed(rate: float, limit: float, confidence: float = 0.95) -> int | None:
    """The fewest trials with which hits at `rate` put the lower bound at `limit` or above; None if none do.

    Example: all hits need 299 trials for a limit of 0.99.
    """

    def enough(trials: int) -> bool:
        return lower_bound(math.floor(rate * trials + 1e-9), trials, confidence) >= limit

    if rate <= limit:
        return None if limit > 0 else 1
    few, many = 0, 1
    while not enough(many):
        few, many = many, many * 2
        if many > _MOST_TRIALS:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many


def most_misses(trials: int, limit: float, confidence: float = 0.95) -> int | None:
    """How many of the trials may be misses with the lower bound still at `limit` or above; None if not even 0."""
    misses = -1
    while misses + 1 < trials and lower_bound(trials - misses - 1, trials, confidence) >= limit:
        misses += 1
    return None if misses < 0 else misses


def _at_least(hits: int, trials: int, rate: float) -> float:
    """The chance of so many hits or more."""
    if rate <= 0.0:
        return 0.0 if hits else 1.0
    if rate >= 1.0:
        return 1.0
    terms = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * math.log(rate) + (trials - k) * math.log1p(-rate)
        for k in range(hits, trials + 1)
    )  # fmt: skip
    return math.fsum(map(math.exp, terms))
