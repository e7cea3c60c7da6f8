"""What a store tells of an experiment: who was in which arm, and the outcomes that clients reported. Pure.

Clients are assigned, so clients are counted: a client's outcomes of one metric become one number, their mean. Images of
one client are alike, and to count them singly would make chance look like an effect.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

METRIC = r"[a-z0-9_.-]{1,64}"


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client reports of an image that it was answered: 1 or 0 for what happened or did not, or any number."""

    metric: str
    value: float


class Exposure(NamedTuple):
    """One image that was answered in an experiment. `day`: ISO 8601; `outcomes`: by metric."""

    arm: str
    unit: str
    day: str
    outcomes: dict[str, float]


@dataclass(slots=True)
class Unit:
    """One client. `day`: of its first image."""

    arm: str
    day: str
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class Measured(NamedTuple):
    """A client's number for one metric, and the day on which it came in."""

    arm: str
    day: str
    value: float


def units(exposures: Iterable[Exposure]) -> tuple[dict[str, Unit], int]:
    """Each client with its outcomes; and how many were seen in several arms, which are left out.

    A client is in several arms where shares or the salt were changed while the experiment ran.
    """
    found: dict[str, Unit] = {}
    crossed: set[str] = set()
    for one in exposures:
        unit = found.setdefault(one.unit, Unit(one.arm, one.day))
        if unit.arm != one.arm:
            crossed.add(one.unit)
        unit.day = min(unit.day, one.day)
        for metric, value in one.outcomes.items():
            if math.isfinite(value):
                unit.values[metric].append(value)
    return {name: unit for name, unit in found.items() if name not in crossed}, len(crossed)


def measured(found: dict[str, Unit], metric: str, absent: float | None) -> list[Measured]:
    """The clients' numbers. `absent`: of a client without an outcome; None leaves it out."""
    numbers = []
    for unit in found.values():
        values = unit.values.get(metric)
        if values:
            numbers.append(Measured(unit.arm, unit.day, math.fsum(values) / len(values)))
        elif absent is not None:
            numbers.append(Measured(unit.arm, unit.day, absent))
    return numbers
