"""What work costs, learned from what executors did lately. No clock: samples in, a `CostModel` out.

Two corrections are learned on top of the `BatchProfile`: by what factor preprocessing takes longer than jobs said
(`prep_factor`), and by what factor executors are busy for longer than profile and preprocessing explain (`slowdown`).
"""

from collections import deque
from statistics import median
from typing import NamedTuple

from batcher.scheduling.batch_profile import BatchProfile
from batcher.scheduling.cost_model import CostModel, from_profile

_LATELY = 8  # batches; the fastest of them tells what is possible
_MEMORY = 1 - 1 / 32  # of the slowdown: the noise of single batches should not be followed
_OUTLIER = 2.0  # one sample counts for at most this many times the median, so that one stall has little effect
_CHANGE = 3.0  # times the usual noise: two batches in a row this far off, in one direction, are a change of speed
_CHANGE_AFTER = 4  # batches at least
_STEADY = 32  # batches; a speed that changes more often is noise, which the margin has to cover
_NOISE = 0.1  # of a batch's seconds, before the first sample
_NOISE_MEMORY = 0.95
_PREP_MEMORY = 0.98  # of the preprocessing times: about the last fifty jobs count
_PREP_OUTLIER = 4.0


class Sample(NamedTuple):
    """What a busy slot did in a stretch of time: `items` jobs of `prep_s` preprocessing in all, in `wall_s`."""

    wall_s: float
    prep_s: float
    items: int


class _DecayingSum:
    """Of samples, older ones weighted less: the time they took, and the work in them."""

    def __init__(self) -> None:
        self.wall_s = self.prep_s = self.runs = 0.0

    def add(self, wall_s: float, prep_s: float, runs: float) -> None:
        """`runs`: seconds of the batches, by the profile at a drift of 1."""
        self.wall_s = _MEMORY * self.wall_s + wall_s
        self.prep_s = _MEMORY * self.prep_s + prep_s
        self.runs = _MEMORY * self.runs + runs


