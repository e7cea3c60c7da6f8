"""`tureen tune`'s measuring: each layout in processes of its own, with batches of 1, 2, 4, ... while they gain."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from batcher import Batcher
from server.contract.answer import Reply
from server.contract.task import Task
from server.contract.wire import Load, TrialResult
from server.fleet.layout.choose import Layout, Row
from server.fleet.layout.trials import better, row_of, run_together
from server.fleet.process import WorkerProcess, end_all
from server.fleet.worker import CannotLoad, TrialImpossible, WorkerLost

_LONGEST_LOAD_S = 300.0
_SHORTEST_S, _LONGEST_S = 0.2, 2.0  # of one trial
_SHARE = 0.08  # of a layout's time for one trial: a few sizes, each tried twice
_BATCHES = 3  # at least, in a trial
_GAIN = 1.02  # a size that is not faster by this ends the series, if the next is not either
_PATIENCE = 4  # times what a layout may take: then it hangs

Show = Callable[[float, str], None]
"""Takes the share that is done, and what is being done."""


@dataclass(slots=True)
class Findings:
    """What was measured, and what was not, with the reason."""

    rows: list[Row] = field(default_factory=list)
    failed: dict[Layout, str] = field(default_factory=dict)
    skipped: dict[Layout, str] = field(default_factory=dict)
    """Those for a look at which no time was left."""

    def add(self, row: Row) -> None:
        """Another look at the same counts where it is better."""
        for index, known in enumerate(self.rows):
            if (known.layout, known.batch) == (row.layout, row.batch):
                self.rows[index] = better(known, row)
                return
        self.rows.append(row)

    @property
    def measured(self) -> set[Layout]:
        return {row.layout for row in self.rows}

    @property
    def looked_at(self) -> set[Layout]:
        """Layouts that were measured, or cannot be."""
        return self.measured | self.failed.keys()

    @property
    def lost(self) -> dict[Layout, str]:
        """Layouts without a row, and why."""
        reasons = self.skipped | self.failed
        return {layout: reason for layout, reason in reasons.items() if layout not in self.measured}


@dataclass(frozen=True, slots=True)
class Time:
    """A layout's time: it should be over at `end`, on CLOCK_MONOTONIC, and a trial takes `trial_s` seconds."""

    end: float
    trial_s: float

    def trial(self, batch_s: float) -> float:
        """Seconds for a trial of batches that take so long."""
        return max(self.trial_s, _BATCHES * batch_s)


class Tuner:
    """Measures layouts, one after the other, within `budget_s` seconds and the time that loading takes."""

    def __init__(self, load: Load, slo_s: float, budget_s: float, show: Show) -> None:
        self._load = load
        self._slo_s = slo_s
        self._budget_s = budget_s
        self._show = show
        self._batcher: Batcher[Task, Reply] = Batcher()  # a worker belongs to one; nothing is ever submitted
        self._spent_s = 0.0

    async def measure(self, layouts: Sequence[Layout], rounds: int) -> Findings:
        """Measure them in this order, `rounds` times: what disturbs one look seldom disturbs one much later.

        What fails in one layout costs that one. Cancellation: ends all processes.
        """
        findings = Findings()
        visits = [*layouts] * rounds
        for done, layout in enumerate(visits):
            left_s = self._budget_s - self._spent_s
            if left_s <= 0:
                findings.skipped[layout] = f"no time was left of {self._budget_s:g} s"
            elif layout not in findings.lost:  # what failed once is not tried again
                await self._visit(layout, left_s / (len(visits) - done), done / len(visits), findings)
        return findings

    async def _visit(self, layout: Layout, share_s: float, done: float, findings: Findings) -> None:
        try:
            await self._layout(layout, share_s, done, findings)
        except (CannotLoad, TrialImpossible, WorkerLost, TimeoutError) as error:
            findings.failed[layout] = str(error) or "it does not answer"

    async def _layout(self, layout: Layout, share_s: float, done: float, findings: Findings) -> None:
        running: list[WorkerProcess] = []
        load = replace(self._load, threads=layout.threads, benchmark=True)
        try:
            self._show(done, f"{layout}: loading")
            for _ in range(layout.workers):
                running.append(await WorkerProcess.start(self._batcher, load))
            async with asyncio.timeout(_LONGEST_LOAD_S):
                await asyncio.gather(*(one.worker.loaded for one in running))
            begun = time.monotonic()
            try:
                async with asyncio.timeout(_PATIENCE * max(share_s, 60)):
                    await self._sizes(layout, running, _time(share_s), done, findings)
            finally:
                self._spent_s += time.monotonic() - begun
        finally:
            await end_all(running)

    async def _sizes(
        self, layout: Layout, running: Sequence[WorkerProcess], allowed: Time, done: float, findings: Findings
    ) -> None:
        workers = [one.worker for one in running]
        (lone,) = await self._alone(running, layout, allowed)
        best = idle = 0.0
        size, each_s = 1, lone.batch_s
        while True:
            self._show(done, f"{layout}: batches of {size}")
            looks = []
            for _ in range(2):
                tried = await run_together(workers, layout.threads, size, allowed.trial(each_s * size))
                looks.append(row_of(layout, size, tried, lone.batch_s, sum(one.resident_bytes for one in running)))
            row = better(*looks)
            findings.add(row)
            idle = 0 if row.rate > best * _GAIN else idle + 1
            best, each_s = max(best, row.rate), row.batch_s / size
            size = _next(size, self._load.max_batch)
            if not size or idle == 2 or 2 * each_s * size > self._slo_s:
                break
            if time.monotonic() + 2 * allowed.trial(each_s * size) > allowed.end:
                break

    async def _alone(self, running: Sequence[WorkerProcess], layout: Layout, allowed: Time) -> list[TrialResult]:
        """One image at a time in the first worker, while the others wait. The first look warms, the second counts."""
        workers = [running[0].worker]
        (first,) = await run_together(workers, layout.threads, 1, 0.0)
        return await run_together(workers, layout.threads, 1, allowed.trial(first.batch_s))


def _time(share_s: float) -> Time:
    return Time(time.monotonic() + share_s, min(max(_SHARE * share_s, _SHORTEST_S), _LONGEST_S))


def _next(size: int, most: int) -> int:
    """The size to try after this one; 0 after the last."""
    return 0 if size >= most else min(2 * size, most)
