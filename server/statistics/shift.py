"""Has a distribution shifted? Two samples of a number, or of a category."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_BINS = 10
_UNSEEN = 0.5  # counted in each bin beforehand, so that an empty one gives no infinity
_CURIOUS = 2.5  # standard deviations, below which a category's exact test is not worth its time
_TERMS = 20


def kolmogorov_smirnov(reference: Values, window: Values) -> tuple[float, float]:
    """The largest distance between the two distribution functions, and how likely one as large is without a shift.

    `reference` is sorted. The chance is Kolmogorov's series with the correction for finite samples of Stephens,
    "Use of the Kolmogorov-Smirnov ...", Journal of the Royal Statistical Society B 32 (1970). Equal values make it
    too large, never too small.
    """
    window = np.sort(window)
    both = np.concatenate([reference, window])
    below_reference = np.searchsorted(reference, both, side="right") / len(reference)
    below_window = np.searchsorted(window, both, side="right") / len(window)
    distance = float(np.abs(below_reference - below_window).max())
    root = math.sqrt(len(reference) * len(window) / (len(reference) + len(window)))
    return distance, _kolmogorov((root + 0.12 + 0.11 / root) * distance)


def stability_index(reference: Values, window: Values) -> float:
    """The population stability index over the reference's deciles: sum of (q - p) * ln(q / p). By convention below 0.1
    is stable, and above 0.25 a large shift (Siddiqi, "Credit Risk Scorecards", 2006). `reference` is sorted."""
    edges = np.unique(np.quantile(reference, np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
    return _index(
        *(np.bincount(np.searchsorted(edges, part), minlength=len(edges) + 1) for part in (reference, window))
    )


def category_index(reference: Mapping[str, int], window: Mapping[str, int]) -> float:
    """The population stability index over categories."""
    names = sorted({*reference, *window})
    return _index(*(np.array([part.get(name, 0) for name in names]) for part in (reference, window)))


def category_p(reference: Mapping[str, int], window: Mapping[str, int]) -> tuple[str, float]:
    """The category whose share has changed most, and how likely so large a change of any is without a shift.

    Fisher's exact test of each category against the rest (Fisher 1922), doubled for both sides, and Bonferroni's
    correction for their number.
    """
    m, n = sum(reference.values()), sum(window.values())
    names = sorted({*reference, *window})
    found = ((_exact_p(reference.get(name, 0), m, window.get(name, 0), n), name) for name in names)
    least, name = min(found, default=(1.0, ""))
    return name, min(1.0, least * len(names))


def _index(reference: NDArray[np.int64], window: NDArray[np.int64]) -> float:
    p = (reference + _UNSEEN) / (reference.sum() + _UNSEEN * len(reference))
    q = (window + _UNSEEN) / (window.sum() + _UNSEEN * len(window))
    return float(((q - p) * np.log(q / p)).sum())


def _kolmogorov(x: float) -> float:
    """The chance that Kolmogorov's distribution exceeds x."""
    if x < 0.2:
        return 1.0  # to 12 digits, and the series converges slowly there
    terms = (math.exp(-2.0 * j * j * x * x) * (1.0 if j % 2 else -1.0) for j in range(1, _TERMS + 1))
    return min(1.0, max(0.0, 2.0 * sum(terms)))


def _exact_p(a: int, m: int, b: int, n: int) -> float:
    """`a` of `m` against `b` of `n`: twice the hypergeometric tail on the side of `b`; 1 where it is plainly large."""
    hits, total = a + b, m + n
    expected = n * hits / total
    spread = math.sqrt(max(1e-12, expected * (1 - hits / total) * m / max(1, total - 1)))
    if abs(b - expected) < _CURIOUS * spread:
        return 1.0
    tail = range(b, min(n, hits) + 1) if b > expected else range(max(0, hits - m), b + 1)
    base = _log_choose(total, n)
    return min(1.0, 2.0 * sum(math.exp(_log_choose(hits, k) + _log_choose(total - hits, n - k) - base) for k in tail))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
