"""Whether a model answers in float16 as it does in float32: a gate it has to pass before it serves. Pure."""

from collections.abc import Sequence

import numpy as np

from server.inference.answer import Row, as_answered
from server.inference.output import Output

TOLERANCE = 0.01  # of the largest value of an output. Then a best class changes only where two are within twice that


def disagreement(expected: Sequence[Row], got: Sequence[Row], output: Output) -> tuple[float, str]:
    """The largest difference between values as they are answered, as a part of the largest value of its output, and
    that output's name. One row a picture. `output` is resolved.

    Of whole numbers any difference counts as 1. Infinite where `got` is not finite, or not 0 where all of `expected`
    is. A picture of which `expected` is not finite does not count; it is infinite, too, where none does.
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


def _apart(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Of one output."""
    if not pairs:
        return float("inf")  # nothing was seen to agree
    if any(one.shape != other.shape for one, other in pairs):
        return 1.0
    if not all(np.isfinite(other).all() for _, other in pairs):
        return float("inf")
    differences = [np.abs(one.astype(np.float64) - other.astype(np.float64)).max(initial=0.0) for one, other in pairs]
    most = float(max(differences, default=0.0))
    if not most:
        return 0.0
    if pairs[0][0].dtype.kind != "f":
        return 1.0
    largest = max(float(np.abs(one).max(initial=0.0)) for one, _ in pairs)
    return most / largest if largest else float("inf")
