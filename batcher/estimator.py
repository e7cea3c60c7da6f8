"""What work costs, in seconds of one seat: the profile of the batches, corrected by what was seen lately.

No clock: samples in, numbers out. A batch of n takes `cost * cost_factor + profile(n)` where its items' own costs
stand in line with it, and the longer of the two where they are done beside it. `slowness` is by what factor batches
have taken longer than that: of late, and where the pace has changed, since then.
"""

from collections import deque
from statistics import median
from typing import NamedTuple

from batcher.profile import Profile

_LATELY = 8  # batches, of which the quickest tells what is possible
_MEMORY = 1 - 1 / 32  # of the slowness: the noise of single batches is not to be followed
_OUTLIER = 2.0  # a sample counts for at most this many times the usual, so that one stall cannot lie for long
_CHANGE = 3.0  # times the usual noise: two batches in a row so far off, the same way, are a change of pace
_CHANGE_AFTER = 4  # batches at least
_STEADY = 32  # batches; what changes more often is noise, which predictions have to cover
_NOISE = 0.1  # of a batch's seconds, before any was seen
_NOISE_MEMORY = 0.95
_COST_MEMORY = 0.98  # of the own costs: about the last fifty items count
_COST_OUTLIER = 4.0


class Sample(NamedTuple):
    """What a busy seat did in a stretch of time: `items` of `cost_s` own cost in all, in `wall_s`."""

    wall_s: float
    cost_s: float
    items: int


class _Sum:
    """Of samples, the older the less: what they took, and of what it was made."""

    def __init__(self) -> None:
        self.wall_s = self.cost_s = self.runs = 0.0

    def add(self, wall_s: float, cost_s: float, runs: float) -> None:
        """`runs`: seconds of the batches, by the profile at a pace of 1."""
        self.wall_s = _MEMORY * self.wall_s + wall_s
        self.cost_s = _MEMORY * self.cost_s + cost_s
        self.runs = _MEMORY * self.runs + runs


class Estimator:
    """Predicts the work of items. `beside`: how many own costs are done at a time while batches run; 0: in line."""

    def __init__(self, profile: Profile, max_batch: int) -> None:
        self.profile = profile
        self.beside = 0
        self.cost_factor = 1.0
        self.slowness = 1.0
        self.fastest = 0.0
        """The least slowness of the last samples; 0 until there have been enough to trust."""
        self.changes = 0
        """How often the pace has been seen to change, after it had been steady for a while."""
        self._max_batch = max_batch
        self._each_s = 0.0  # where nothing is measured but whole items
        self._samples: deque[Sample] = deque(maxlen=_LATELY)
        self._sum = _Sum()
        self._trusted = False
        self._steady = _STEADY  # samples since the pace has changed
        self._noise = _NOISE
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
        return self.profile.best_size(self._max_batch) or (self._max_batch if self.profile.known else 1)

    def run_s(self, count: int) -> float:
        """Seconds of one batch of `count`, own costs aside."""
        known = self.profile.seconds(count)
        return count * self._each_s if known is None else known

    def work_s(self, cost_s: float, count: int) -> float:
        """Seconds of one seat for `count` items with `cost_s` own costs in all, in batches as large as pays."""
        return self.slowness * self._joined(cost_s, self._runs_s(count))

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
        if sample.wall_s <= 0 or not sample.items:
            return
        self._samples.append(sample)
        self._steady += 1
        if not self.profile.known:
            self._each_s = self._each()
            return
        ratios = self._ratios()
        if not ratios:
            return
        if _changed(ratios, _CHANGE * self._noise):
            self._restart()
            ratios = ratios[-2:]
        else:
            self._take_noise(ratios)
            self._take(ratios)
        self._trusted |= len(ratios) == _LATELY
        self.fastest = min(ratios) if self._trusted else 0.0
        self.slowness = self._sum.wall_s / self._joined(self._sum.cost_s, self._sum.runs * self.profile.pace)

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

    def _runs_s(self, count: int) -> float:
        batch = self.batch
        if count <= batch:
            return self.run_s(count) if count else 0.0
        full, rest = divmod(count, batch)
        return full * self.run_s(batch) + (self.run_s(rest) if rest else 0.0)

    def _joined(self, cost_s: float, runs_s: float) -> float:
        cost_s *= self.cost_factor
        return max(cost_s / self.beside, runs_s) if self.beside else cost_s + runs_s

    def _ratios(self) -> list[float]:
        """By what factors the last samples took longer than is expected of them now; none where nothing is.

        CORRECTNESS: all are judged anew by what the profile says now. It follows the same change as they do, and would
        count it twice otherwise; therefore sums are kept, too, and not ratios.
        """
        expected = [self._joined(one.cost_s, self._runs_s(one.items)) for one in self._samples]
        if not all(expected):
            return []
        return [one.wall_s / work for one, work in zip(self._samples, expected, strict=True)]

    def _take_noise(self, ratios: list[float]) -> None:
        if len(ratios) > 1:
            apart = min(abs(ratios[-1] / ratios[-2] - 1.0), 1.0)
            self._noise = _NOISE_MEMORY * self._noise + (1.0 - _NOISE_MEMORY) * apart

    def _take(self, ratios: list[float]) -> None:
        """The last sample, by twice the usual at most. While there are few, all of them: what is usual is not known yet
        when the first one comes."""
        few = len(ratios) < _LATELY
        if few:
            self._sum = _Sum()
        most = _OUTLIER * median(ratios)
        for one, ratio in zip(self._samples, ratios, strict=True) if few else [(self._samples[-1], ratios[-1])]:
            self._add(one, one.wall_s * min(1.0, most / ratio))

    def _restart(self) -> None:
        """The pace has changed: what was before the last two batches counts no more."""
        self.changes += self._steady >= _STEADY
        self._steady = 0
        while len(self._samples) > 2:
            self._samples.popleft()
        self._sum = _Sum()
        for one in self._samples:
            self._add(one, one.wall_s)

    def _add(self, sample: Sample, wall_s: float) -> None:
        self._sum.add(wall_s, sample.cost_s, self._runs_s(sample.items) / self.profile.pace)

    def _each(self) -> float:
        most = _OUTLIER * median(one.wall_s / one.items for one in self._samples)
        wall = sum(min(one.wall_s, most * one.items) for one in self._samples)
        own = sum(one.cost_s for one in self._samples) * self.cost_factor
        return max(0.0, wall - own) / sum(one.items for one in self._samples)


def _changed(ratios: list[float], apart: float) -> bool:
    """Whether the last two say that the pace is another than that of those before: both are off, the same way. One
    alone may be a stall."""
    if len(ratios) < _CHANGE_AFTER:
        return False
    before, last = median(ratios[:-2]), ratios[-2:]
    return min(last) > before * (1.0 + apart) or max(last) < before / (1.0 + apart)
