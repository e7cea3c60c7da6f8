"""How wrong predictions have been, and what margin they need for that. No clock.

An error is the actual finish less the predicted one: positive where the answer came later. Far predictions are
wrong by more than near ones, and those of what others may overtake by more than those of the most urgent; so errors
are kept by urgency, and by the octave of the predicted seconds.

Answers that come soon after each other share most of what happened before them, and are wrong by about as much, most of
all those of one batch: within an eighth of the predicted time they are one sample, the worst of them. Before there are
samples enough for a percentile the margin is what Student's distribution says of the next error, after those seen and a
few that are imagined.
"""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from functools import cache
from math import ceil, frexp, sqrt
from statistics import NormalDist

_KEPT = 256  # errors of a kind
_ENOUGH = 128  # for a percentile
_DOUBT_ENOUGH = 32
_PRIOR = 0.1  # of the predicted seconds, before anything was seen
_LEAST_RISK = 0.005  # that anybody asks about
_IMAGINED = 4  # errors: how soon what is seen outweighs the prior
_TELLING = 8  # errors of nearer predictions tell what to imagine of farther ones
_FORGOTTEN_S = 0.01  # between two errors that are forgotten since nothing new is learned: all within a few seconds
_FRESH = 2.0  # times the predicted seconds: so long after an error was learned its kind counts as being tested
_DOUBT = 0.05  # of the answers come earlier than the lower bound
_TOGETHER = 1 / 8  # of the predicted seconds: the answers within are one sample

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

    def later_s(self, urgency: int, predicted_s: float, risk: float = _LEAST_RISK) -> float:
        """Seconds to add to a prediction, so that an answer comes later only with a chance of `risk`."""
        window = self._windows.get(_kind(urgency, predicted_s), _NONE)
        if len(window) >= _ENOUGH:
            return max(0.0, window.quantile(1.0 - risk))
        return max(0.0, window.later_s(self._imagined_s(urgency, predicted_s), risk))

    def earlier_s(self, urgency: int, predicted_s: float) -> float:
        """Seconds to take off a prediction, so that hardly any answer comes before."""
        window = self._windows.get(_kind(urgency, predicted_s))
        if window and len(window) >= _DOUBT_ENOUGH:
            return max(0.0, -window.quantile(_DOUBT))
        return _PRIOR * predicted_s

    def _imagined_s(self, urgency: int, predicted_s: float) -> float:
        """What errors of this kind deviate by, before any was seen: in proportion, what nearer ones do."""
        nearer = self._windows.get(_kind(urgency, predicted_s / 2), _NONE)
        usual = _USUAL * predicted_s
        return usual if len(nearer) < _TELLING else min(usual, 2.0 * nearer.deviation_s(usual / 2))

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
        self._windows[kind].learn(error_s, now, _TOGETHER * predicted_s)
        self._windows[kind].fresh_until = now + _FRESH * predicted_s


class _Window:
    """The last errors, in order of arrival and of size."""

    def __init__(self) -> None:
        self.fresh_until = 0.0
        self._arrived: deque[float] = deque()
        self._sorted: list[float] = []
        self._last = float("-inf")  # when the last sample began
        self._upper: tuple[float, int, float] | None = None  # median, how many are above, their squares from it

    def __len__(self) -> int:
        return len(self._sorted)

    def learn(self, value: float, now: float, together_s: float) -> None:
        """One error. Of those that come within `together_s` the worst stays."""
        if self._arrived and now - self._last <= together_s:
            if value <= self._arrived[-1]:
                return
            self._remove(self._arrived.pop())
        else:
            self._last = now
        if len(self._arrived) == _KEPT:
            self.forget()
        self._arrived.append(value)
        insort(self._sorted, value)
        self._upper = None

    def forget(self) -> None:
        """The oldest."""
        if self._arrived:
            self._remove(self._arrived.popleft())

    def quantile(self, share: float) -> float:
        return self._sorted[ceil(share * len(self._sorted)) - 1]

    def later_s(self, imagined_s: float, risk: float) -> float:
        """The margin while there are few errors, given by how much they should deviate."""
        count = len(self._sorted)
        middle = self._sorted[(count - 1) // 2] if count else 0.0
        return count / (count + _IMAGINED) * middle + _student(count + _IMAGINED, round(risk, 3)) * self.deviation_s(
            imagined_s
        )

    def deviation_s(self, imagined_s: float) -> float:
        """Of the errors, upwards: by how much others came early says nothing of how late one may come."""
        count = len(self._sorted)
        if not count:
            return imagined_s
        if self._upper is None:
            middle = self._sorted[(count - 1) // 2]
            above = [value - middle for value in self._sorted[count // 2 :]]
            self._upper = middle, len(above), sum(value * value for value in above)
        middle, seen, squares = self._upper
        off = count / (count + _IMAGINED) * max(0.0, middle) ** 2
        return sqrt((squares + _IMAGINED / 2 * (imagined_s**2 + off)) / (seen + _IMAGINED / 2))

    def _remove(self, value: float) -> None:
        del self._sorted[bisect_left(self._sorted, value)]
        self._upper = None


@cache
def _student(count: int, risk: float) -> float:
    """By how many deviations of `count` errors the next is above their mean only with a chance of `risk`: Student's
    quantile, by the first terms of its expansion from the normal one."""
    free, z = count - 1, NormalDist().inv_cdf(1.0 - risk)
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)


_NONE = _Window()
_USUAL = _PRIOR / _student(_IMAGINED, _LEAST_RISK)  # of the predicted seconds errors deviate, before anything was seen


def _kind(urgency: int, predicted_s: float) -> tuple[int, int]:
    return urgency, frexp(predicted_s)[1]
