"""What a batcher reports about itself, by value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from batcher.scheduling.confidence import ErrorHistogram


@dataclass(frozen=True, slots=True)
class Stats:
    """A snapshot. Always: `accepted == answered + failed + expired + cancelled + dropped + waiting + running`
    (the mappings summed), where `running` counts the jobs at an executor whose waiter is still there."""

    waiting: int
    running: int
    held_bytes: int
    executors: int
    free_credits: int
    """Jobs that all executors together would take now."""
    oldest_s: float
    """Seconds that the job has waited that has waited longest; 0 if none waits."""
    seconds_per_job: float | None
    """Measured seconds of one executor per job, lately; None before the first answer."""
    accepted: int
    answered: int
    failed: int
    retried: int
    expired: Mapping[str, int]
    """By the stage at which the deadline passed: waiting, running."""
    cancelled: Mapping[str, int]
    """By the stage at which the waiter left: waiting, running."""
    refused: Mapping[str, int]
    """By reason: queue_full, would_be_late, no_executor, closed."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Accepted, and refused after all before they were run, by reason: `preempted`, pushed past the deadline by more
    urgent jobs or by a model that has become slower; `unmeetable`, late even if started now, or in the way of more."""
    slowdown: float = 1.0
    """By what factor work takes longer than profile and preprocessing times say."""
    prep_factor: float = 1.0
    """By what factor preprocessing takes longer than expected."""
    prediction_errors: ErrorHistogram = field(default_factory=ErrorHistogram)
    """Actual less predicted completion, of all jobs that were answered or stopped waiting."""
