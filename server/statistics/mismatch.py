"""Sample-ratio mismatch: do the arms have the shares that they should have? Valid however often it is asked.

A Bayes factor of a Dirichlet mixture against the intended shares: Lindon and Malek, "Anytime-Valid Inference For
Multinomial Count Data", NeurIPS 2022. A mismatch means that assignment or logging is broken, so that no difference
between arms can be believed.
"""

import math
from collections.abc import Sequence

ALPHA = 0.001  # by convention stricter than for effects: the finding makes the whole experiment void
_WEIGHT = 100.0  # of the prior, in units: small mismatches are looked for


def mismatch_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """An upper bound on the chance of counts as uneven as these, at any look, if the shares are the true ones.

    `shares` are above 0 and sum to 1.
    """
    total = sum(counts)
    log_factor = math.lgamma(_WEIGHT) - math.lgamma(_WEIGHT + total)
    for count, share in zip(counts, shares, strict=True):
        prior = _WEIGHT * share
        log_factor += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return math.exp(-max(0.0, log_factor))
