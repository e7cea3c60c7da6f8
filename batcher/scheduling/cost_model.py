"""What work costs, as a frozen snapshot of what was learned: cheap to ask, safe to share, easy to make in a test."""

from typing import NamedTuple

from batcher.scheduling.batch_profile import BatchProfile, shape_at


class CostModel(NamedTuple):
    """Seconds of executor time. A batch of n jobs takes `prep_s * prep_factor + run_s(n)` where preprocessing runs
    inline, before the batch, and the longer of the two where it overlaps with the batches; times `slowdown`."""

    max_batch: int = 1
    batch: int = 1
    """Size of the batches in which many waiting jobs run."""
    best_batch: int | None = None
    """The size that pays, up to `max_batch`; None while unknown."""
    batch_run_s: float = 0.0
    """Seconds of one batch of `batch`, without preprocessing: `run_s(batch)`."""
    sizes: tuple[int, ...] = ()
    shape: tuple[float, ...] = ()
    """Seconds of each measured size at a drift of 1."""
    drift: float = 1.0
    fixed_s: float = 0.0
    """The fixed cost of a batch."""
    fastest_s: float = 0.0
    """The fastest batch ever; 0 before the first."""
    per_job_s: float = 0.0
    """Seconds per job where no batch was measured, only jobs."""
    measured: bool = False
    """Whether there is any ground for a prediction but the preprocessing times that jobs name."""
    overlap: int = 0
    """How many jobs an executor preprocesses at a time beside its batches; 0: inline, one after the other."""
    prep_factor: float = 1.0
    """Actual over expected preprocessing time."""
    slowdown: float = 1.0
    """Actual over expected busy time, lately."""
    best_slowdown: float = 0.0
    """The least slowdown of the last batches; 0 until there are enough to trust."""

    def run_s(self, count: int) -> float:
        """Seconds of one batch of `count`, without preprocessing, at no slowdown."""
        if not self.sizes:
            return count * self.per_job_s
        return self.drift * shape_at(self.sizes, self.shape, count)

    def expected_s(self, prep_s: float, count: int) -> float:
        """Seconds of one executor for `count` jobs with `prep_s` of preprocessing in all, in batches as large as pays,
        at no slowdown.

        10 jobs, batches of 4 at 8 ms, a pair at 5 ms, 2 ms of decoding each: inline 20 + 2 x 8 + 5 = 41 ms; beside
        the batches on 4 threads max(20 / 4, 21) = 21 ms.
        """
        if count == self.batch:
            runs_s = self.batch_run_s
        else:
            full, rest = divmod(count, self.batch)
            runs_s = full * self.batch_run_s + (self.run_s(rest) if rest else 0.0)
        prep_s *= self.prep_factor
        return max(prep_s / self.overlap, runs_s) if self.overlap else prep_s + runs_s

    def work_s(self, prep_s: float, count: int) -> float:
        """As `expected_s`, at the present slowdown."""
        return self.slowdown * self.expected_s(prep_s, count)

    def response_s(self, prep_s: float, mates_prep_s: float, count: int) -> float:
        """Seconds from the start of a job to its answer, in a batch of `count` whose other jobs take `mates_prep_s`
        of preprocessing. Work that overlaps shortens the queue, but not the way of one job."""
        own_s = (prep_s + mates_prep_s / max(1, self.overlap)) * self.prep_factor
        return max(1.0, self.slowdown) * (own_s + self.run_s(count))

    def best_case_s(self, prep_s: float) -> float:
        """Seconds of a job alone, if all goes as well as it ever did."""
        return prep_s * min(1.0, self.prep_factor) + self.fastest_s

    def gains_above(self, size: int) -> bool:
        """Whether a batch larger than `size` costs less per job, by more than 5 %."""
        return self.best_batch is not None and self.best_batch > size


def from_profile(profile: BatchProfile, max_batch: int) -> CostModel:
    """What is known from measured batches alone."""
    sizes, shape = tuple(profile.shape), tuple(profile.shape.values())
    best = profile.best_size(max_batch)
    batch = best or (max_batch if sizes else 1)
    return CostModel(
        max_batch=max_batch,
        batch=batch,
        best_batch=best,
        batch_run_s=profile.drift * shape_at(sizes, shape, batch) if sizes else 0.0,
        sizes=sizes,
        shape=shape,
        drift=profile.drift,
        fixed_s=profile.fixed_s,
        fastest_s=profile.fastest_s,
        measured=bool(sizes),
    )
