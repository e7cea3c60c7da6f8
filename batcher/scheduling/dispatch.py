"""Which batch now, or wait, or drop: a pure function of what it is given. No clock, no tasks.

1. Nothing waits, or no slot has free credits: `Idle`.
2. The first jobs are late even at the fastest speed seen lately: `Drop` them.
3. The first jobs allow small batches only, and more of the others are in time without them: `Drop` them (the early
   drop of Nexus, SOSP 2019).
4. A larger batch is worth a wait: `WakeAt`, the linger. At most the measured fixed cost of a batch, only for jobs
   announced as on their way that would run in this batch, only if a larger batch costs less per job, and never past
   the latest safe start.
5. Otherwise `Dispatch`: no job waits while a slot has free credits (work-conserving).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from batcher.scheduling.cost_model import CostModel


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue as `decide` sees it. Times in seconds on the batcher's clock; a job is due at its deadline less its
    preprocessing time."""

    count: int
    head_due: float = float("inf")
    """When the first in order is due."""
    earliest_due: float = float("inf")
    """When the earliest is due of the jobs that fit the credits; with several urgencies it need not be the head."""
    oldest: float = float("inf")
    """When the one of them arrived that has waited longest."""
    dues: Sequence[float] = ()
    """When each of them is due, in order."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the slots offer: the credits of the slot that has most, and how many slots have as many."""

    credits: int
    slots: int
    ready_s: float = 0.0
    """Seconds until that slot has done what it holds, at the least."""
    idle: bool = False
    """Whether that slot holds nothing."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send the first `count` jobs to the slot with most credits."""

    count: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Refuse the first `count` jobs: they would be late, or make more others late."""

    count: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Nothing to do before `when`, unless something changes first."""

    when: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to do until something changes."""


def decide(
    now: float, queue: QueueView, offer: Offer, arriving: int, max_batch: int, model: CostModel
) -> Dispatch | Drop | WakeAt | Idle:
    """What to do next. `arriving`: jobs announced as on their way."""
    if not queue.count or offer.credits < 1:
        return Idle()
    start = now + offer.ready_s
    if model.best_slowdown and (unmeetable := _unmeetable(start + _least_s(offer, model), queue.dues)):
        return Drop(unmeetable)
    wanted = _wanted(queue.count, offer, max_batch, model)
    count = _in_time(queue.head_due - start, wanted, model)
    if model.best_slowdown and count < wanted and (given_up := _early_drop(start, queue, wanted, model)):
        return Drop(given_up)
    within_reach = min(offer.credits, _share(queue.count + arriving, offer))
    if within_reach > count == queue.count and (latest := latest_start(queue, count, model)) > now:
        return WakeAt(latest)
    return Dispatch(count)


def latest_start(queue: QueueView, count: int, model: CostModel) -> float:
    """Until when it pays to wait for one more job; minus infinity if it does not pay at all."""
    if not model.gains_above(count):
        return float("-inf")
    return min(queue.oldest + model.fixed_s, queue.earliest_due - model.run_s(count + 1))


def _wanted(waiting: int, offer: Offer, max_batch: int, model: CostModel) -> int:
    """The fair share among equal slots, no more than pays."""
    return min(offer.credits, _share(waiting, offer), model.best_batch or max_batch)


def _share(items: int, offer: Offer) -> int:
    return ceil(items / offer.slots)


def _in_time(left_s: float, count: int, model: CostModel) -> int:
    """The largest size up to `count` that runs in `left_s`, at least one. Halving is close enough: the profile is no
    more exact than that, and this runs for every batch. 16 take 24 s, 8 take 16 s: with 20 s left, 8."""
    while count > 1 and model.slowdown * model.run_s(count) > left_s:
        count //= 2
    return count


def _least_s(offer: Offer, model: CostModel) -> float:
    """The least that a batch can take. On an idle slot that is the least it ever took: a try harms no other job, what
    was slow lately may be over, and nothing else would show it."""
    return model.fastest_s if offer.idle else model.best_slowdown * model.run_s(1)


def _unmeetable(earliest: float, dues: Sequence[float]) -> int:
    """How many of the first jobs are due before they can be answered."""
    return next((number for number, due in enumerate(dues) if due >= earliest), len(dues))


class _Plan(NamedTuple):
    answered: int
    end: float


def _early_drop(start: float, queue: QueueView, wanted: int, model: CostModel) -> int:
    """How many of the first jobs to give up, so that more are answered in time. Where more jobs wait than are looked
    at, seconds saved count as answers."""
    keep = _simulated(start, queue.dues, wanted, model)
    rate = wanted / (model.slowdown * (model.run_s(wanted) or 1.0)) if queue.count > len(queue.dues) else 0.0
    best, best_gain = 0, 0.0
    number = 1
    while number < len(queue.dues):
        plan = _simulated(start, queue.dues[number:], wanted, model)
        gain = plan.answered - keep.answered + rate * (keep.end - plan.end)
        if gain > best_gain:
            best, best_gain = number, gain
        number *= 2
    return best


def _simulated(start: float, dues: Sequence[float], most: int, model: CostModel) -> _Plan:
    """Serve these in order on one slot, each batch cut to the deadline of its head."""
    number = answered = 0
    while number < len(dues):
        head_due = dues[number]
        count = _in_time(head_due - start, min(most, len(dues) - number), model)
        end = start + model.slowdown * model.run_s(count)
        if end > head_due:
            number += 1
            continue
        answered += sum(due >= end for due in dues[number : number + count])
        number, start = number + count, end
    return _Plan(answered, start)
