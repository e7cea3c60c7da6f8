"""Batch size -> seconds, learned from samples. No clock: whoever measures brings the numbers."""

from bisect import bisect_left, insort

_WEIGHT = 0.2  # of a new sample: about the last ten count
_OUTLIER = 2.0  # one sample counts for at most this many times the estimate, so one stall cannot lie for long
_HANDED_S = 0.1e-3  # that handing over a batch, and waking who waits for it, costs besides (two cores, 20 KB images)
_NEWS = 0.1  # of what was known: a change that may matter
_SLACK = 1.05  # a batch is big enough when its seconds an image are within 5 % of the best


def blend(known: float | None, sample: float) -> float:
    """An estimate corrected by one sample, robust to a single slow one. One of 0 is none: a coarse clock."""
    if not known:
        return sample
    return known + _WEIGHT * (min(sample, _OUTLIER * known) - known)


class Profile:
    """What a batch of n costs, in seconds; between measured sizes interpolated, past them extrapolated."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._sizes: list[int] = []
        self.least_s = 0.0
        """The quickest batch of all so far; 0 before anything was measured."""
        self._in_line_s = 0.0
        self._best: dict[int, int] = {}  # by limit, until something new is learned

    def __repr__(self) -> str:
        rows = ", ".join(f"{size}: {self._seconds[size] * 1e3:.2f} ms" for size in self._sizes)
        return f"Profile({rows})"

    @property
    def known(self) -> bool:
        """Whether anything was measured."""
        return bool(self._sizes)

    @property
    def sizes(self) -> dict[int, float]:
        """The measured sizes and their seconds."""
        return {size: self._seconds[size] for size in self._sizes}

    def observe(self, size: int, seconds: float) -> None:
        """Learn from one batch of `size` images that ran for `seconds`."""
        if size not in self._seconds:
            insort(self._sizes, size)
        self._seconds[size] = blend(self._seconds.get(size), seconds)
        self.least_s = min(self.least_s or seconds, seconds)
        self._best.clear()

    def seconds(self, size: int) -> float | None:
        """The predicted seconds of a batch; None before anything was measured."""
        if not self._sizes:
            return None
        if (known := self._seconds.get(size)) is not None:
            return known
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
        while unknown."""
        if len(self._sizes) < 2:
            return None
        if limit not in self._best:
            self._best[limit] = self._best_of([size for size in self._sizes if size < limit] + [limit])
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

    def _proportional(self, size: int) -> float:
        known = self._sizes[0]
        return self._seconds[known] * max(size, known) / known

    def _on_line(self, size: int) -> float:
        """The line through the nearest measured sizes on both sides, or through the last two on one."""
        right = min(max(bisect_left(self._sizes, size), 1), len(self._sizes) - 1)
        low, high = self._sizes[right - 1], self._sizes[right]
        slope = (self._seconds[high] - self._seconds[low]) / (high - low)
        return max(self._seconds[low] + max(0.0, slope) * (size - low), 0.0)
