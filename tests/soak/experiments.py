"""Simulated experiments: how often does one without effect alarm, and is an effect found by the predicted size?

`make soak ARGS="--only experiments"` runs all of them; the suite has a short form.
"""

import math

import numpy as np
from numpy.typing import NDArray

from server.statistics.difference import Moments, difference, units_needed
from tests.soak.phase import Findings, Job

BASE, UPLIFT = 0.20, 0.01  # 5 % of a rate of 20 %
LOOKS = 20
_NAIVE_Z = 1.96
_EXPERIMENTS, _RUNS = 1000, 500
_MOST_FALSE, _NAIVE_FALSE, _LEAST_FOUND = 5.0, 15.0, 80.0  # percent


def _arm(chance: np.random.Generator, rate: float, each: int) -> NDArray[np.int64]:
    """Hits of one arm by the end of each look."""
    return np.cumsum(chance.binomial(each, rate, LOOKS))


def _moments(hits: int, count: int) -> Moments:
    rate = hits / count
    return Moments(count, rate, count * rate * (1 - rate))


def _looks(chance: np.random.Generator, rates: tuple[float, float]) -> tuple[bool, bool]:
    """Whether the valid bounds, and a t-test at each look, ever find a difference."""
    each = units_needed(BASE * (1 - BASE), UPLIFT, 0.5) // 2 // LOOKS
    valid = naive = False
    for look, (one, other) in enumerate(zip(*(_arm(chance, rate, each) for rate in rates), strict=True), 1):
        control, treatment = _moments(int(one), each * look), _moments(int(other), each * look)
        seen = difference(control, treatment, UPLIFT)
        valid = valid or bool(seen and seen.found)
        spread = math.sqrt(control.variance / control.count + treatment.variance / treatment.count)
        naive = naive or abs(treatment.mean - control.mean) > _NAIVE_Z * spread
    return valid, naive


def false_alarms(runs: int, seed: int) -> tuple[float, float]:
    """Shares of A/A experiments that alarm at any look: by the valid bounds, and by a t-test at each."""
    chance = np.random.default_rng(seed)
    seen = [_looks(chance, (BASE, BASE)) for _ in range(runs)]
    return sum(valid for valid, _ in seen) / runs, sum(naive for _, naive in seen) / runs


def found(runs: int, seed: int) -> float:
    """Share of experiments with the uplift that find it by the predicted size."""
    chance = np.random.default_rng(seed)
    return sum(_looks(chance, (BASE, BASE + UPLIFT))[0] for _ in range(runs)) / runs


def run(job: Job) -> Findings:
    outcome, count, runs = Findings(), job.count(_EXPERIMENTS, 100), job.count(_RUNS, 50)
    job.say("experiments without effect", 0.0)
    valid, naive = (100.0 * share for share in false_alarms(count, job.seed))
    outcome.at_most(f"{count:,} experiments without effect, {LOOKS} looks each: alarm", valid, _MOST_FALSE, "%")
    outcome.holds("the same, a t-test at each look", f"{naive:.1f} %", f"> {_NAIVE_FALSE:g} %", naive > _NAIVE_FALSE)
    job.say("experiments with an effect", 0.7)
    units = units_needed(BASE * (1 - BASE), UPLIFT, 0.5)
    share = 100.0 * found(runs, job.seed)
    what = f"{BASE:.0%} and {BASE + UPLIFT:.0%}, {units:,} units as predicted: found in {runs} runs"
    outcome.holds(what, f"{share:.1f} %", f">= {_LEAST_FOUND:g} %", share >= _LEAST_FOUND)
    return outcome
