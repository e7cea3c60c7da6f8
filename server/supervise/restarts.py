"""Whether a child process that has ended is started again: decided from numbers alone."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When one child is given up. Times in seconds."""

    pause_s: float = 0.1
    """Between its end and the next start."""
    crashes: int = 5
    """More than this many ends ..."""
    within_s: float = 30.0
    """... in this time, and it is given up."""
    fatal: frozenset[int] = frozenset()
    """Exit codes of a child that has said itself why another start would fail again."""

    def recent(self, ends: Sequence[float], now: float) -> list[float]:
        """The times of those ends that still count, `now` last."""
        return [when for when in ends if now - when < self.within_s] + [now]


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after a pause."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Start it no more."""

    reason: str


SAID_WHY = GiveUp("")
"""The child has given the reason itself, in the last line of the log."""


def decide(policy: RestartPolicy, name: str, code: int, ends: Sequence[float]) -> Restart | GiveUp:
    """What to do about a child that ended with `code`. `ends`: `policy.recent`, this one included."""
    if code in policy.fatal:
        return SAID_WHY
    if len(ends) > policy.crashes:
        return GiveUp(f"the {name} process died {len(ends)} times in {policy.within_s:g} s")
    return Restart(policy.pause_s)


def how_ended(code: int) -> str:
    """An exit code in words: negative ones are signals."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
