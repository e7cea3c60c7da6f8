"""How wrong predictions have been, and what margin they need for that. No clock.

An error is the actual finish less the predicted one: positive where the answer came later. Far predictions are
wrong by more than near ones, and those of what others may overtake by more than those of the most urgent; so errors
are kept by urgency, and by the octave of the predicted seconds.
"""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from math import ceil, frexp

_KEPT = 256  # errors of a kind
_ENOUGH = 32
_PRIOR = 0.1  # of the predicted seconds, before enough was seen
_KEEP = 0.995  # of the predictions, with their margin, come true; most of the others had time in hand anyway
_FORGOTTEN_S = 0.01  # between two errors that are forgotten since nothing new is learned: all within a few seconds
_FRESH = 2.0  # times the predicted seconds: so long after an error was learned its kind counts as being tested
_DOUBT = 0.05  # of the answers come earlier than the lower bound

_SIZES_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
BOUNDS_S = (*(-size for size in reversed(_SIZES_S)), 0.0, *_SIZES_S)


@dataclass(frozen=True, slots=True)
class Errors:
    """A histogram of all errors, by value. `counts` has one more than `BOUNDS_S`, for what is above."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)
    sum_s: float = 0.0


class Margins:
    """Learns from errors how much later or earlier an answer may come than predicted."""

    def __init__(self) -> None:
        self._windows: dict[tuple[int, int], _Window] = {}
        self._next_doubt = 0.0
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    @property
    def errors(self) -> Errors:
        """All errors so far."""
        return Errors(tuple(self._counts), self._sum_s)

    def later_s(self, urgency: int, predicted_s: float) -> float:
        """Seconds to add to a prediction, so that nearly all answers come by then."""
        window = self._windows.get(_kind(urgency, predicted_s))
        seen = max(0.0, window.quantile(_KEEP)) if window else 0.0
        if window and len(window) >= _ENOUGH:
            return seen
        return max(seen, _PRIOR * predicted_s)

    def earlier_s(self, urgency: int, predicted_s: float) -> float:
        """Seconds to take off a prediction, so that hardly any answer comes before."""
        window = self._windows.get(_kind(urgency, predicted_s))
        if window and len(window) >= _ENOUGH:
            return max(0.0, -window.quantile(_DOUBT))
        return _PRIOR * predicted_s

    def doubt(self, now: float, urgency: int, predicted_s: float) -> None:
        """Forget the oldest error of this kind, unless one has just been forgotten, or learned."""
        window = self._windows.get(_kind(urgency, predicted_s))
        if window and now >= max(self._next_doubt, window.fresh_until):
            self._next_doubt = now + _FORGOTTEN_S
            window.forget()

    def learn(self, urgency: int, predicted_s: float, error_s: float, now: float) -> None:
        """A prediction of so many seconds turned out, `now`, to be wrong by `error_s`."""
        self._counts[bisect_left(BOUNDS_S, error_s)] += 1
        self._sum_s += error_s
        kind = _kind(urgency, predicted_s)
        if kind not in self._windows:
            self._windows[kind] = _Window()
        self._windows[kind].add(error_s)
        self._windows[kind].fresh_until = now + _FRESH * predicted_s


class _Window:
    """The last values, in order of arrival and of size."""

    def __init__(self) -> None:
        self._arrived: deque[float] = deque()
        self.fresh_until = 0.0
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value: float) -> None:
        if len(self._arrived) == _KEPT:
            self.forget()
        self._arrived.append(value)
        insort(self._sorted, value)

    def forget(self) -> None:
        """The oldest."""
        del self._sorted[bisect_left(self._sorted, self._arrived.popleft())]

    def quantile(self, share: float) -> float:
        return self._sorted[ceil(share * len(self._sorted)) - 1]


def _kind(urgency: int, predicted_s: float) -> tuple[int, int]:
    return urgency, frexp(predicted_s)[1]
