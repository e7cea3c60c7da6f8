"""The drift of a model's versions as it is shown. Pure."""

from collections.abc import Sequence

import msgspec
import numpy as np

from server.drift.monitor import Monitor, Watched
from server.drift.reference import Look, Reference, in_classes_of, sample
from server.drift.windows import Shift

_BINS = 20


class Bars(msgspec.Struct, frozen=True):
    """Two distributions over the same bins, as shares. `labels`: the bins' lower edges, or classes."""

    feature: str
    labels: tuple[str, ...]
    reference: tuple[float, ...]
    window: tuple[float, ...]


class WindowView(msgspec.Struct, frozen=True):
    """One window. `at`: seconds since 1970."""

    at: float
    drifted: bool
    reasons: tuple[str, ...]
    psi: dict[str, float]


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """One version. `since`: when its alarm began, in seconds since 1970."""

    version: str
    made: str
    """When the reference was; empty without one."""
    reference_looks: int
    collecting: int
    """Looks that a new reference still needs."""
    window: int
    filled: int
    since: float | None
    alarms: int
    shifts: tuple[Shift, ...]
    """Of the last window."""
    windows: tuple[WindowView, ...]
    bars: tuple[Bars, ...]


def view(monitor: Monitor, model: str) -> list[VersionView]:
    """Every version of a model that has been looked at."""
    mine = [(version, one) for (name, version), one in monitor.versions.items() if name == model]
    return [_version(version, one, monitor.window) for version, one in mine]


def _version(version: str, one: Watched, window: int) -> VersionView:
    reference, judged = one.reference, list(one.judged)
    windows = tuple(
        WindowView(at, verdict.drifted, verdict.reasons, {shift.feature: shift.psi for shift in verdict.shifts})
        for at, verdict in judged
    )
    return VersionView(
        version=version, made=reference.made if reference else "", reference_looks=reference.looks if reference else 0,
        collecting=one.collecting - len(one.collected), window=window, filled=len(one.looks), since=one.since,
        alarms=one.alarms, shifts=judged[-1].verdict.shifts if judged else (), windows=windows,
        bars=tuple(_bars(reference, one.window)) if reference and one.window else (),
    )  # fmt: skip


def _bars(reference: Reference, looks: Sequence[Look]) -> list[Bars]:
    seen = sample(looks)
    bars = []
    for name, values in reference.numbers.items():
        if name in seen.numbers:
            edges = np.histogram_bin_edges(np.concatenate([np.array(values), seen.numbers[name]]), _BINS)
            shares = (np.histogram(part, edges)[0] / len(part) for part in (np.array(values), seen.numbers[name]))
            before, now = (tuple(part.round(4).tolist()) for part in shares)
            bars.append(Bars(name, tuple(f"{edge:.3g}" for edge in edges[:-1]), before, now))
    if classes := in_classes_of(reference, seen.classes):
        labels = tuple(reference.classes)
        totals = sum(reference.classes.values()), sum(classes.values())
        before = tuple(round(reference.classes[label] / totals[0], 4) for label in labels)
        now = tuple(round(classes.get(label, 0) / totals[1], 4) for label in labels)
        bars.append(Bars("class", labels, before, now))
    return bars
