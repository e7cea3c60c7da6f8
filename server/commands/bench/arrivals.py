"""When requests are due. Pure: numbers in, times out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PATTERNS = ("poisson", "constant")


def due_times(pattern: str, rate: float, start: float, end: float, *, share: tuple[int, int] = (0, 1),
              seed: int = 0) -> NDArray[np.float64]:  # fmt: skip
    """Ascending times in seconds, from `start` to before `end`, of one of several senders of `rate` a second together.

    `share` is (index, count) of the sender. Poisson arrivals split into Poisson arrivals; constant ones take
    turns, so that all senders together are evenly spaced again.
    """
    index, count = share
    if pattern == "constant":
        steps = np.arange(index, np.ceil((end - start) * rate) + 1, count)
        times = start + steps / rate
        return times[times < end]
    random = np.random.default_rng([seed, index])
    mean_s = count / rate
    times = np.empty(0)
    last = start
    while last < end:
        expected = (end - last) / mean_s
        more = last + np.cumsum(random.exponential(mean_s, int(expected + 4 * expected**0.5) + 16))
        times, last = np.concatenate([times, more]), float(more[-1])
    return times[times < end]
