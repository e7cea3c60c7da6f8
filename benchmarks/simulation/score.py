"""The figures of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from benchmarks.simulation.oracle import most_in_time, would_have_fitted
from benchmarks.simulation.play import Case, Run, play


@dataclass(frozen=True)
class Score:
    """Counts of images, and the ratios that are promised."""

    case: Case
    on_time: int
    late: int
    refused: int
    dropped: int
    possible: int
    fitting: int

    @property
    def kept(self) -> float:
        """Of the admitted, and not dropped for more urgent ones, those answered in time."""
        return self.on_time / max(1, self.on_time + self.late)

    @property
    def dropped_share(self) -> float:
        """Of the admitted, those refused after all."""
        return self.dropped / max(1, self.on_time + self.late + self.dropped)

    @property
    def wrongly_refused(self) -> float:
        """Of those turned away, those that would have fitted into what really ran."""
        return self.fitting / max(1, self.refused + self.dropped)

    @property
    def goodput(self) -> float:
        """Of what the oracle has in time, what was."""
        return self.on_time / max(1, self.possible)


def score(run: Run) -> Score:
    counts = Counter(job.outcome for job in run.jobs)
    return Score(
        run.case,
        counts["on time"],
        counts["late"],
        counts["refused"],
        counts["dropped"],
        most_in_time(run),
        would_have_fitted(run),
    )


def simulate(case: Case) -> Score:
    return score(play(case))
