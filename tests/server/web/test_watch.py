"""What watching costs: as much for ten as for one, and nothing for none."""

import asyncio
from types import SimpleNamespace

import pytest

from server.web.errors import RequestError
from server.web.metrics import Metrics
from server.web.watch import Watch
from tests.fakes import all_blocked, virtual_time
from tests.fakes_source import EmptySource

SECONDS, WATCHERS, MOST = 5, 10, 64


class Counted:
    """Counts how often it is asked: workers what they do, and the registry for its figures."""

    def __init__(self):
        self.workers = self.figures = 0

    def ask_workers(self):
        self.workers += 1
        return ()

    def collect(self):
        self.figures += 1
        return ()


def watch(counted):
    """A watch of an idle server."""
    metrics = Metrics(EmptySource())
    metrics.registry.register(counted)
    counted.figures = 0  # registering asks once
    runtime = SimpleNamespace(
        status=EmptySource().status, wall_s=lambda: 0.0, draining=False, engine=SimpleNamespace(slo_s=1.0)
    )
    return Watch(runtime, metrics, counted.ask_workers)


async def follow(watched, events):
    """Keep each event that a watcher is sent."""
    response = await watched.events(None)
    async for event in response.body_iterator:
        events.append(event)


async def seconds_pass(watched, watchers):
    """Let seconds pass; the events of each watcher."""
    seen = [[] for _ in range(watchers)]
    tasks = [asyncio.create_task(follow(watched, events)) for events in seen]
    await all_blocked()
    tasks.append(asyncio.create_task(watched.run()))
    await asyncio.sleep(SECONDS + 0.5)
    await all_blocked()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return seen


@virtual_time
async def test_ten_watchers_cost_one_event_a_second():
    """It is made once, and each gets the same bytes after its history."""
    counted = Counted()
    first, *others = await seconds_pass(watch(counted), WATCHERS)

    assert (SECONDS, SECONDS) == (counted.workers, counted.figures)
    assert SECONDS + 1 == len(first)
    assert all(mine is its for other in others for mine, its in zip(first[1:], other[1:], strict=True))


@virtual_time
async def test_nobody_watching_costs_no_event():
    """Neither workers nor figures are asked."""
    counted = Counted()
    await seconds_pass(watch(counted), 0)

    assert (0, 0) == (counted.workers, counted.figures)


@virtual_time
async def test_more_watchers_than_there_is_room_for_are_refused():
    """And whoever leaves makes room."""
    watched = watch(Counted())
    tasks = [asyncio.create_task(follow(watched, [])) for _ in range(MOST)]
    await all_blocked()
    with pytest.raises(RequestError):
        await watched.events(None)

    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    await all_blocked()
    assert await watched.events(None)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
