"""Layouts, their measurements, and the choice between them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

_TIE = 0.97  # of the best rate is as good as the best
_SAME_LATENCY = 1.03


class Layout(NamedTuple):
    """A number of worker processes, and of threads with which each of them runs the model."""

    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.workers} x {self.threads} thread{'s' * (self.threads > 1)}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A layout as it was measured with batches of one size, all its workers at work at the same time."""

    workers: int
    threads: int
    batch: int
    rate: float
    """Images per second of all workers together, decoding included."""
    batch_s: float
    """Seconds that a batch takes in one of them."""
    lone_s: float
    """Seconds that an image alone takes, where nothing else runs."""
    cpu_s: float = 0.0
    """Seconds of CPU time an image, of all threads."""
    memory: int = 0
    """Bytes in RAM, of all workers."""

    @property
    def layout(self) -> Layout:
        return Layout(self.workers, self.threads)


@dataclass(frozen=True, slots=True)
class LayoutRequest:
    """What the operator has configured; None is left open."""

    workers: int | None = None
    threads: int | None = None

    def includes(self, other: "LayoutRequest") -> bool:
        """Whether every layout that `other` allows is one that this allows."""
        return self.workers in (None, other.workers) and self.threads in (None, other.threads)

    @property
    def given(self) -> dict[str, int]:
        """The configured numbers, by the settings' names."""
        both = {"workers": self.workers, "threads": self.threads}
        return {name: number for name, number in both.items() if number}

    def allows(self, layout: Layout) -> bool:
        return self.workers in (None, layout.workers) and self.threads in (None, layout.threads)


def default(cpus: int, asked: LayoutRequest) -> Layout:
    """The layout when nothing has been measured: one thread per worker, and a worker per remaining CPU."""
    threads = asked.threads or 1
    return Layout(asked.workers or max(1, cpus // threads), threads)


def full(cpus: int, asked: LayoutRequest) -> tuple[Layout, ...]:
    """The layouts that use all `cpus`, or as many as the request allows; few threads first."""
    if asked.threads:
        return (default(cpus, asked),)
    threads = _powers(max(1, cpus // asked.workers) if asked.workers else cpus)
    return tuple(Layout(asked.workers or cpus // each, each) for each in threads)


def every(cpus: int, asked: LayoutRequest) -> tuple[Layout, ...]:
    """The full layouts first, then those that leave CPUs free: powers of two, and the most there can be."""
    first = full(cpus, asked)
    pairs = (Layout(workers, threads) for workers in _powers(cpus) for threads in _powers(cpus // workers))
    return (*first, *(pair for pair in pairs if asked.allows(pair) and pair not in first))


def choose(rows: Iterable[Row], slo_s: float, max_batch: int) -> Row | None:
    """The row to serve with; None if there is none.

    Of the rows within the SLO, the one with the most images per second. Of those within 3 % of it, the one that answers
    a lone image first; then the one that uses fewer CPUs. If none is within the SLO, the one that comes closest.
    """
    fitting = [row for row in rows if row.batch <= max_batch]
    within = [row for row in fitting if is_within(row, slo_s)]
    if not within:
        return min(fitting, key=lambda row: row.lone_s, default=None)
    best = max(row.rate for row in within)
    near = [row for row in within if row.rate >= best * _TIE]
    quickest = min(row.lone_s for row in near)
    as_quick = [row for row in near if row.lone_s <= quickest * _SAME_LATENCY]
    return min(as_quick, key=lambda row: (row.workers * row.threads, row.batch))


def is_within(row: Row, slo_s: float) -> bool:
    """Whether a lone image is in time, and one that has just missed a batch and goes with the next."""
    worst_s = 2 * row.batch_s if row.batch > 1 else row.batch_s
    return max(row.lone_s, worst_s) <= slo_s


def _powers(most: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `most` itself."""
    return (*(1 << bit for bit in range(most.bit_length()) if 1 << bit < most), most)
