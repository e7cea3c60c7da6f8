"""Does the new version break a rule of its plan? Decided from counts, with the reason in words. Pure.

It is asked several times per second, and a rate seen too often is sometimes high by chance. So rates and the pace are
judged by bounds that hold at all looks together (server/statistics), each with a chance of at most `ALPHA` to be wrong.
"""

import math

from server.rollout.evidence import Evidence, Pace, Tally
from server.rollout.plan import Guards
from server.statistics.difference import half_width
from server.statistics.rates import exceeds, upper_bound

ALPHA = 0.001
_BASELINE = 30  # requests of the old version, below which its own rate is taken for 0
_FEW = 30  # images per batch size and version, below which a pace is not compared
_PACE_PRIOR = 0.25  # squared logarithm of the factors that are looked for: 1.6


def breach(evidence: Evidence, guards: Guards) -> str:
    """The reason why the new version must go, or ""."""
    found = (
        _not_finite(evidence, guards),
        _failures(evidence, guards),
        _late(evidence, guards),
        _disagreement(evidence, guards),
        _slower(evidence, guards),
    )
    return next(filter(None, found), "")


def slowdown(evidence: Evidence) -> tuple[float, float, float] | None:
    """The factor by which the new version takes longer per image, with its lower and upper bound.

    Images of equal batch sizes are compared. None where there are too few.
    """
    log_factor = variance = weight = 0.0
    for size, old in evidence.old.pace.items():
        new = Pace()
        for part in (evidence.new, evidence.shadow):
            new.merge(part.pace.get(size, Pace()))
        if min(old.count, new.count) >= _FEW:
            log_factor += new.count * (new.total / new.count - old.total / old.count)
            variance += new.count**2 * (_variance(new) / new.count + _variance(old) / old.count)
            weight += new.count
    if not weight:
        return None
    mean, spread = log_factor / weight, max(variance / weight**2, 1e-8)
    half = half_width(spread, _PACE_PRIOR, ALPHA)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def _not_finite(evidence: Evidence, guards: Guards) -> str:
    count = evidence.new.not_finite + evidence.shadow.not_finite
    if count <= guards.not_finite:
        return ""
    return f"output not finite (NaN) for {count} of {evidence.runs} images, where {guards.not_finite} are allowed"


def _failures(evidence: Evidence, guards: Guards) -> str:
    failures = evidence.new.failures + evidence.shadow.failures
    return _rate("failed", failures, evidence.runs, evidence.old, evidence.old.failures, guards.error_rate)


def _late(evidence: Evidence, guards: Guards) -> str:
    new, old = evidence.new, evidence.old
    return _rate("late or refused", new.late, new.requests, old, old.late, guards.late)


def _rate(what: str, hits: int, trials: int, old: Tally, old_hits: int, allowed: float) -> str:
    baseline = upper_bound(old_hits, old.requests) if old.requests >= _BASELINE else 0.0
    if not exceeds(hits, trials, min(1.0, baseline + allowed), ALPHA):
        return ""
    of_old = f"{old_hits / old.requests:.2%} of the old version's" if old.requests else "no images of the old version"
    return f"{hits} of {trials} images {what} ({hits / trials:.1%}); {of_old}, and {allowed:.2%} more are allowed"


def _disagreement(evidence: Evidence, guards: Guards) -> str:
    seen = evidence.agreement
    if not exceeds(seen.different, seen.pairs, guards.disagreement, ALPHA):
        return ""
    rate, example = seen.different / seen.pairs, f", such as {seen.example}" if seen.example else ""
    return (
        f"{seen.different} of {seen.pairs} answers differ from the old version's ({rate:.1%}), where"
        f" {guards.disagreement:.2%} are allowed{example}"
    )


def _slower(evidence: Evidence, guards: Guards) -> str:
    found = slowdown(evidence)
    if not found or found[1] <= guards.slowdown:
        return ""
    return f"{found[0]:.2f} times as long per image as the old version, where {guards.slowdown:g} times is allowed"


def _variance(pace: Pace) -> float:
    return max(0.0, pace.squares - pace.total**2 / pace.count) / max(1, pace.count - 1)
