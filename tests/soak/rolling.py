"""Four replicas behind nginx, as a rolling update restarts them: one after the other, under steady load."""

import tempfile
from collections import Counter
from pathlib import Path

from tests.faults.fleet import connecting, fleet
from tests.history import checker
from tests.history.load import RecordedLoad, demo_pictures, post_good
from tests.history.operations import History
from tests.soak.phase import Findings, Job, quantile
from tests.soak.servers import run as run_loop

_REPLICAS, _ROUNDS = 4, 5
_RATE, _CLIENTS, _SLO_S = 60.0, 8, 10.0  # requests per second, within what one replica can do beside a start


def run(job: Job) -> Findings:
    found = Findings()
    rounds = job.count(_ROUNDS)
    with tempfile.TemporaryDirectory() as folder, fleet(Path(folder), count=_REPLICAS) as (front, _, restart):
        history = run_loop(_under_load(job, front, restart, rounds))
    statuses = Counter(ending.status for one in history.operations for ending in one.endings)
    what = f"{rounds} rolling restarts of {_REPLICAS} replicas"
    found.none(f"{what}: not 200, of {len(history.operations):,}", statuses.total() - statuses[200])
    found.clean(f"{what}: breaches in the history", checker.check(history, demo_pictures()))
    times = [ending.at - one.sent for one in history.operations for ending in one.endings]
    found.figure("... p50 and p99", f"{quantile(times, 0.5) * 1e3:.0f} ms, {quantile(times, 0.99) * 1e3:.0f} ms")
    found.raw["statuses"] = {str(status): count for status, count in statuses.items()}
    return found


async def _under_load(job: Job, front: int, restart, rounds: int) -> History:
    turn = post_good(demo_pictures())
    load = RecordedLoad(History(), connecting(front), turn, slo_s=_SLO_S, clients=_CLIENTS, rate=_RATE, seed=job.seed)
    async with load as clients:
        for number in range(rounds * _REPLICAS):
            job.say(f"restart {number + 1} of {rounds * _REPLICAS}", number / (rounds * _REPLICAS))
            await restart(number % _REPLICAS)
        await clients.more(100)
    return clients.history
