"""Batch size -> seconds, learned from samples. No clock: whoever measures brings the numbers.

What makes one size slower, a busy or a hot machine, makes all of them slower. So a sample moves the pace, which is
common to all sizes, at once, and what its size costs beside the others only slowly. Else a machine at half its speed
that happens to run single images would seem to gain by batches, which were measured when it was fast.
"""

from bisect import bisect_left, insort

_WEIGHT = 0.2  # of a new sample: about the last ten count
_SHAPE_WEIGHT = 0.01  # ... and for what tells one size from another about the last two hundred
_OUTLIER = 2.0  # one sample counts for at most this many times the estimate, so one stall cannot lie for long
_HANDED_S = 0.2e-3  # that handing over a batch, and waking who waits for it, costs besides in all processes
_NEWS = 0.1  # of what was known: a change that may matter
_SLACK = 1.05  # a batch is big enough when its seconds an image are within 5 % of the best


class Profile:
    """What a batch of n costs, in seconds; between measured sizes interpolated, past them extrapolated."""

    def __init__(self) -> None:
        self.pace = 1.0
        """By what factor all sizes have become slower or quicker since they were first measured."""
        self._shape: dict[int, float] = {}  # seconds of each size, at a pace of 1
        self._sizes: list[int] = []
        self.least_s = 0.0
        """The quickest batch of all so far; 0 before anything was measured."""
        self._in_line_s = 0.0
        self._best: dict[int, int] = {}  # by limit, until something new is learned

    def __repr__(self) -> str:
        rows = ", ".join(f"{size}: {seconds * 1e3:.2f} ms" for size, seconds in self.sizes.items())
        return f"Profile({rows})"

    @property
    def known(self) -> bool:
        """Whether anything was measured."""
        return bool(self._sizes)

    @property
    def sizes(self) -> dict[int, float]:
        """The measured sizes and their seconds."""
        return {size: self.pace * self._shape[size] for size in self._sizes}

    def observe(self, size: int, seconds: float) -> None:
        """Learn from one batch of `size` images that ran for `seconds`."""
        if size not in self._shape:
            self._add(size, seconds)
        else:
            self._correct(size, seconds)
        self.least_s = min(self.least_s or seconds, seconds)
        self._best.clear()

    def seconds(self, size: int) -> float | None:
        """The predicted seconds of a batch; None before anything was measured."""
        if not self._sizes:
            return None
        if (known := self._shape.get(size)) is not None:
            return self.pace * known
        if len(self._sizes) == 1:
            return self._proportional(size)
        return self._on_line(size)

    @property
    def fixed_s(self) -> float:
        """The fixed cost of a batch in seconds (the intercept alpha of alpha + beta n), 0 while unknown."""
        if len(self._sizes) < 2:
            return 0.0
        return self._on_line(0)

    def take_in_line(self, seconds: float) -> None:
        """An image takes so long besides its share of a batch, before the batch can run: decoding, where that is not
        done beside it. The more that is, the less there is to gain by larger batches."""
        if abs(seconds - self._in_line_s) > _NEWS * self._in_line_s:
            self._in_line_s = seconds
            self._best.clear()

    def best_size(self, limit: int) -> int | None:
        """The smallest size up to `limit` within 5 % of the best seconds an image, all that it takes counted; None
        while unknown. 1, 2, 4 ... and the limit are asked, as a worker does before it is ready: with every size that
        ever ran, the answer would change with the batches that happened to be cut short."""
        if len(self._sizes) < 2:
            return None
        if limit not in self._best:
            self._best[limit] = self._best_of(_doublings(limit))
        return self._best[limit]

    def cheaper_if_larger(self, size: int, limit: int) -> bool:
        """Whether a batch larger than `size`, up to `limit`, costs less an image, by more than 5 %."""
        best = self.best_size(limit)
        return best is not None and best > size

    def _best_of(self, sizes: list[int]) -> int:
        each = {size: self._each(size) for size in sizes}
        best = min(each.values())
        return next(size for size, seconds in each.items() if seconds <= best * _SLACK)

    def _each(self, size: int) -> float:
        seconds = self.seconds(size)
        assert seconds is not None  # only asked once two sizes are known
        return (seconds + (_HANDED_S if self._in_line_s else 0.0)) / size + self._in_line_s

    def _add(self, size: int, seconds: float) -> None:
        """A new one. Between two that are known it starts on their line: one sample may be a stall."""
        between = bool(self._sizes) and self._sizes[0] < size < self._sizes[-1]
        self._shape[size] = self._on_line(size) / self.pace if between else seconds / self.pace
        insort(self._sizes, size)
        if between:
            self._correct(size, seconds)

    def _correct(self, size: int, seconds: float) -> None:
        """CORRECTNESS: by powers of one ratio, so that what a size has come to cost beside others follows the pace only
        there and back, and noise alone, however much, moves it nowhere."""
        known = self.pace * self._shape[size]
        if not known or not seconds:  # a coarse clock
            self._shape[size] = self._shape[size] or seconds / self.pace
            return
        ratio = min(max(seconds / known, 1 / _OUTLIER), _OUTLIER)
        self.pace *= ratio**_WEIGHT
        self._shape[size] *= ratio**_SHAPE_WEIGHT

    def _proportional(self, size: int) -> float:
        known = self._sizes[0]
        return self.pace * self._shape[known] * max(size, known) / known

    def _on_line(self, size: int) -> float:
        """The line through the nearest measured sizes on both sides, or through the last two on one."""
        right = min(max(bisect_left(self._sizes, size), 1), len(self._sizes) - 1)
        low, high = self._sizes[right - 1], self._sizes[right]
        slope = (self._shape[high] - self._shape[low]) / (high - low)
        return self.pace * max(self._shape[low] + max(0.0, slope) * (size - low), 0.0)


def _doublings(limit: int) -> list[int]:
    return [*(1 << power for power in range((limit - 1).bit_length())), limit]
