"""When an item will be answered: a pure function of what stands before it and of when seats fall free."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from batcher.estimator import Estimator


class Ahead(NamedTuple):
    """What stands before a place in the queue."""

    items: int
    cost_s: float
    """Own costs of all of them, as named by those who brought them."""


class Finish(NamedTuple):
    """A prediction, in seconds from now."""

    finish_s: float
    """Until the answer."""
    joined_s: float = 0.0
    """By how much later it may come since others join its batch. They do where its deadline allows it."""


def finish(free_s: Sequence[float], ahead: Ahead, cost_s: float, work: Estimator) -> Finish:
    """When an item of `cost_s` will be answered. `free_s`: when each seat has done what it holds; at least one."""
    if work.beside:
        return Finish(_beside_s(free_s, ahead, cost_s, work))
    batch = work.batch
    units = ahead.items // batch
    if units:
        each_s = ahead.cost_s / ahead.items
        full = work.work_s(each_s * batch, batch)
        return Finish(start_s(free_s, units, full) + work.alone_s(cost_s, each_s * (batch - 1), batch))
    alone = work.alone_s(cost_s, ahead.cost_s / len(free_s), ahead.items + 1)
    each_s = (ahead.cost_s + cost_s) / (ahead.items + 1)
    whole = work.alone_s(cost_s, each_s * (batch - 1), batch)
    return Finish(min(free_s) + alone, max(0.0, whole - alone))


def _beside_s(free_s: Sequence[float], ahead: Ahead, cost_s: float, work: Estimator) -> float:
    """Where own costs are done beside the batches, items flow: when those before it are through, its own cost, and then
    a batch with what has become ready meanwhile, a whole one at most."""
    each_s = work.work_s(ahead.cost_s, ahead.items) / ahead.items if ahead.items else 0.0
    return start_s(free_s, ahead.items, each_s) + work.alone_s(cost_s, 0.0, min(work.batch, ahead.items + 1))


def start_s(free_s: Sequence[float], units: int, unit_s: float) -> float:
    """When a seat takes what stands behind `units` pieces of work of `unit_s` each.

    Seats busy for longer than that take no part. Where the others fall free within one piece of work of each other
    they simply take turns; else the work is taken for a fluid, less the half piece by which that is too late.
    """
    free = sorted(free_s)
    count, total, work_s = len(free), sum(free), units * unit_s
    while count > 1 and free[count - 1] * count > work_s + total:
        count -= 1
        total -= free[count]
    if free[count - 1] - free[0] <= unit_s:
        return free[units % count] + units // count * unit_s
    return max(free[0], (work_s + total) / count - unit_s * (count - 1) / (2 * count))


class Place(NamedTuple):
    """One that waits, as `late` sees it."""

    cost_s: float
    due_s: float
    """Seconds to its deadline."""


def late(free_s: Sequence[float], places: Sequence[Place], work: Estimator) -> Iterator[tuple[int, float]]:
    """The waiting that will be late if nothing changes, each by its number and predicted finish in seconds. Who is
    late is taken to leave: it delays nobody. Batches are a fluid here, since this looks at every one of them."""
    free = sorted(free_s)
    seats, total, ahead_s, batches_s, kept = 1, free[0], 0.0, 0.0, 0
    batch = work.batch
    each_s = work.run_s(batch) / batch
    mean_s = sum(place.cost_s for place in places) / max(1, len(places))
    run_s = work.alone_s(0.0, mean_s * (batch - 1), batch)
    slowness, factor, beside = work.slowness, work.cost_factor, work.beside
    alone = max(1.0, slowness) * factor
    for number, (cost_s, due_s) in enumerate(places):
        if kept % batch == 0:
            batches_s = ahead_s
        while seats < len(free) and free[seats] * seats < batches_s + total:
            total += free[seats]
            seats += 1
        finish = (batches_s + total) / seats + cost_s * alone + run_s
        if finish > due_s:
            yield number, finish
            continue
        own_s = cost_s * factor
        kept += 1
        ahead_s += slowness * (max(own_s / beside, each_s) if beside else own_s + each_s)