class ServiceTimes:
    """Learns service times, and gives them as a `CostModel`."""

    def __init__(self, max_batch: int) -> None:
        self.profile = BatchProfile()
        self.speed_changes = 0
        """How often the speed has changed after it had been steady for a while."""
        self._max_batch = max_batch
        self._overlap = 0
        self._prep_factor = 1.0
        self._slowdown = 1.0
        self._best_slowdown = 0.0
        self._per_job_s = 0.0
        self._samples: deque[Sample] = deque(maxlen=_LATELY)
        self._sum = _DecayingSum()
        self._trusted = False
        self._steady = _STEADY  # samples since the speed has changed
        self._noise = _NOISE
        self._prep_expected = self._prep_actual = self._prep_count = 0.0
        self._profiled: CostModel | None = None  # from the profile alone, until it learns again
        self._model: CostModel | None = None  # until anything is learned again

    @property
    def model(self) -> CostModel:
        """What is known now."""
        model = self._model
        if model is None:
            if self._profiled is None:
                self._profiled = from_profile(self.profile, self._max_batch)
            model = self._model = self._profiled._replace(
                measured=self._profiled.measured or bool(self._samples),
                per_job_s=self._per_job_s,
                batch_run_s=self._profiled.batch_run_s if self._profiled.sizes else self._per_job_s,
                overlap=self._overlap,
                prep_factor=self._prep_factor,
                slowdown=self._slowdown,
                best_slowdown=self._best_slowdown,
            )
        return model

    @property
    def seconds_per_job(self) -> float | None:
        """Seconds of a slot per job, over the last samples; None before the first."""
        if not self._samples:
            return None
        return sum(one.wall_s for one in self._samples) / sum(one.items for one in self._samples)

    def limit_batch(self, most: int) -> None:
        """Executors run batches of at most `most` jobs from now on: what was learned of larger ones is forgotten."""
        self._max_batch = most
        self.profile.forget_above(most)
        self._samples.clear()
        self._sum = _DecayingSum()
        self._slowdown, self._best_slowdown, self._trusted = 1.0, 0.0, False
        self._profiled = self._model = None

    def set_overlap(self, jobs: int) -> None:
        """Executors preprocess so many jobs at a time beside their batches; 0: inline."""
        self._overlap = jobs
        self._model = None

    def observe_batch(self, size: int, seconds: float) -> None:
        """A batch of `size` ran for `seconds`, preprocessing aside."""
        self.profile.observe(size, seconds)
        self._profiled = self._model = None

    def observe_prep(self, expected_s: float, actual_s: float) -> None:
        """One job's preprocessing was expected to take `expected_s` and took `actual_s`."""
        if expected_s <= 0 or actual_s <= 0:
            return
        self._prep_expected = _PREP_MEMORY * self._prep_expected + expected_s
        most_s = _PREP_OUTLIER * self._prep_factor * expected_s
        self._prep_actual = _PREP_MEMORY * self._prep_actual + min(actual_s, most_s)
        self._prep_factor = self._prep_actual / self._prep_expected
        self._prep_count = _PREP_MEMORY * self._prep_count + 1.0
        if not self._overlap and self.profile.set_inline_prep(self._prep_actual / self._prep_count):
            self._profiled = None
        self._model = None

    def observe(self, sample: Sample) -> None:
        """Learn from what a slot did.

        Example: the profile and the prep factor explain 40 ms of a stretch of 50 ms: the ratio is 1.25. The slowdown
        is the decaying sum of the seconds over the decaying sum of what explains them, so that batches of 30 ms count
        three times as much as batches of 10 ms.
        """
        if sample.wall_s <= 0 or not sample.items:
            return
        self._samples.append(sample)
        self._steady += 1
        if not self.profile.shape:
            self._per_job_s = self._measured_per_job()
            self._model = None
            return
        ratios = self._ratios()
        if not ratios:
            return
        if _changed(ratios, _CHANGE * self._noise):
            self._restart()
            ratios = ratios[-2:]
        else:
            self._update_noise(ratios)
            self._update_sum(ratios)
        self._trusted |= len(ratios) == _LATELY
        self._best_slowdown = min(ratios) if self._trusted else 0.0
        self._slowdown = self._sum.wall_s / self._explained_s()
        self._model = None

    def _ratios(self) -> list[float]:
        """Actual over expected seconds of each of the last samples; none where nothing is expected.

        CORRECTNESS: all samples are judged anew by what the profile says now. It follows the same change as they do,
        which would otherwise count twice; for the same reason sums are kept, and not ratios.
        """
        model = self.model
        expected = [model.expected_s(one.prep_s, one.items) for one in self._samples]
        if not all(expected):
            return []
        return [one.wall_s / work for one, work in zip(self._samples, expected, strict=True)]

    def _explained_s(self) -> float:
        prep_s, runs_s = self._sum.prep_s * self._prep_factor, self._sum.runs * self.profile.drift
        return max(prep_s / self._overlap, runs_s) if self._overlap else prep_s + runs_s

    def _update_noise(self, ratios: list[float]) -> None:
        if len(ratios) > 1:
            apart = min(abs(ratios[-1] / ratios[-2] - 1.0), 1.0)
            self._noise = _NOISE_MEMORY * self._noise + (1.0 - _NOISE_MEMORY) * apart

    def _update_sum(self, ratios: list[float]) -> None:
        """Add the last sample, at twice the median at most. While there are few, add all of them again: the median is
        not known yet when the first one comes."""
        few = len(ratios) < _LATELY
        if few:
            self._sum = _DecayingSum()
        most = _OUTLIER * median(ratios)
        for one, ratio in zip(self._samples, ratios, strict=True) if few else [(self._samples[-1], ratios[-1])]:
            self._add(one, one.wall_s * min(1.0, most / ratio))

    def _restart(self) -> None:
        """The speed has changed: forget all but the last two batches."""
        self.speed_changes += self._steady >= _STEADY
        self._steady = 0
        while len(self._samples) > 2:
            self._samples.popleft()
        self._sum = _DecayingSum()
        for one in self._samples:
            self._add(one, one.wall_s)

    def _add(self, sample: Sample, wall_s: float) -> None:
        model = self.model
        full, rest = divmod(sample.items, model.batch)
        runs_s = full * model.batch_run_s + (model.run_s(rest) if rest else 0.0)
        self._sum.add(wall_s, sample.prep_s, runs_s / model.drift)

    def _measured_per_job(self) -> float:
        most_s = _OUTLIER * median(one.wall_s / one.items for one in self._samples)
        wall_s = sum(min(one.wall_s, most_s * one.items) for one in self._samples)
        own_s = sum(one.prep_s for one in self._samples) * self._prep_factor
        return max(0.0, wall_s - own_s) / sum(one.items for one in self._samples)


def _changed(ratios: list[float], apart: float) -> bool:
    """Whether the last two batches show another speed than those before: both are off, in one direction. One alone may
    be a stall."""
    if len(ratios) < _CHANGE_AFTER:
        return False
    before, last = median(ratios[:-2]), ratios[-2:]
    return min(last) > before * (1.0 + apart) or max(last) < before / (1.0 + apart)
