"""How wrong predicted completion times have been, and the margin that follows. No clock.

An error is the actual completion less the predicted one: positive where the answer came later. Far predictions are
wrong by more than near ones, and less urgent jobs, which others may overtake, by more than urgent ones. So errors are
kept by urgency and by octave of the predicted seconds.

Answers that come soon after each other share most of what happened before them, above all those of one batch. Answers
within an eighth of the predicted time are therefore one sample: the worst of them.
"""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from functools import cache
from math import ceil, frexp, sqrt
from statistics import NormalDist

_KEPT = 256  # errors per kind
_ENOUGH = 128  # for a percentile
_EARLY_ENOUGH = 32  # for a percentile of the early side
_PRIOR = 0.1  # of the predicted seconds: the margin before the first error
_LEAST_RISK = 0.005  # the smallest chance of a miss that is ever asked for
_IMAGINED = 4  # errors: how soon what is seen outweighs the prior
_TELLING = 8  # errors of nearer predictions are enough to set the prior of farther ones
_DECAY_S = 0.01  # between two errors that are forgotten because nothing new is learned: all within a few seconds
_FRESH = 2.0  # times the predicted seconds: for so long after an error its kind counts as being tested
_EARLY = 0.05  # share of the answers that come before the lower bound
_TOGETHER = 1 / 8  # of the predicted seconds: answers within are one sample

_SIZES_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
BOUNDS_S = (*(-size for size in reversed(_SIZES_S)), 0.0, *_SIZES_S)


@dataclass(frozen=True, slots=True)
class ErrorHistogram:
    """All prediction errors. `counts` has one more than `BOUNDS_S`, for errors above the last bound."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)
    sum_s: float = 0.0


class PredictionErrors:
    """Learns from errors how much later or earlier than predicted an answer may come."""

    def __init__(self) -> None:
        self._windows: dict[tuple[int, int], _Window] = {}
        self._next_decay = 0.0
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    @property
    def histogram(self) -> ErrorHistogram:
        """All errors so far."""
        return ErrorHistogram(tuple(self._counts), self._sum_s)

    def later_s(self, urgency: int, predicted_s: float, risk: float = _LEAST_RISK) -> float:
        """The margin in seconds: an answer comes later than prediction and margin with a chance of `risk`."""
        octave = frexp(predicted_s)[1]
        window = self._windows.get((urgency, octave), _NONE)
        if len(window.sorted) >= _ENOUGH:
            return max(0.0, window.quantile(1.0 - risk))
        prior_s = _USUAL * predicted_s
        nearer = self._windows.get((urgency, octave - 1), _NONE)
        if len(nearer.sorted) >= _TELLING:  # errors of nearer predictions, in proportion
            prior_s = min(prior_s, 2.0 * nearer.deviation_s(prior_s / 2))
        return max(0.0, window.later_s(prior_s, risk))

    def earlier_s(self, urgency: int, predicted_s: float) -> float:
        """Seconds to take off a prediction, so that hardly any answer comes before."""
        window = self._windows.get((urgency, frexp(predicted_s)[1]))
        if window and len(window.sorted) >= _EARLY_ENOUGH:
            return max(0.0, -window.quantile(_EARLY))
        return _PRIOR * predicted_s

    def decay(self, now: float, urgency: int, predicted_s: float) -> None:
        """A job was refused for its margin alone: forget the oldest error of its kind, unless an error has just been
        forgotten or learned. Without answers nothing else would correct a margin that has become too wide."""
        window = self._windows.get((urgency, frexp(predicted_s)[1]))
        if window and now >= max(self._next_decay, window.fresh_until):
            self._next_decay = now + _DECAY_S
            window.forget()

    def learn(self, urgency: int, predicted_s: float, error_s: float, now: float) -> None:
        """A prediction of `predicted_s` seconds turned out, at `now`, to be wrong by `error_s`."""
        self._counts[bisect_left(BOUNDS_S, error_s)] += 1
        self._sum_s += error_s
        kind = urgency, frexp(predicted_s)[1]
        window = self._windows.get(kind)
        if window is None:
            window = self._windows[kind] = _Window()
        window.learn(error_s, now, _TOGETHER * predicted_s)
        window.fresh_until = now + _FRESH * predicted_s


class _Window:
    """The last errors, in order of arrival and of size."""

    def __init__(self) -> None:
        self.fresh_until = 0.0
        self.sorted: list[float] = []
        self._arrived: deque[float] = deque()
        self._last = float("-inf")  # when the last sample began
        self._upper: tuple[float, int, float] | None = None  # median, how many are above it, their squares from it

    def learn(self, value: float, now: float, together_s: float) -> None:
        """Add one error. Of those that come within `together_s` the worst stays."""
        if self._arrived and now - self._last <= together_s:
            if value <= self._arrived[-1]:
                return
            self._remove(self._arrived.pop())
        else:
            self._last = now
        if len(self._arrived) == _KEPT:
            self.forget()
        self._arrived.append(value)
        insort(self.sorted, value)
        self._upper = None

    def forget(self) -> None:
        """Forget the oldest."""
        if self._arrived:
            self._remove(self._arrived.popleft())

    def quantile(self, share: float) -> float:
        return self.sorted[ceil(share * len(self.sorted)) - 1]

    def later_s(self, prior_s: float, risk: float) -> float:
        """The margin while there are few errors; `prior_s`: the deviation that is expected of them.

        No error seen, predicted 1 s, risk 0.5 %: the prior deviation of 19 ms times Student's quantile of 5.2 for
        four imagined errors gives the tenth of the prediction that `_PRIOR` says.
        """
        count = len(self.sorted)
        middle = self.sorted[(count - 1) // 2] if count else 0.0
        off = count / (count + _IMAGINED) * middle
        return off + _student(count + _IMAGINED, round(risk, 3)) * self.deviation_s(prior_s)

    def deviation_s(self, prior_s: float) -> float:
        """Deviation of the errors upwards: how early others came says nothing of how late one may come."""
        count = len(self.sorted)
        if not count:
            return prior_s
        if self._upper is None:
            middle = self.sorted[(count - 1) // 2]
            above = [value - middle for value in self.sorted[count // 2 :]]
            self._upper = middle, len(above), sum(value * value for value in above)
        middle, seen, squares = self._upper
        off = count / (count + _IMAGINED) * max(0.0, middle) ** 2
        return sqrt((squares + _IMAGINED / 2 * (prior_s**2 + off)) / (seen + _IMAGINED / 2))

    def _remove(self, value: float) -> None:
        del self.sorted[bisect_left(self.sorted, value)]
        self._upper = None


@cache
def _student(count: int, risk: float) -> float:
    """How many deviations of `count` errors the next one exceeds only with a chance of `risk`: Student's quantile, by
    the first terms of its expansion from the normal quantile."""
    free, z = count - 1, NormalDist().inv_cdf(1.0 - risk)
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)


_NONE = _Window()
_USUAL = _PRIOR / _student(_IMAGINED, _LEAST_RISK)  # deviation of the errors before the first, of the predicted seconds
