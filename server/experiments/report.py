"""The report of an experiment: what each arm did, what differs, can it be believed, and how long still. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

import msgspec

from server.experiments.exposures import Measured, Unit
from server.statistics.difference import ENOUGH, Difference, Moments, difference, moments, units_needed
from server.statistics.mismatch import ALPHA as MISMATCHED
from server.statistics.mismatch import mismatch_p

ALPHA = 0.05  # that any of the differences is called one wrongly, at any look
_POWER = 0.8


class ArmReport(msgspec.Struct, frozen=True, kw_only=True):
    """One arm. `share`: as the card says; `units`: clients; `measured`: those with an outcome."""

    name: str
    share: float
    units: int
    measured: int
    mean: float
    deviation: float
    """Of one client's number."""


class Look(msgspec.Struct, frozen=True):
    """What was known by the end of a day."""

    day: str
    estimate: float
    low: float
    high: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """An arm against the control. Bounds hold at all looks together, for all arms."""

    arm: str
    estimate: float | None
    low: float | None
    high: float | None
    verdict: str
    effect: float
    """The absolute difference that the experiment is to find."""
    units_needed: int
    """In both arms together, to find it with a chance of 80 %."""
    days_left: float | None
    """At the pace so far; None where that cannot be said."""
    looks: tuple[Look, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one experiment."""

    experiment: str
    metric: str
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    mismatch_p: float
    mismatched: bool
    """The arms have not the shares that they should have: no difference can be believed."""
    crossed: int
    """Clients seen in several arms, left out."""
    days: int


def report(
    experiment: str,
    shares: Sequence[tuple[str, float]],
    found: dict[str, Unit],
    numbers: Sequence[Measured],
    metric: str,
    *,
    uplift: float,
    crossed: int = 0,
) -> Report:
    """`shares`: of the arms, the control first. `uplift`: the least relative difference of interest, such as 0.05."""
    names = [name for name, _ in shares]
    counts = Counter(unit.arm for unit in found.values())
    by_arm = {name: moments([one.value for one in numbers if one.arm == name]) for name in names}
    p = mismatch_p([counts[name] for name in names], [share for _, share in shares]) if found else 1.0
    days = sorted({one.day for one in numbers})
    pace = len(numbers) / _span(days) if days else 0.0
    control, *others = names
    comparisons = tuple(
        _comparison(numbers, by_arm, (control, name), shares, uplift, ALPHA / len(others), days, pace)
        for name in others
    )
    arms = tuple(
        ArmReport(
            name=name, share=share, units=counts[name], measured=by_arm[name].count, mean=by_arm[name].mean,
            deviation=by_arm[name].variance ** 0.5,
        )
        for name, share in shares
    )  # fmt: skip
    return Report(
        experiment=experiment, metric=metric, arms=arms, comparisons=comparisons, mismatch_p=p,
        mismatched=p < MISMATCHED, crossed=crossed, days=len(days),
    )  # fmt: skip


def _comparison(
    numbers: Sequence[Measured],
    by_arm: dict[str, Moments],
    pair: tuple[str, str],
    shares: Sequence[tuple[str, float]],
    uplift: float,
    alpha: float,
    days: Sequence[str],
    pace: float,
) -> Comparison:
    """`alpha`: for this arm alone (Bonferroni). `pace`: clients with an outcome per day, in all arms."""
    control, arm = (by_arm[name] for name in pair)
    effect = abs(control.mean) * uplift
    seen = difference(control, arm, effect, alpha)
    part = dict(shares)
    both = part[pair[0]] + part[pair[1]]
    variance = _pooled(control, arm)
    needed = units_needed(variance, effect, part[pair[1]] / both, alpha, _POWER)
    left = max(0, needed - control.count - arm.count)
    return Comparison(
        arm=pair[1], estimate=seen.estimate if seen else None, low=seen.low if seen else None,
        high=seen.high if seen else None, verdict=_verdict(seen, control, arm, left), effect=effect,
        units_needed=needed, days_left=left / (pace * both) if needed and pace else None,
        looks=tuple(_looks(numbers, pair, effect, alpha, days)),
    )  # fmt: skip


def _looks(
    numbers: Sequence[Measured], pair: tuple[str, str], effect: float, alpha: float, days: Sequence[str]
) -> list[Look]:
    """What was known by the end of each day on which something could be said."""
    looks = []
    for day in days:
        until = [one for one in numbers if one.day <= day]
        control, arm = (moments([one.value for one in until if one.arm == name]) for name in pair)
        if seen := difference(control, arm, effect, alpha):
            looks.append(Look(day, seen.estimate, seen.low, seen.high))
    return looks


def _verdict(seen: Difference | None, control: Moments, arm: Moments, left: int) -> str:
    if seen is None:
        few = min(control.count, arm.count) < ENOUGH
        return f"too few: each arm needs {ENOUGH} clients with an outcome" if few else "nothing varies"
    if seen.found:
        return "higher" if seen.low > 0 else "lower"
    return "no difference yet" if left else "no difference of the size of interest was found"


def _pooled(control: Moments, arm: Moments) -> float:
    degrees = control.count + arm.count - 2
    return (control.squares + arm.squares) / degrees if degrees > 0 else 0.0


def _span(days: Sequence[str]) -> float:
    """Days from the first to the last, both included."""
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    return (last - first).days + 1.0
