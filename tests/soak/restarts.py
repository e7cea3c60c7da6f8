"""Two replicas behind nginx, restarted one after the other, then killed process by process, under steady load."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import psutil

from tests.faults.fleet import connecting, fleet
from tests.history import checker
from tests.history.load import RecordedLoad, demo_pictures, post_good
from tests.history.operations import History
from tests.soak.phase import Findings, Job
from tests.soak.servers import run as run_loop

_RESTARTS, _WITHOUT = 10, 3  # of each replica: with the repeating of POSTs, and without
_LEAST = 10_000  # requests
_CAPACITY_S = 3.0
_CLIENTS = 16
_SLO_S = 10.0  # as the fleet is told
_KILLED = ("supervisor", "web", "worker")


def run(job: Job) -> Findings:
    found = Findings()
    restarts, least = job.count(_RESTARTS), job.count(_LEAST, 500)
    with_repeat = _fleet(job, restarts, least, repeat=True)
    _judge(found, f"{restarts} restarts of each", with_repeat["history"])
    found.figure("... at", f"{with_repeat['rate']:.0f} requests/s, half of one replica's {with_repeat['capacity']:.0f}")
    for name, history in with_repeat["kills"].items():
        _judge(found, f"kill -9 of {name}", history)
    rounds = job.count(_WITHOUT)
    without = _fleet(job, rounds, 0, repeat=False)
    _figure(found, f"without repeating POSTs: {rounds} restarts of each", without["history"])
    for name, history in without["kills"].items():
        _figure(found, f"without repeating POSTs: kill -9 of {name}", history)
    found.raw["rate"], found.raw["capacity"] = with_repeat["rate"], with_repeat["capacity"]
    return found


def _judge(found: Findings, what: str, history: History) -> None:
    statuses = _statuses(history)
    found.none(f"{what}: not 200, of {len(history.operations):,}", statuses.total() - statuses[200])
    found.clean(f"{what}: breaches in the history", checker.check(history, demo_pictures()))
    found.raw[what] = dict(statuses)


def _figure(found: Findings, what: str, history: History) -> None:
    statuses = _statuses(history)
    bad = {str(status or "no answer"): count for status, count in sorted(statuses.items()) if status != 200}
    text = f"{sum(bad.values())}" + (
        f" ({', '.join(f'{status}: {count}' for status, count in bad.items())})" if bad else ""
    )
    found.figure(f"{what}: not 200, of {len(history.operations):,}", text)
    found.raw[what] = dict(statuses)


def _statuses(history: History) -> Counter[int]:
    return Counter(ending.status for one in history.operations for ending in one.endings)


def _fleet(job: Job, restarts: int, least: int, repeat: bool) -> dict:
    with tempfile.TemporaryDirectory() as folder, fleet(Path(folder), repeat) as (front, replicas, restart):
        return run_loop(_under_load(job, front, replicas, restart, restarts, least, 0.0 if repeat else 0.7))


async def _under_load(job, front, replicas, restart, restarts, least, done) -> dict:
    capacity = await _capacity(replicas[0].port)

    def load() -> RecordedLoad:
        turn, rate = post_good(demo_pictures()), capacity / 2
        return RecordedLoad(
            History(), connecting(front), turn, slo_s=_SLO_S, clients=_CLIENTS, rate=rate, seed=job.seed
        )

    async with load() as clients:
        for number in range(2 * restarts):
            job.say(f"restart {number + 1} of {2 * restarts}", done + 0.5 * number / (2 * restarts))
            await restart(number % 2)
        await clients.more(max(0, least - len(clients.history.operations)))
    return {
        "capacity": capacity, "rate": capacity / 2, "history": clients.history,
        "kills": {name: await _killed(name, load(), replicas, restart) for name in _KILLED},
    }  # fmt: skip


async def _killed(name: str, load: RecordedLoad, replicas: list, restart) -> History:
    """What clients see of kill -9 of one process of the first replica, which is whole again afterwards."""
    async with load as clients:
        await clients.more(200)
        one = replicas[0]
        tree = one.tree()
        {"supervisor": one.process, "web": one.web, "worker": one.workers[0]}[name].kill()
        await clients.more(600)
    if name == "supervisor":
        psutil.wait_procs(tree, timeout=30)  # its port is free once web has drained
        await restart(0)
    else:
        await one.all_ready()
    return clients.history


async def _capacity(port: int) -> float:
    """Requests a second of one replica, alone."""
    history = History()
    async with RecordedLoad(history, connecting(port), post_good(demo_pictures()), slo_s=_SLO_S, clients=_CLIENTS):
        await asyncio.sleep(_CAPACITY_S)  # its length
    return len(history.operations) / _CAPACITY_S
