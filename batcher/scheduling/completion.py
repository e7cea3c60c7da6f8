"""When a job at a given place will be answered, and which waiting jobs will be late: pure functions of a `CostModel`.

All times are seconds from now.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from batcher.scheduling.cost_model import CostModel


class Ahead(NamedTuple):
    """The work before a place in the queue."""

    items: int
    prep_s: float
    """Expected preprocessing time of all of them."""


class Backlog(NamedTuple):
    """What one slot holds."""

    begun_s: float = 0.0
    """Until it has done what it has begun."""
    items: int = 0
    """How many jobs it holds and has not begun: they run together with what is sent after them."""
    prep_s: float = 0.0
    """Expected preprocessing time of those."""

    def all_s(self, model: CostModel) -> float:
        """Until it has done everything it holds."""
        return self.begun_s + model.work_s(self.prep_s, self.items)


NO_BACKLOG = Backlog()


class Completion(NamedTuple):
    """When a job is answered."""

    finish_s: float
    joined_s: float = 0.0
    """How much later it may be when others join its batch. They do where its deadline allows it."""


def backlog(items: int, prep_s: float, begun: int, busy_s: float, model: CostModel) -> Backlog:
    """What a slot holds that has been busy for `busy_s` with the first `begun` of its `items` jobs.

    A slot that overruns is expected to take as long again as it is late: a small lateness means little, and an
    executor that hangs soon counts for nothing. Where preprocessing overlaps, everything it holds has begun.

    Inline, 4 jobs held, 2 begun, their work 20 ms, busy for 15 ms: 5 ms left, 2 jobs not begun. After 30 ms: 10 ms.
    """
    if not items:
        return NO_BACKLOG
    if model.overlap:
        work_s = model.work_s(prep_s, items)
        first_s = work_s * min(1.0, model.batch / items)
        return Backlog(abs(first_s - busy_s) + work_s - first_s)
    pending = items - max(1, min(items, begun, model.batch))
    pending_prep_s = prep_s * pending / items
    return Backlog(abs(model.work_s(prep_s - pending_prep_s, items - pending) - busy_s), pending, pending_prep_s)


def completion_time(free_s: Sequence[float], ahead: Ahead, prep_s: float, model: CostModel) -> Completion:
    """When a job of `prep_s` is answered that has `ahead` before it. `free_s`: when each slot has done what it has
    begun; at least one.

    One slot, free in 5 ms, batches of 4 at 8 ms, no preprocessing: with 9 jobs ahead two full batches come first
    (16 ms), then its own (8 ms): 29 ms.
    """
    batch = model.batch
    if model.overlap:
        # Jobs flow: once those before it are through, its own preprocessing, and then a batch with those that became
        # ready meanwhile, a full one at most.
        each_s = model.work_s(ahead.prep_s, ahead.items) / ahead.items if ahead.items else 0.0
        response_s = model.response_s(prep_s, 0.0, min(batch, ahead.items + 1))
        return Completion(start_time(free_s, ahead.items, each_s) + response_s)
    if full_batches := ahead.items // batch:
        each_s = ahead.prep_s / ahead.items
        response_s = model.response_s(prep_s, each_s * (batch - 1), batch)
        return Completion(start_time(free_s, full_batches, model.work_s(each_s * batch, batch)) + response_s)
    response_s = model.response_s(prep_s, ahead.prep_s / len(free_s), ahead.items + 1)
    each_s = (ahead.prep_s + prep_s) / (ahead.items + 1)
    full_s = model.response_s(prep_s, each_s * (batch - 1), batch)
    return Completion(min(free_s) + response_s, max(0.0, full_s - response_s))


def start_time(free_s: Sequence[float], units: int, unit_s: float) -> float:
    """When a slot takes the job behind `units` pieces of work of `unit_s` each (list scheduling).

    Slots busy for longer than that take no part. Where the others fall free within one piece of work of each other
    they take turns; otherwise the work is a fluid, less the half piece by which a fluid is too late.

    Slots free in 0 and 1 s, 3 pieces of 2 s: turns at 0, 1, 2, so the fourth starts at 3 s.
    """
    free = sorted(free_s)
    count, total, work_s = len(free), sum(free), units * unit_s
    while count > 1 and free[count - 1] * count > work_s + total:
        count -= 1
        total -= free[count]
    if free[count - 1] - free[0] <= unit_s:
        return free[units % count] + units // count * unit_s
    return max(free[0], (work_s + total) / count - unit_s * (count - 1) / (2 * count))


class Waiting(NamedTuple):
    """A waiting job, as `tardy` sees it."""

    prep_s: float
    due_s: float
    """Seconds to its deadline."""


def tardy(free_s: Sequence[float], jobs: Sequence[Waiting], model: CostModel) -> Iterator[tuple[int, float]]:
    """The waiting jobs that will be late if nothing changes, each by its number and completion time in seconds. A
    tardy job is taken to leave: it delays no other. Batches are a fluid here, since every waiting job is looked at."""
    free = sorted(free_s)
    slots, total, ahead_s, batches_s, kept = 1, free[0], 0.0, 0.0, 0
    batch, slowdown, factor, overlap = model.batch, model.slowdown, model.prep_factor, model.overlap
    each_s = model.run_s(batch) / batch
    mean_s = sum(job.prep_s for job in jobs) / max(1, len(jobs))
    run_s = model.response_s(0.0, mean_s * (batch - 1), batch)
    alone = max(1.0, slowdown) * factor
    for number, (prep_s, due_s) in enumerate(jobs):
        if kept % batch == 0:
            batches_s = ahead_s
        while slots < len(free) and free[slots] * slots < batches_s + total:
            total += free[slots]
            slots += 1
        finish = (batches_s + total) / slots + prep_s * alone + run_s
        if finish > due_s:
            yield number, finish
            continue
        own_s = prep_s * factor
        kept += 1
        ahead_s += slowdown * (max(own_s / overlap, each_s) if overlap else own_s + each_s)
