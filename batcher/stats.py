"""What a batcher reports about itself, by value."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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


def together(parts: Sequence[Stats]) -> Stats:
    """Several batchers as one. `slowdown` and `prep_factor` are the worst, `seconds_per_job` is the mean by answers."""
    if len(parts) == 1:
        return parts[0]
    rates = [(part.seconds_per_job, part.answered) for part in parts if part.seconds_per_job is not None]
    answered = sum(count for _, count in rates)
    return Stats(
        waiting=sum(part.waiting for part in parts),
        running=sum(part.running for part in parts),
        held_bytes=sum(part.held_bytes for part in parts),
        executors=sum(part.executors for part in parts),
        free_credits=sum(part.free_credits for part in parts),
        oldest_s=max((part.oldest_s for part in parts), default=0.0),
        seconds_per_job=sum(each_s * count for each_s, count in rates) / answered if answered else None,
        accepted=sum(part.accepted for part in parts),
        answered=sum(part.answered for part in parts),
        failed=sum(part.failed for part in parts),
        retried=sum(part.retried for part in parts),
        expired=_summed(part.expired for part in parts),
        cancelled=_summed(part.cancelled for part in parts),
        refused=_summed(part.refused for part in parts),
        dropped=_summed(part.dropped for part in parts),
        slowdown=max((part.slowdown for part in parts), default=1.0),
        prep_factor=max((part.prep_factor for part in parts), default=1.0),
        prediction_errors=_merged([part.prediction_errors for part in parts]),
    )


def _summed(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def _merged(histograms: Sequence[ErrorHistogram]) -> ErrorHistogram:
    if not histograms:
        return ErrorHistogram()
    counts = tuple(map(sum, zip(*(one.counts for one in histograms), strict=True)))
    return ErrorHistogram(counts, sum(one.sum_s for one in histograms))
