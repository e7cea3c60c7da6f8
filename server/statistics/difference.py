"""The difference of two means, with bounds that stay valid when looked at daily, and how many units finding it takes.

The bounds are a normal mixture: Robbins (1970), as used for experiments by Johari, Koomen, Pekelis and Walsh, "Always
Valid Inference: Continuous Monitoring of A/B Tests", Operations Research 70 (2022). With the estimated difference d,
its variance V and a prior variance T for the true difference, the ratio

    sqrt(V / (V + T)) * exp(T * (d - x)^2 / (2 * V * (V + T)))

reaches 1/alpha at any look with a chance of at most alpha, if x is the true difference. Solved for x, it gives the
bounds. It holds for means of many units (the central limit theorem): nothing is said of fewer than `ENOUGH` per arm.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

ENOUGH = 100  # units per arm, below which a mean is not near enough to a normal one
_LARGEST = 1e15  # units


@dataclass(frozen=True, slots=True)
class Moments:
    """Of one arm's units: their number, mean, and sum of squared deviations from it."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def variance(self) -> float:
        """Of one unit, unbiased; 0 for fewer than two."""
        return self.squares / (self.count - 1) if self.count > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """Treatment less control: the estimate, and the bounds that hold at all looks together."""

    estimate: float
    low: float
    high: float

    @property
    def found(self) -> bool:
        """Whether the bounds leave 0 out."""
        return self.low > 0.0 or self.high < 0.0


def moments(values: list[float]) -> Moments:
    """Of these values."""
    if not values:
        return Moments()
    mean = math.fsum(values) / len(values)
    return Moments(len(values), mean, math.fsum((value - mean) ** 2 for value in values))


def difference(control: Moments, treatment: Moments, effect: float, alpha: float = 0.05) -> Difference | None:
    """The difference of the means. `effect`: the least difference of interest, at which the bounds are narrowest.

    None for too few units, or where nothing varies.
    """
    if min(control.count, treatment.count) < ENOUGH or effect == 0.0:
        return None
    variance = control.variance / control.count + treatment.variance / treatment.count
    if variance == 0.0:
        return None
    estimate = treatment.mean - control.mean
    half = half_width(variance, effect * effect, alpha)
    return Difference(estimate, estimate - half, estimate + half)


def half_width(variance: float, prior: float, alpha: float) -> float:
    """Half the distance of the bounds. `variance`: of the estimate; `prior`: of the true difference."""
    total = variance + prior
    return math.sqrt(variance * total / prior * (2.0 * -math.log(alpha) + math.log(total / variance)))


def units_needed(variance: float, effect: float, share: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Units in both arms together, with which a true difference of `effect` is found with a chance of `power`.

    `variance`: of one unit; `share`: of the units that are in the treatment arm, the others being in control. By
    bisection: the estimate is beyond the bounds with a chance of `power` where effect = half width + z * sqrt(V).
    What earlier looks find is not counted, so the true power is a little higher.
    """
    z, effect = NormalDist().inv_cdf(power), abs(effect)
    if not effect or not variance:
        return 0
    per_unit = variance * (1.0 / share + 1.0 / (1.0 - share))

    def enough(units: float) -> bool:
        of_estimate = per_unit / units
        return effect >= half_width(of_estimate, effect * effect, alpha) + z * math.sqrt(of_estimate)

    low, high = 1.0, 2.0
    while not enough(high) and high < _LARGEST:
        low, high = high, high * 2.0
    while high - low > 1.0:
        middle = (low + high) / 2.0
        low, high = (low, middle) if enough(middle) else (middle, high)
    return math.ceil(high)
