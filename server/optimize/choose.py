"""Which form of the model goes to the gate, and what is tried at all. Pure."""

from collections.abc import Mapping, Sequence

from server.optimize.paired import Speed
from server.optimize.quantise import METHODS
from server.optimize.rewrite import Rewrite

LEAST_GAIN = 1.05  # in images per second: less is within what a machine varies by


def whole_model(
    ranges: Mapping[str, Mapping[str, tuple[float, float]]], *, saturates: bool
) -> Sequence[Sequence[Rewrite]]:
    """All layers in INT8 by each method, in groups: the next group is for where none of the first is good enough.

    `saturates`: the CPU's sums of 8-bit products may; then weights of 7 bits come first.
    """
    methods = [method for method in METHODS if method in ranges]
    bits = (True, False) if saturates else (False,)
    return [[Rewrite("int8", method, seven, ranges=ranges[method]) for method in methods] for seven in bits]


def best(found: Mapping[str, tuple[float, float]]) -> str:
    """The name of the form with, of (agreement, error), the highest agreement, then the smallest error."""
    return min(found, key=lambda name: (-found[name][0], found[name][1]))


def to_the_gate(speeds: Mapping[str, Speed], agreements: Mapping[str, float], least: float) -> list[str]:
    """The names of the forms worth writing, the fastest first. `agreements`: on the calibration pictures; a form that
    is missing there is exact."""
    faster = [name for name, speed in speeds.items() if speed.gain >= LEAST_GAIN and agreements.get(name, 1.0) >= least]
    return sorted(faster, key=lambda name: -speeds[name].gain)


def why_none(speeds: Mapping[str, Speed], agreements: Mapping[str, float], least: float) -> str:
    """Why `to_the_gate` is empty, for people."""
    fast = [name for name, speed in speeds.items() if speed.gain >= LEAST_GAIN]
    if not fast:
        return f"nothing is at least {LEAST_GAIN:.2f} times as fast as the original on this machine"
    closest: str = max(fast, key=lambda name: agreements.get(name, 1.0))
    return f"{closest} agrees on {agreements[closest]:.2%} of the calibration pictures; {least:.2%} would be needed"


def saturates(flags: Sequence[str]) -> bool:
    """Whether a CPU adds pairs of 8-bit products in 16 bits, which may overflow: one of x86 without VNNI."""
    return "avx2" in flags and not any("vnni" in flag for flag in flags)
