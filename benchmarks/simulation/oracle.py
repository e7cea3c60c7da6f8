"""What could have been done by somebody who knows the future.

Two measures, both on the side of the accused:

* `most_in_time`, an upper bound for any scheduler. One machine, as fast as all executors together, interrupts and
  resumes at no cost, runs batches of the best size only, and never stalls. It runs the earliest deadline first and
  knows the cost of each image. If not all can be in time, it gives up the one with most work left (Moore and Hodgson).
  If deadlines come in the order of arrival, no scheduler answers more. With mixed deadlines it is a strong scheduler
  that knows all costs, but no proof; it ignores urgency.
* `would_have_fitted`, wrong refusals. An image was refused or dropped although an executor of the actual schedule was
  idle for long enough between its arrival and its deadline. Each idle second counts once. Where decoding runs beside a
  device and bounds it, the executors are the decoding threads: a device that waits for them runs what is there.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

from benchmarks.simulation.play import Run
from benchmarks.simulation.traffic import Arrival


def most_in_time(run: Run) -> int:
    """How many of the run's images could be in time at most, as above."""
    clock = _Capacity(run)
    waiting: list[list[float]] = []  # [due, work left], earliest due first, in seconds of work
    now, given_up = 0.0, 0
    for job in run.jobs:
        arrival = clock.work_until(job.arrival)
        _serve(waiting, arrival - now)
        now = arrival
        insort(waiting, [clock.work_until(job.deadline), run.machine.work_s(job.decode_s)])
        given_up += _give_up(waiting, now)
    return len(run.jobs) - given_up


def _serve(waiting: list[list[float]], work_s: float) -> None:
    done = 0
    for one in waiting:
        if one[1] > work_s:
            one[1] -= work_s
            break
        work_s -= one[1]
        done += 1
    del waiting[:done]


def _give_up(waiting: list[list[float]], now: float) -> int:
    """Give up one at most: with what came before, all were in time."""
    end = now
    for number, (due, left) in enumerate(waiting):
        end += left
        if end > due + 1e-9:
            worst = max(range(number + 1), key=lambda place: waiting[place][1])
            del waiting[worst]
            return 1
    return 0


class _Capacity:
    """Seconds of work that the executors could do until a moment; the slope falls with speed and lost executors."""

    def __init__(self, run: Run) -> None:
        world, executors = run.world, run.machine.executors
        whole = sum(1.0 / world.trouble.pace(executor) for executor in range(executors))
        turns = {0.0, *world.slow, *(when for pair in run.down for when in pair)}
        self._starts = sorted(turns)
        self._slopes = [
            (whole - sum(dies <= start < back for dies, back in run.down)) / world.speed(start)
            for start in self._starts
        ]
        self._sums = [0.0]
        for number, slope in enumerate(self._slopes[:-1]):
            self._sums.append(self._sums[-1] + slope * (self._starts[number + 1] - self._starts[number]))

    def work_until(self, when: float) -> float:
        number = bisect_right(self._starts, when) - 1
        return self._sums[number] + self._slopes[number] * (when - self._starts[number])


def would_have_fitted(run: Run) -> int:
    """How many of those turned away could have been served in idle seconds of the schedule that ran."""
    lanes = run.world.decoding if run.machine.decoding_bounds else [[busy] for busy in run.world.busy]
    end = run.length_s + 2 * run.machine.slo_s
    idle = [
        (_idle([*busy, *_down(run, executor)], end), run.world.trouble.pace(executor))
        for executor, busies in enumerate(lanes)
        for busy in busies
    ]
    turned_away = [job for job in run.jobs if job.outcome in ("refused", "dropped")]
    return sum(any(_fill(left, job, pace * _alone_s(run, job)) for left, pace in idle) for job in turned_away)


def _alone_s(run: Run, job: Arrival) -> float:
    if run.machine.decoding_bounds:
        return run.world.speed(job.arrival) * job.decode_s
    return run.world.speed(job.arrival) * (
        run.machine.work_s(job.decode_s) if run.machine.batch > 1 else job.decode_s + run.machine.run_s(1)
    )


def _down(run: Run, executor: int) -> Sequence[tuple[float, float]]:
    """When a executor's runner was gone."""
    return () if executor else run.down


def _idle(taken: Sequence[tuple[float, float]], end: float) -> list[list[float]]:
    """What is left between the stretches that are taken."""
    stretches, now = [], 0.0
    for start, until in sorted(taken):
        if start > now:
            stretches.append([now, start])
        now = max(now, until)
    return [*stretches, [now, end]]


def _fill(stretches: list[list[float]], job: Arrival, need_s: float) -> bool:
    """Use up idle seconds for a job, if there are enough."""
    first = bisect_right(stretches, [job.arrival])
    usable = []
    found = 0.0
    for number in range(max(0, first - 1), len(stretches)):
        start, end = max(stretches[number][0], job.arrival), min(stretches[number][1], job.deadline)
        if stretches[number][0] >= job.deadline:
            break
        if end > start:
            usable.append((number, start))
            found += end - start
        if found >= need_s:
            _use(stretches, usable, need_s)
            return True
    return False


def _use(stretches: list[list[float]], usable: list[tuple[int, float]], need_s: float) -> None:
    for number, start in usable:
        end = min(stretches[number][1], start + need_s)
        need_s -= end - start
        stretches[number][0] = end  # what lies before it, before the arrival, is lost to later ones anyhow
