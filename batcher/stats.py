"""What a batcher can tell about itself, by value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from batcher.margins import Errors


@dataclass(frozen=True, slots=True)
class Stats:
    """A snapshot. Always: `accepted == answered + failed + expired + cancelled + dropped + waiting + running`
    (the mappings summed), where `running` counts the entries with a runner that somebody still waits for."""

    waiting: int
    running: int
    held_bytes: int
    seats: int
    room: int
    """Items all runners together would take now."""
    oldest_s: float
    """Seconds that the entry has waited that has waited longest; 0 if none waits."""
    pace_s: float | None
    """Measured seconds of one runner an item, of late; None before the first answer."""
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
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Accepted, and refused after all before they were run, by reason: `overtaken`, pushed past the deadline by more
    urgent ones or by a model that has become slower; `hopeless`, late even if begun now, or in the way of more."""
    slowness: float = 1.0
    """By what factor work takes longer than the profile and the own costs say."""
    cost_factor: float = 1.0
    """By what factor own costs are higher than named."""
    prediction_errors: Errors = field(default_factory=Errors)
    """Actual finish less the predicted one, of all that was answered or gave up waiting."""
