"""Is a rate above a limit? An answer that stays valid however often it is asked.

An e-value is a bet against "the rate is at most the limit": were that so, its mean would be at most 1 at every look. By
Ville's inequality (Ville 1939) it then ever reaches 1/alpha with a chance of at most alpha, however often one looks.
The bet is spread over several alternatives, as in Robbins, "Statistical methods related to the law of the iterated
logarithm", Annals of Mathematical Statistics 41 (1970).
"""

import math
from statistics import NormalDist

_ODDS = (1.25, 1.5, 2.0, 3.0, 6.0, 15.0, 50.0, 200.0)
"""Alternatives, as factors on the odds of the limit: small excesses take long to see, large ones a few events."""


def log_evidence(hits: int, trials: int, limit: float) -> float:
    """The logarithm of the e-value against "at most `limit` of the trials are hits". `limit`: 0 to 1.

    Example: 3 hits in 3 trials against a limit of 1 % give 7.6, so e^7.6 = 2,000 to 1 against it.
    """
    if limit <= 0.0:
        return math.inf if hits else 0.0
    if limit >= 1.0:
        return 0.0
    bets = [_log_ratio(hits, trials - hits, limit, factor) for factor in _ODDS]
    most = max(bets)
    return most + math.log(sum(math.exp(bet - most) for bet in bets) / len(bets))


def exceeds(hits: int, trials: int, limit: float, alpha: float) -> bool:
    """Whether the rate is above the limit, with a chance of at most `alpha` to say so wrongly at any look."""
    return log_evidence(hits, trials, limit) >= -math.log(alpha)


def upper_bound(hits: int, trials: int, confidence: float = 0.95) -> float:
    """A one-sided upper bound on a rate: Wilson's score interval (Journal of the American Statistical Association 22,
    1927). 1 without trials."""
    if not trials:
        return 1.0
    z = NormalDist().inv_cdf(confidence)
    rate, square = hits / trials, z * z / trials
    spread = z * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials))
    return min(1.0, (rate + square / 2 + spread) / (1 + square))


def _log_ratio(hits: int, misses: int, limit: float, factor: float) -> float:
    """How much likelier the trials are at the odds of `limit` times `factor` than at `limit`, as a logarithm.

    At such odds the rate is p = f*l / (1 - l + f*l); so p/l = f/c and (1-p)/(1-l) = 1/c, where c = 1 - l + f*l.
    """
    scale = math.log1p(limit * (factor - 1.0))
    return hits * (math.log(factor) - scale) - misses * scale
