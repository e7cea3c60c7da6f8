"""The start-up benchmark: the workers that will serve measure several layouts before they begin, all at the same time.

It loads only what will serve, and the model once more per further number of threads. It takes `_BUDGET_S` at most, in
general much less, and stops as soon as more threads per worker gain nothing. If anything fails, the layout that needs
no measurement serves.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from batcher import Batcher
from server.contract.answer import Reply
from server.contract.task import Task
from server.contract.wire import Load, Loaded
from server.fleet.layout.choose import Layout, Row, choose
from server.fleet.layout.placement import LayoutChoice, LayoutPlan
from server.fleet.layout.trials import all_of, better, row_of, run_together
from server.fleet.process import WorkerProcess, end_all
from server.fleet.worker import TrialImpossible, Worker, WorkerLost

_BUDGET_S = 3.0
_PATIENCE = 4  # times the budget: then something hangs
_SHORTEST_S, _SECOND_S = 0.03, 0.1  # of a trial, and of a second look
_BATCHES = 2  # in a trial, where they take longer
_HOPELESS = 0.85  # of the best: nothing that disturbed the trial makes up for that

log = structlog.stdlib.get_logger("tureen.layout")


async def benchmark_layouts(
    batcher: Batcher[Task, Reply], load: Load, plan: LayoutPlan, patience_s: float
) -> tuple[LayoutChoice, Sequence[WorkerProcess]]:
    """The layout to serve with, and its workers, already told to begin; no workers if they were lost.

    `patience_s`: for them to load the model. Raises `CannotLoad`. Cancellation: ends the workers.
    """
    first = plan.layouts[0]
    running: list[WorkerProcess] = []
    try:
        for _ in range(first.workers):
            running.append(await WorkerProcess.start(batcher, _for_benchmark(load, first)))
        async with asyncio.timeout(patience_s):
            loaded = await asyncio.gather(*(one.worker.loaded for one in running))
        begun = time.monotonic()
        decision = await _measured([one.worker for one in running], loaded, plan)
        for one in running:
            one.started += time.monotonic() - begun  # their replacements will have no start-up benchmark
        return decision, await _begin(running, decision.layout)
    except (WorkerLost, TimeoutError) as error:
        await end_all(running)
        log.warning("layout_not_measured", reason=str(error) or "a worker hung")
        return plan.fallback("a worker was lost during the trial"), ()
    except BaseException:
        await end_all(running)
        raise


def _for_benchmark(load: Load, layout: Layout) -> Load:
    return replace(load, threads=layout.threads, benchmark=True)


async def _begin(running: Sequence[WorkerProcess], layout: Layout) -> Sequence[WorkerProcess]:
    """Let the needed workers serve; end the others."""
    kept, others = running[: layout.workers], running[layout.workers :]
    for one in kept:
        one.worker.begin(layout.threads)
    await end_all(others)
    return kept


async def _measured(workers: Sequence[Worker], loaded: Sequence[Loaded], plan: LayoutPlan) -> LayoutChoice:
    begun = time.monotonic()
    size = loaded[0].batch
    open_s, batch_s = max(one.open_s for one in loaded), max(one.batch_s for one in loaded)
    async with asyncio.timeout(_PATIENCE * _BUDGET_S):
        rows, left_out = await Search(workers, size, Cost(open_s, batch_s), plan).run(begun + _BUDGET_S)
    seconds = round(time.monotonic() - begun, 3)
    log.info("layout_measured", seconds=seconds, rows=[_in_short(row) for row in rows], left_out=left_out or None)
    return decide(rows, left_out, size, plan)


def decide(rows: Sequence[Row], left_out: str, size: int, plan: LayoutPlan) -> LayoutChoice:
    """The layout that these trials with batches of `size` choose; `left_out` says why some layouts were not tried."""
    chosen = choose(rows, plan.slo_s, size)
    if not chosen or (left_out and len(rows) == 1):
        return plan.fallback(left_out or "no trial succeeded")
    others = "".join(f"; {row.layout}: {row.rate:.4g}" for row in rows if row is not chosen)
    return LayoutChoice(chosen.layout, 0, f"measured at start-up: {chosen.rate:.4g} images/s{others}")


def _in_short(row: Row) -> str:
    return f"{row.workers}x{row.threads} {row.rate:.4g}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What trials cost, in seconds: to open the model, and to run a batch."""

    open_s: float
    batch_s: float

    @property
    def first_comparison_s(self) -> float:
        """For the first comparison: two layouts, two trials each."""
        return self.challenge_s + 2 * self._trial_s(_SHORTEST_S)

    @property
    def challenge_s(self) -> float:
        """For one more layout."""
        return self.open_s + 2 * self._trial_s(_SHORTEST_S)

    @property
    def second_look_s(self) -> float:
        """For timing two layouts once more."""
        return 2 * self._trial_s(_SECOND_S)

    def _trial_s(self, shortest_s: float) -> float:
        return max(shortest_s, _BATCHES * self.batch_s)


class Search:
    """Tries one layout after another, with the batch size that warming up found."""

    def __init__(self, workers: Sequence[Worker], size: int, cost: Cost, plan: LayoutPlan) -> None:
        self._workers = workers
        self._size = size
        self._cost = cost
        self._plan = plan

    async def run(self, deadline: float) -> tuple[list[Row], str]:
        """The rows, and why not all layouts have one. Raises `WorkerLost`."""
        rows: list[Row] = []
        for layout in self._plan.layouts:
            best = choose(rows, self._plan.slo_s, self._size)
            left_s = deadline - time.monotonic()
            if left_s < (self._cost.challenge_s if best else self._cost.first_comparison_s):
                return rows, f"it would take longer than {_BUDGET_S:g} s; tureen tune has the time"
            try:
                row = await self._attempt(layout)
            except TrialImpossible as error:
                log.warning("trial_failed", layout=str(layout), reason=str(error))
                continue
            if best and row.rate > best.rate * _HOPELESS and time.monotonic() + self._cost.second_look_s < deadline:
                rows[rows.index(best)] = better(best, await self._time(best))
                row = better(row, await self._time(row))
            rows.append(row)
            if choose(rows, self._plan.slo_s, self._size) is not row:
                break
        return rows, ""

    async def _attempt(self, layout: Layout) -> Row:
        workers = self._workers[: layout.workers]
        if layout.threads != self._plan.layouts[0].threads:
            await all_of([worker.prepare(layout.threads) for worker in workers])
        (lone,) = await run_together(workers[:1], layout.threads, 1, _SHORTEST_S)
        seconds = max(_SHORTEST_S, _BATCHES * lone.batch_s * self._size)
        alone = layout.workers == self._size == 1
        tried = [lone] if alone else await run_together(workers, layout.threads, self._size, seconds)
        return row_of(layout, self._size, tried, lone.batch_s)

    async def _time(self, row: Row) -> Row:
        """Time a layout once more."""
        workers = self._workers[: row.workers]
        tried = await run_together(workers, row.threads, row.batch, max(_SECOND_S, _BATCHES * row.batch_s))
        return row_of(row.layout, row.batch, tried, row.lone_s)
