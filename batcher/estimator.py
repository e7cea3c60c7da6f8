"""What work costs, in seconds of one seat: the profile of the batches, corrected by what was seen lately.

No clock: samples in, numbers out. A batch of n takes `cost * cost_factor + profile(n)` where its items' own costs
stand in line with it, and the longer of the two where they are done beside it. `slowness` is by what factor the
last samples took longer than that.
"""

from collections import deque
from statistics import median
from typing import NamedTuple

from batcher.profile import Profile

_SAMPLES = 8  # batches; a model that drops to half its speed is followed when as many have ended
_OUTLIER = 2.0  # a sample counts for at most this many times the median, so that one stall cannot lie for long
_COST_MEMORY = 0.95  # of the own costs: about the last twenty items count
_COST_OUTLIER = 4.0


class Sample(NamedTuple):
    """What a busy seat did in a stretch of time: `items` of `cost_s` own cost in all, in `wall_s`."""

    wall_s: float
    cost_s: float
    items: int


class Estimator:
    """Predicts the work of items. `beside`: how many own costs are done at a time while batches run; 0: in line."""

    def __init__(self, profile: Profile, max_batch: int) -> None:
        self.profile = profile
        self.beside = 0
        self.cost_factor = 1.0
        self.slowness = 1.0
        self.fastest = 0.0
        """The least slowness of the last samples; 0 until there are enough to trust."""
        self._max_batch = max_batch
        self._each_s = 0.0  # where nothing is measured but whole items
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES)
        self._costs = self._actual = self._counted = 0.0

    @property
    def measured(self) -> bool:
        """Whether there is any ground for a prediction but the costs that items name."""
        return bool(self._samples or self.profile.known)

    @property
    def pace_s(self) -> float | None:
        """Seconds of a seat an item, of the last samples; None before the first."""
        if not self._samples:
            return None
        return sum(one.wall_s for one in self._samples) / sum(one.items for one in self._samples)

    @property
    def batch(self) -> int:
        """How many items run together where enough of them wait."""
        if not self.profile.known:
            return 1
        return self.profile.best_size(self._max_batch) or self._max_batch

    def run_s(self, count: int) -> float:
        """Seconds of one batch of `count`, own costs aside."""
        known = self.profile.seconds(count)
        return count * self._each_s if known is None else known

    def work_s(self, cost_s: float, count: int) -> float:
        """Seconds of one seat for `count` items with `cost_s` own costs in all, in batches as large as pays."""
        batch = self.batch
        full, rest = divmod(count, batch)
        runs = (full * self.run_s(batch) if full else 0.0) + (self.run_s(rest) if rest else 0.0)
        return self.slowness * self._joined(cost_s, runs)

    def alone_s(self, cost_s: float, mates_s: float, count: int) -> float:
        """Seconds from the start of an item to its answer, in a batch of `count`, where the others cost `mates_s`.
        Work done beside others shortens the queue, and not the way of one item."""
        own_s = (cost_s + mates_s / max(1, self.beside)) * self.cost_factor
        return max(1.0, self.slowness) * (own_s + self.run_s(count))

    def hope_s(self, cost_s: float) -> float:
        """Seconds of an item alone, if all goes as well as it ever did."""
        return cost_s * min(1.0, self.cost_factor) + self.profile.least_s

    def observe(self, sample: Sample) -> None:
        """A seat was busy for so long, with so much."""
        if sample.wall_s > 0 and sample.items:
            self._samples.append(sample)
            self._correct()

    def observe_cost(self, cost_s: float, actual_s: float) -> None:
        """An item's own cost was expected, and was."""
        if cost_s <= 0 or actual_s <= 0:
            return
        self._costs = _COST_MEMORY * self._costs + cost_s
        self._actual = _COST_MEMORY * self._actual + min(actual_s, _COST_OUTLIER * self.cost_factor * cost_s)
        self.cost_factor = self._actual / self._costs
        self._counted = _COST_MEMORY * self._counted + 1.0
        if not self.beside:
            self.profile.take_in_line(self._actual / self._counted)

    def _joined(self, cost_s: float, runs_s: float) -> float:
        cost_s *= self.cost_factor
        return max(cost_s / self.beside, runs_s) if self.beside else cost_s + runs_s

    def _correct(self) -> None:
        """CORRECTNESS: all samples are judged anew by what the profile says now. It follows the same change as they
        do, and would count it twice otherwise."""
        if not self.profile.known:
            self._each_s = self._each()
        self.slowness = 1.0
        expected = [self.work_s(one.cost_s, one.items) for one in self._samples]
        if not all(expected):
            return
        ratios = [one.wall_s / work for one, work in zip(self._samples, expected, strict=True)]
        most = _OUTLIER * median(ratios)
        self.slowness = sum(min(ratio, most) * work for ratio, work in zip(ratios, expected, strict=True)) / sum(
            expected
        )
        self.fastest = min(ratios) if len(ratios) == _SAMPLES else 0.0

    def _each(self) -> float:
        most = _OUTLIER * median(one.wall_s / one.items for one in self._samples)
        wall = sum(min(one.wall_s, most * one.items) for one in self._samples)
        own = sum(one.cost_s for one in self._samples) * self.cost_factor
        return max(0.0, wall - own) / sum(one.items for one in self._samples)
