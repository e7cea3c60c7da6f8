"""Batch size -> seconds, learned from samples. No clock: the caller brings the seconds.

Whatever slows one batch size (a busy or a hot machine) slows all sizes. So each sample moves `drift`, which all sizes
share, at once, and moves the cost of its own size relative to the others only slowly. Otherwise a machine at half its
speed that happens to run single images would seem to gain from batches, because those were measured when it was fast.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

_DRIFT_WEIGHT = 0.2  # of a new sample: about the last ten count
_SHAPE_WEIGHT = 0.01  # for the relative cost of one size: about the last two hundred samples count
_OUTLIER = 2.0  # one sample counts for at most this many times the estimate, so that one stall has little effect
_HANDOVER_S = 0.2e-3  # cost of handing one batch to an executor and waking its waiters, over all processes
_NEWS = 0.1  # relative change of the preprocessing time that is worth computing the best size again
_SLACK = 1.05  # a batch is large enough when its seconds per image are within 5 % of the best


class BatchProfile:
    """What a batch of n costs in seconds: interpolated between measured sizes, extrapolated beyond them."""

    def __init__(self) -> None:
        self.drift = 1.0
        """Factor by which all sizes have become slower since they were first measured."""
        self.shape: dict[int, float] = {}
        """Seconds of each measured size at a drift of 1, in order of size."""
        self.fastest_s = 0.0
        """The fastest batch of any size so far; 0 before the first sample."""
        self._inline_prep_s = 0.0
        self._best: dict[int, int] = {}  # best size by limit, until something new is learned

    def __repr__(self) -> str:
        rows = ", ".join(f"{size}: {seconds * 1e3:.2f} ms" for size, seconds in self.sizes.items())
        return f"BatchProfile({rows})"

    @property
    def sizes(self) -> dict[int, float]:
        """The measured sizes and their seconds."""
        return {size: self.drift * shape_s for size, shape_s in self.shape.items()}

    def observe(self, size: int, seconds: float) -> None:
        """Learn from one batch of `size` images that ran for `seconds`."""
        if size not in self.shape:
            self._add(size, seconds)
        else:
            self._correct(size, seconds)
        self.fastest_s = min(self.fastest_s or seconds, seconds)
        self._best.clear()

    def forget_above(self, size: int) -> None:
        """Larger batches than `size` are not run any more. Nothing may be concluded from them about smaller ones, which
        were perhaps never measured."""
        self.shape = {each: shape_s for each, shape_s in self.shape.items() if each <= size}
        self._best.clear()

    def seconds(self, size: int) -> float | None:
        """The predicted seconds of a batch; None before the first sample."""
        return self.drift * shape_at(tuple(self.shape), tuple(self.shape.values()), size) if self.shape else None

    @property
    def fixed_s(self) -> float:
        """The fixed cost of a batch in seconds (the intercept alpha of alpha + beta n); 0 while unknown."""
        if len(self.shape) < 2:
            return 0.0
        return self.drift * shape_at(tuple(self.shape), tuple(self.shape.values()), 0)

    def set_inline_prep(self, seconds: float) -> bool:
        """Set the preprocessing time per image that runs before the batch on the same thread; whether that is news.
        The larger it is, the less there is to gain from larger batches."""
        if abs(seconds - self._inline_prep_s) <= _NEWS * self._inline_prep_s:
            return False
        self._inline_prep_s = seconds
        self._best.clear()
        return True

    def best_size(self, limit: int) -> int | None:
        """The smallest size up to `limit` within 5 % of the best seconds per image, everything included; None while
        unknown. Only 1, 2, 4 ... and the limit are candidates, as in a worker's warm-up: with every size that ever ran
        the answer would depend on which batches happened to be cut short."""
        if len(self.shape) < 2:
            return None
        if limit not in self._best:
            self._best[limit] = self._best_of(_doublings(limit))
        return self._best[limit]

    def _best_of(self, sizes: list[int]) -> int:
        per_image = {size: self._per_image_s(size) for size in sizes}
        best = min(per_image.values())
        return next(size for size, seconds in per_image.items() if seconds <= best * _SLACK)

    def _per_image_s(self, size: int) -> float:
        # Run of 8: 12 ms, decoding in line 5 ms per image: (12 + 0.2) / 8 + 5 = 6.5 ms per image. A run of 1 at 5 ms
        # gives 10.2 ms per image, so here the batch of 8 pays; with 50 ms of decoding it would save 4 % and not pay.
        seconds = self.seconds(size)
        assert seconds is not None  # only called once two sizes are known
        return (seconds + (_HANDOVER_S if self._inline_prep_s else 0.0)) / size + self._inline_prep_s

    def _add(self, size: int, seconds: float) -> None:
        """Add a new size. Between two known sizes it starts on their line: one sample may be a stall."""
        sizes = list(self.shape)
        between = bool(sizes) and sizes[0] < size < sizes[-1]
        shape_s = shape_at(sizes, list(self.shape.values()), size) if between else seconds / self.drift
        insort(sizes, size)
        self.shape = {each: self.shape.get(each, shape_s) for each in sizes}
        if between:
            self._correct(size, seconds)

    def _correct(self, size: int, seconds: float) -> None:
        # CORRECTNESS: both factors are powers of one ratio. A size therefore follows the drift there and back, and
        # noise alone, however large, moves its relative cost nowhere.
        # Example: known 10 ms, sample 15 ms: ratio 1.5, drift x 1.5**0.2 = 1.084, shape x 1.5**0.01 = 1.004; the
        # prediction becomes 10.9 ms.
        known = self.drift * self.shape[size]
        if not known or not seconds:  # a coarse clock
            self.shape[size] = self.shape[size] or seconds / self.drift
            return
        ratio = min(max(seconds / known, 1 / _OUTLIER), _OUTLIER)
        self.drift *= ratio**_DRIFT_WEIGHT
        self.shape[size] *= ratio**_SHAPE_WEIGHT


def shape_at(sizes: Sequence[int], shape: Sequence[float], size: int) -> float:
    """Seconds of a batch of `size` at a drift of 1: a measured value, or on the line through the nearest two measured
    sizes. `sizes` must not be empty. One measured size scales in proportion, and never below itself."""
    place = bisect_left(sizes, size)
    if place < len(sizes) and sizes[place] == size:
        return shape[place]
    if len(sizes) == 1:
        return shape[0] * max(size, sizes[0]) / sizes[0]
    right = min(max(place, 1), len(sizes) - 1)
    low, high = sizes[right - 1], sizes[right]
    slope = (shape[right] - shape[right - 1]) / (high - low)
    return max(shape[right - 1] + max(0.0, slope) * (size - low), 0.0)


def _doublings(limit: int) -> list[int]:
    return [*(1 << power for power in range((limit - 1).bit_length())), limit]
