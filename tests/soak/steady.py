"""Mixed clients at half of what the server can do, for a while: nothing grows, nothing gets slower."""

import asyncio
import time

import numpy as np

from tests.end_to_end.harness import Server, serving
from tests.faults.fleet import connecting
from tests.history import checker
from tests.history.footprint import look, settled
from tests.history.load import RecordedLoad, demo_pictures, post_good
from tests.history.operations import History
from tests.soak.mix import Mix
from tests.soak.phase import Findings, Job, quantile
from tests.soak.servers import rested
from tests.soak.servers import run as run_loop

_SECONDS, _WARM_S, _CAPACITY_S, _EVERY_S = 100.0, 15.0, 4.0, 1.0
_CLIENTS = 16
_SLO_S = 1.0
_SLOWER = 1.1


def run(job: Job) -> Findings:
    found, history = Findings(), History()
    with serving("--workers", "2", "--trusted-proxies", "127.0.0.1") as server:
        raw = run_loop(_measure(job, server, history))
        found.clean("left behind after 10 s", settled(server, raw.pop("at_start")))
    _judge(found, history, raw)
    found.none("unexpected exceptions in the log", server.final_log.count("Traceback"))
    return found


def _judge(found: Findings, history: History, raw: dict) -> None:
    times = np.array([look[0] for look in raw["looks"]])
    found.figure("capacity, and the rate that was meant", f"{raw['capacity']:.0f}, {raw['rate']:.0f} requests/s")
    found.figure("operations", f"{len(history.operations):,}")
    found.clean("breaches in the history", checker.check(history, demo_pictures()))
    found.clean("counters", [*checker.at_rest(raw["after"]), *checker.agreement(history, raw["before"], raw["after"])])
    warm = times > _WARM_S if (times > _WARM_S).sum() > 10 else times > times[-1] / 3
    for column, name in ((1, "web"), (2, "workers")):
        sizes = np.array([look[column] for look in raw["looks"]])
        slope = np.polyfit(times[warm], sizes[warm], 1)[0] * 3600 / 2**20
        grown = (np.median(sizes[-10:]) - np.median(sizes[warm][:10])) / 2**20
        found.figure(f"memory of {name}, slope after {_WARM_S:.0f} s", f"{slope:+.0f} MiB/h ({grown:+.2f} MiB in all)")
    descriptors = [look[3] for look in raw["looks"]]
    found.figure("descriptors of web, least and most", f"{min(descriptors)}, {max(descriptors)}")
    first, last = (quantile(raw["thirds"][n], 0.99) * 1000 for n in (0, 2))
    found.at_most("p99 of the last third, of the first's", last / first, _SLOWER, "", 2)
    found.figure("p99 of the first and the last third", f"{first:.0f}, {last:.0f} ms")
    found.raw |= raw


async def _measure(job: Job, server: Server, history: History) -> dict:
    pictures, connect = demo_pictures(), connecting(server.port)
    job.say("capacity", 0.0)
    async with RecordedLoad(calibration := History(), connect, post_good(pictures), slo_s=_SLO_S, clients=_CLIENTS):
        await asyncio.sleep(_CAPACITY_S)  # its length
    capacity = len(calibration.operations) / _CAPACITY_S
    before, at_start, looks = await rested(server), look(server), []
    began = time.monotonic()
    mix, left = Mix(pictures, job.seed), job.until(job.seconds(_SECONDS, 12.0), "half of capacity")
    async with RecordedLoad(history, connect, mix, slo_s=_SLO_S, clients=_CLIENTS, rate=capacity / 2, seed=job.seed):
        while left:
            await asyncio.sleep(_EVERY_S)  # between looks
            looks.append((time.monotonic() - began, *_sizes(server)))
    seconds = time.monotonic() - began
    return {
        "capacity": capacity, "rate": capacity / 2, "looks": looks, "thirds": _thirds(history, began, seconds),
        "before": before, "after": await rested(server), "at_start": at_start,
    }  # fmt: skip


def _sizes(server: Server) -> tuple[int, int, int]:
    """Bytes of web and of its workers, descriptors of web."""
    web = server.web
    return web.memory_info().rss, sum(worker.memory_info().rss for worker in server.workers), web.num_fds()


def _thirds(history: History, began: float, seconds: float) -> list[list[float]]:
    """Latencies of good clients' 200s, by the third of the time in which they were sent."""
    thirds: list[list[float]] = [[], [], []]
    for one in history.operations:
        if one.kind == "good" and one.endings[0].status == 200:
            thirds[min(2, int((one.sent - began) / seconds * 3))].append(one.endings[0].at - one.sent)
    return thirds
