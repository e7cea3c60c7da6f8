"""Windows of looks against a reference: has anything shifted, and when did that start and end? Pure.

Each window is tested alone, and together with the one before it: a small shift shows in twice as many looks. Each test
has half of `ALPHA`: one half of that for the class, which is many tests in one, the other divided by the number of
features (Bonferroni). So a stream that has not shifted alarms in at most `ALPHA` of its windows. An alarm ends when
both tests are quiet again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from server.drift.reference import Look, Reference, in_classes_of, sample
from server.statistics.shift import Values, category_index, category_p, kolmogorov_smirnov, stability_index

WINDOW = 500
ALPHA = 0.002
_TESTS = 2
_LEAST = 50  # values of a feature in a window, below which nothing is said of it
CLASS = "class"


class Shift(NamedTuple):
    """Of one feature in one window. `p`: the chance of as large a shift in it without one. `shifted`: whether it is
    beyond chance, all features considered."""

    feature: str
    psi: float
    p: float
    shifted: bool
    reference_mean: float
    window_mean: float
    detail: str = ""
    """The class whose share has changed most, and its shares."""


class Verdict(NamedTuple):
    """Of one window, alone and with the one before it."""

    shifts: tuple[Shift, ...]
    drifted: bool
    reasons: tuple[str, ...]
    """Features that shifted."""


def judge(reference: Reference, window: Sequence[Look], before: Sequence[Look] = ()) -> Verdict:
    """Compare a window. `before`: the window before it, if there is one."""
    alone = compare(reference, window)
    both = compare(reference, (*before, *window)) if before else ()
    shifted = {one.feature: None for one in (*alone, *both) if one.shifted}
    return Verdict(alone, bool(shifted), tuple(shifted))


def compare(reference: Reference, looks: Sequence[Look]) -> tuple[Shift, ...]:
    """Each feature of the looks with the reference's."""
    seen = sample(looks)
    named = [name for name in reference.numbers if len(seen.numbers.get(name, ())) >= _LEAST]
    classes = in_classes_of(reference, seen.classes)
    within = ALPHA / _TESTS / (2 if classes and named else 1)
    shifts = [
        _number(name, np.array(reference.numbers[name]), seen.numbers[name], within / len(named)) for name in named
    ]
    if classes:
        shifts.append(_classes(reference.classes, classes, within))
    return tuple(shifts)


def _number(name: str, reference: Values, window: Values, alpha: float) -> Shift:
    _, p = kolmogorov_smirnov(reference, window)
    before, now = float(reference.mean()), float(window.mean())
    return Shift(name, stability_index(reference, window), p, p < alpha, before, now)


def _classes(reference: dict[str, int], window: dict[str, int], alpha: float) -> Shift:
    name, p = category_p(reference, window)
    before, now = (counts.get(name, 0) / sum(counts.values()) for counts in (reference, window))
    detail = f"{name}: {before:.1%} before, {now:.1%} now"
    return Shift(CLASS, category_index(reference, window), p, p < alpha, before, now, detail)
