"""What a batcher can tell about itself, by value."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """A snapshot. Always: `accepted == answered + failed + expired + cancelled + waiting + running` (the two
    mappings summed), where `running` counts the entries with a runner that somebody still waits for."""

    waiting: int
    running: int
    held_bytes: int
    seats: int
    room: int
    """Items all runners together would take now."""
    oldest_s: float
    """Seconds that the entry has waited that has waited longest; 0 if none waits."""
    pace_s: float | None
    """Measured seconds of one runner an item; None before the first answer."""
    accepted: int
    answered: int
    failed: int
    retried: int
    expired: Mapping[str, int]
    """By the stage at which the deadline passed: waiting, running."""
    cancelled: Mapping[str, int]
    """By the stage at which the waiter left: waiting, running."""
    refused: Mapping[str, int]
    """By reason: queue_full, would_be_late, no_runner, closed."""
