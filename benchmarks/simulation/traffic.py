"""Who comes when, with what, and until when they wait: seeded, so that every policy sees the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from benchmarks.simulation.machines import DECODE_BIAS, DECODE_NOISE, Machine, noisy

LARGE = 12.0  # as much as a small one, about what 12 megapixels are to 0.5
MIXES = ("same", "sizes", "deadlines", "urgencies", "all")
PATTERNS = ("poisson", "bursts")
_BURST_OF_SLO = 0.5  # a burst is the work of half the SLO


@dataclass(eq=False)
class Arrival:
    """One image, and what became of it."""

    arrival: float
    prep_s: float
    """What its decoding should cost, by its header."""
    decode_s: float
    deadline: float
    urgency: int
    outcome: str = ""
    """on time, late, refused, dropped."""


def arrivals(
    machine: Machine, executors: float, factor: float, pattern: str, mix: str, count: int, seed: int
) -> list[Arrival]:
    """`count` images at `factor` times what so many executors of the machine can do."""
    random = Random(seed)
    drawn = [_draw(machine, mix, random) for _ in range(count)]
    each_s = sum(machine.work_s(job.decode_s) for job in drawn) / count
    rate = factor * executors / each_s
    group = 1 if pattern == "poisson" else max(2, round(_BURST_OF_SLO * machine.slo_s * executors / each_s))
    for job, arrival in zip(drawn, _arrivals(rate, group, random), strict=False):
        job.arrival = arrival
        job.deadline += arrival
    return drawn


def _draw(machine: Machine, mix: str, random: Random) -> Arrival:
    cost = machine.decode_s
    if mix in ("sizes", "all") and random.random() < 0.1:
        cost *= LARGE
    within = machine.slo_s
    if mix in ("deadlines", "all") and random.random() < 0.3:
        within /= 2
    urgency = 3
    if mix in ("urgencies", "all"):
        urgency = random.choices((0, 3, 7), (0.1, 0.7, 0.2))[0]
    return Arrival(0.0, cost, noisy(random, cost * DECODE_BIAS, DECODE_NOISE), within, urgency)


def _arrivals(rate: float, group: int, random: Random) -> Iterator[float]:
    when = 0.0
    while True:
        when += random.expovariate(rate / group)
        yield from [when] * group
