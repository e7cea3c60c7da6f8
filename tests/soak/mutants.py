"""Damaged files of every format, by the hundred thousand."""

import asyncio
import itertools
import time
from collections import Counter

from tests.end_to_end.harness import Server, serving
from tests.faults.fleet import connecting
from tests.history import checker
from tests.history.client import Recorder
from tests.history.load import demo_pictures
from tests.history.operations import History
from tests.preprocess.mutations import good_files, mutations
from tests.soak.mix import DAMAGED
from tests.soak.phase import Findings, Job
from tests.soak.servers import run as run_loop

COUNT = 100_000
_CONNECTIONS = 8
_STATUSES = {200, 413, 415, 422}
_SLOWEST_S = 2.0
_WORKER_MIB = 256.0


def run(job: Job) -> Findings:
    found, history = Findings(), History()
    with serving("--workers", "2", "--slo", "60s", "--max-pixels", "4M") as server:
        workers = resident(server)
        began = time.monotonic()
        run_loop(send_all(job, server, history))
        seconds, after = time.monotonic() - began, resident(server)
    judge(found, history, workers, after)
    found.figure("rate", f"{len(history.operations) / seconds:,.0f} files/s")
    return found


def judge(found: Findings, history: History, workers: dict[int, int], after: dict[int, int]) -> None:
    """What came of it."""
    statuses = Counter(ending.status for one in history.operations for ending in one.endings)
    slowest = max(ending.at - one.sent for one in history.operations for ending in one.endings)
    found.figure("files", f"{len(history.operations):,}")
    found.figure("by status", ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items())))
    found.none("any other status", sum(count for status, count in statuses.items() if status not in _STATUSES))
    found.clean("lost, late or answered twice", checker.check(history, demo_pictures()))
    found.at_most("slowest answer", slowest, _SLOWEST_S, "s", 3)
    found.none("workers that died", len(workers.keys() - after.keys()))
    largest, grown = max(after.values()), max(size - workers.get(pid, size) for pid, size in after.items())
    found.at_most("largest worker", largest / 2**20, _WORKER_MIB, "MiB", 0)
    found.figure("growth of a worker", f"{grown / 2**20:.1f} MiB")
    found.raw |= {"statuses": dict(statuses), "slowest_s": slowest, "before": workers, "after": after}


async def send_all(job: Job, server: Server, history: History) -> None:
    """The same files for the same seed, on several connections."""
    count = job.count(COUNT)
    todo = itertools.islice(mutations(good_files(), job.seed), count)

    async def work() -> None:
        recorder = Recorder(history, connecting(server.port), slo_s=60)
        for _, body in todo:
            await recorder.post(DAMAGED, body, "damaged")
            job.say(f"{len(history.operations):,} files", len(history.operations) / count)
        await recorder.finish()

    await asyncio.gather(*(work() for _ in range(_CONNECTIONS)))


def resident(server: Server) -> dict[int, int]:
    """Bytes in memory of each worker, by its process id."""
    return {worker.pid: worker.memory_info().rss for worker in server.workers}
