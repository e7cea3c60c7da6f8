"""Has a distribution shifted? A window against a reference, of a number or of a category.

One reference is compared with many windows. Were its own error taken for part of each window's, an unlucky reference
would alarm again and again. So what lies within its error is no shift, and the chance is that of the window alone.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from server.statistics.rates import upper_bound

Values = NDArray[np.float64]

_BINS = 10
_UNSEEN = 0.5  # counted in each bin beforehand, so that an empty one gives no infinity
_BAND, _BOUND = 1.36, 0.975  # of the reference: 95 % of Kolmogorov's distribution, and of a share, on both sides
_TERMS = 20
_BY_SHARE = 0.8  # of the weights of categories; the rest is even, so that a new category has one, too


def kolmogorov_smirnov(reference: Values, window: Values) -> tuple[float, float]:
    """The largest distance between the two distribution functions, and how likely one as large is without a shift.

    `reference` is sorted. The chance is Kolmogorov's series with the correction for finite samples of Stephens,
    "Use of the Kolmogorov-Smirnov ...", Journal of the Royal Statistical Society B 32 (1970), for the distance beyond
    the 95 % band of the reference. Equal values make it too large, never too small.
    """
    window = np.sort(window)
    both = np.concatenate([reference, window])
    below_reference = np.searchsorted(reference, both, side="right") / len(reference)
    below_window = np.searchsorted(window, both, side="right") / len(window)
    distance = float(np.abs(below_reference - below_window).max())
    root = math.sqrt(len(window))
    beyond = max(0.0, distance - _BAND / math.sqrt(len(reference)))
    return distance, _kolmogorov((root + 0.12 + 0.11 / root) * beyond)


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

    An exact binomial test of each category, and Bonferroni's correction for their number. Common categories have more
    weight in it: the same points are a smaller part of them, and harder to see.
    """
    m, n = sum(reference.values()), sum(window.values())
    names = sorted({*reference, *window})

    def corrected(name: str) -> float:
        weight = _BY_SHARE * reference.get(name, 0) / m + (1.0 - _BY_SHARE) / len(names)
        return _exact_p(reference.get(name, 0), m, window.get(name, 0), n) / weight

    least, name = min(((corrected(name), name) for name in names), default=(1.0, ""))
    return name, min(1.0, least)


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
    """`b` of `n`, where `a` of `m` were seen before: twice the binomial tail beyond the 95 % bounds of the share."""
    low, high = 1.0 - upper_bound(m - a, m, _BOUND), upper_bound(a, m, _BOUND)
    if low <= b / n <= high:
        return 1.0
    share, tail = (high, range(b, n + 1)) if b / n > high else (low, range(b + 1))
    if share <= 0.0 or share >= 1.0:
        return 0.0
    logs = math.log(share), math.log1p(-share)
    return min(1.0, 2.0 * sum(math.exp(_log_choose(n, k) + k * logs[0] + (n - k) * logs[1]) for k in tail))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
