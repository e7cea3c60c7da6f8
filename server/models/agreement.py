"""Whether a model that is run another way answers as it does when nothing is told: a gate it has to pass before it
serves so. Pure.

Values are judged beside the largest of their output. An output can hold several quantities, as boxes in pixels beside
scores up to 1: so each is judged beside the largest of its row or column as well, less sharply, since one that is
small can be of no weight.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.models.output_spec import Output
from server.models.render import Row, as_answered

TOLERANCE = 0.01  # of the largest value of an output. Then a best class changes only where two are within twice that
_LESS_SHARPLY = 0.2
_ENOUGH = 16  # values
_UNIT = (
    1.0  # a slice that is smaller is judged as if it came to this: of a score that is next to nothing, any part is less
)


def disagreement(expected: Sequence[Row], got: Sequence[Row], output: Output) -> tuple[float, str]:
    """The largest difference between values as they are answered, as a part of the largest value of its output (a
    fifth of what it is as a part of the largest in its row or column, where that is more), and that output's name. One
    row a picture. `output` is resolved.

    Of whole numbers it is the share of them that differ. Infinite where `got` is not finite, or not 0 where all of
    `expected` is. A picture of which `expected` is not finite does not count; it is infinite, too, where none does.
    """
    with np.errstate(all="ignore"):
        answers = [
            (as_answered(output, one), as_answered(output, other))
            for one, other in zip(expected, got, strict=True)
            if _finite(one)
        ]
    named = enumerate(output.names or ())
    found = [(_apart([(one[index], other[index]) for one, other in answers]), name) for index, name in named]
    return max(found, default=(0.0, ""))


def _finite(row: Row) -> bool:
    return all(np.isfinite(part).all() for part in row)


def _apart(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> float:
    """Of one output."""
    if not pairs:
        return float("inf")  # nothing was seen to agree
    if any(one.shape != other.shape for one, other in pairs):
        return 1.0
    if not all(np.isfinite(other).all() for _, other in pairs):
        return float("inf")
    different = [np.abs(one.astype(np.float64) - other.astype(np.float64)) for one, other in pairs]
    if not any(each.any() for each in different):
        return 0.0
    if pairs[0][0].dtype.kind != "f":
        return max(float(each.astype(bool).mean()) for each in different)
    largest = max(float(np.abs(one).max(initial=0.0)) for one, _ in pairs)
    if not largest:
        return float("inf")
    most = max(float(each.max(initial=0.0)) for each in different) / largest
    found = (_by_slices(one, each, largest) for (one, _), each in zip(pairs, different, strict=True))
    return max(most, _LESS_SHARPLY * max(found))


def _by_slices(expected: NDArray[Any], different: NDArray[Any], largest: float) -> float:
    """The largest difference as a part of the largest value of its slice, along whichever axis."""
    least = min(_UNIT, largest)
    parts = (different / np.maximum(scale, least) for scale in _scales(expected))
    return max((float(part.max()) for part in parts), default=0.0)


def _scales(expected: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The largest value of each slice, along one axis after another; slices of a few values tell no scale."""
    for axis, length in enumerate(expected.shape):
        if length and expected.size // length >= _ENOUGH:
            others = tuple(other for other in range(expected.ndim) if other != axis)
            yield np.abs(expected).max(axis=others, keepdims=True)
