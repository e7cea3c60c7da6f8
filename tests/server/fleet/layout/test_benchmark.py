"""What is tried, in which order, when that stops, and what comes of it; the workers are tables."""

import asyncio
import time

import pytest

from server.contract.wire import TrialResult
from server.fleet.layout.benchmark import Cost, Search, decide
from server.fleet.layout.choose import Layout
from server.fleet.layout.placement import LayoutPlan
from server.fleet.worker import TrialImpossible, WorkerLost

CHEAP = Cost(open_s=0.0, batch_s=0.001)
FOUR = (Layout(4, 1), Layout(2, 2), Layout(1, 4))


class Scripted:
    """A worker that takes so many seconds a batch, by its threads; an error stands for what it raises."""

    def __init__(self, batch_s):
        self.batch_s = batch_s
        self.prepared = []
        self.tried = []

    async def prepare(self, threads):
        self.prepared.append(threads)

    async def try_out(self, trial):
        self.tried.append((trial.threads, trial.size))
        took = self.batch_s[trial.threads]
        if isinstance(took, Exception):
            raise took
        return TrialResult(took, took, 2)


def contest(batch_s, layouts=FOUR, size=1, cost=CHEAP, budget_s=60.0):
    workers = [Scripted(batch_s) for _ in range(layouts[0].workers)]
    running = Search(workers, size, cost, LayoutPlan(None, layouts)).run(time.monotonic() + budget_s)
    return *asyncio.run(running), workers


def test_more_threads_are_tried_as_long_as_they_gain():
    """Two are better than one, four are no better than two: all three were looked at, each twice where it is near."""
    rows, left_out, workers = contest({1: 0.04, 2: 0.018, 4: 0.0099})

    assert [(4, 1, 100), (2, 2, 111), (1, 4, 101)] == [(r.workers, r.threads, round(r.rate)) for r in rows]
    assert "" == left_out
    assert [[2, 4], [2], [], []] == [one.prepared for one in workers]


def test_no_gain_ends_it():
    """Half the images with two threads: four are never tried, nor is a second look taken."""
    rows, left_out, workers = contest({1: 0.01, 2: 0.01, 4: 0.001})

    assert [(4, 1), (2, 2)] == [row.layout for row in rows]
    assert "" == left_out
    assert [(1, 1), (1, 1), (2, 1), (2, 1)] == workers[0].tried
    assert [[(1, 1)], [(1, 1)]] == [one.tried for one in workers[2:]]


def test_batches_are_as_large_as_pay_and_the_lone_image_is_alone():
    """The first worker runs one image, then all of them batches."""
    rows, _, workers = contest({1: 0.01, 2: 0.05}, (Layout(2, 1), Layout(1, 2)), size=8)

    assert [(1, 1), (1, 8), (2, 1), (2, 8)] == workers[0].tried
    assert [(1, 8)] == workers[1].tried
    assert 1600 == round(rows[0].rate)


def test_layout_that_fails_costs_itself_only():
    """No memory for the model with two threads: the next is tried all the same."""
    rows, _, _ = contest({1: 0.04, 2: TrialImpossible("no memory"), 4: 0.005})

    assert [(4, 1), (1, 4)] == [row.layout for row in rows]


def test_worker_that_dies_ends_it():
    """With it goes the comparison."""
    with pytest.raises(WorkerLost):
        contest({1: 0.04, 2: WorkerLost("gone")})


@pytest.mark.parametrize("cost", [Cost(open_s=0.0, batch_s=0.4), Cost(open_s=2.9, batch_s=0.05)])
def test_what_would_take_too_long_is_not_begun(cost):
    """Neither batches of 400 ms nor a model that takes 2.9 s to open can be compared within 3 s."""
    rows, left_out, workers = contest({1: 0.04}, cost=cost, budget_s=3.0)

    assert ([], [], "it would take longer than 3 s; tureen tune has the time") == (rows, workers[0].tried, left_out)


def test_second_look_counts_if_it_is_better():
    """Something else ran during the first: what is faster is nearer to the truth."""
    workers = [Scripted({1: 0.02, 2: 0.0105}) for _ in range(2)]
    first_looks = iter([0.04])
    workers[1].try_out = lambda trial: _tried(next(first_looks, 0.02))

    rows, _ = asyncio.run(
        Search(workers, 1, CHEAP, LayoutPlan(None, (Layout(2, 1), Layout(1, 2)))).run(time.monotonic() + 60)
    )

    assert [100, 95] == [round(row.rate) for row in rows]


async def _tried(batch_s):
    return TrialResult(batch_s, batch_s, 2)


def test_decision_is_the_best_and_says_what_was_beaten():
    """In the words of the banner."""
    rows, left_out, _ = contest({1: 0.02, 2: 0.03}, (Layout(2, 1), Layout(1, 2)))

    decision = decide(rows, left_out, 1, LayoutPlan(None, (Layout(2, 1), Layout(1, 2))))

    assert (Layout(2, 1), 0, "measured at start-up: 100 images/s; 1 x 2 threads: 33.33") == (
        decision.layout,
        decision.batch,
        decision.why,
    )


def test_without_a_comparison_the_first_layout_serves_and_the_reason_is_told():
    """One row alone compares with nothing."""
    plan = LayoutPlan(None, (Layout(2, 1), Layout(1, 2)))

    assert (Layout(2, 1), 0, "not measured: too slow") == _fields(decide([], "too slow", 1, plan))
    assert (Layout(2, 1), 0, "not measured: no trial succeeded") == _fields(decide([], "", 1, plan))


def _fields(decision):
    return decision.layout, decision.batch, decision.why
