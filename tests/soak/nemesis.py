"""Random faults, the same for the same seed, under the load of `mix`, with keys; then the history is checked."""

import asyncio
import os
import random
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import psutil

from tests.history import checker
from tests.history.client import Recorder
from tests.history.footprint import look, settled
from tests.history.load import RecordedLoad, demo_pictures
from tests.history.operations import LOST, History
from tests.photos import photo
from tests.security.keys import add_key, bearer
from tests.soak.mix import Mix
from tests.soak.phase import Findings, Job, quantile
from tests.soak.servers import Standing, in_workers, rested
from tests.soak.servers import run as run_loop

POISON = -2  # in the place of a picture's number
_MARK = b"deadly nightshade"  # after the end of the picture: decoders do not look there
_DEADLY = f"""
def deadly(data, *args):
    if bytes(data[-{len(_MARK)}:]) == {_MARK!r}:
        os.kill(os.getpid(), signal.SIGSEGV)
    return prepare(data, *args)
tensor.prepare = deadly
"""
_SHARES = {"kill a worker": 4, "kill all workers": 1, "stop a worker": 3, "poison": 2, "kill web": 1, "restart": 1}
_CLIENTS = 12
_RATE = 150.0  # turns a second
_DRAIN_S = 1.0
_SLO_S = 1.0
_CALM_S = 4.0  # without a fault, at the end
_LEAST_BETWEEN_WEBS_S = 8.0  # more than five deaths of web in 30 s end the server, as documented


def plan(seed: int) -> Iterator[tuple[float, str, random.Random]]:
    """For ever: seconds to wait, then what to do, and a random source for how."""
    random_ = random.Random(seed)
    since_web = 0.0
    while True:
        pause, name = random_.uniform(0.3, 4.0), random_.choices(list(_SHARES), list(_SHARES.values()))[0]
        since_web += pause
        if name == "kill web":
            if since_web < _LEAST_BETWEEN_WEBS_S:
                continue
            since_web = 0.0
        yield pause, name, random.Random(random_.random())


def run(job: Job) -> Findings:
    found, history = Findings(), History()
    with tempfile.TemporaryDirectory() as folder:
        environ = in_workers(Path(folder), _DEADLY)
        path = Path(folder) / "keys.json"
        credentials = bearer(add_key(path, "client", "infer", "urgent"))
        flags = ("--workers", "2", "--slo", f"{_SLO_S:g}s", "--drain-delay", f"{_DRAIN_S:g}s", "--keys", str(path))
        with Standing(*flags, environ=environ, admin=add_key(path, "admin", "admin")) as standing:
            run_loop(_Nemesis(job, standing, history, found, credentials).run())
            found.none("processes that give up", int(standing.server.process.poll() is not None))
    _judge(found, history, standing.log)
    return found


def _judge(found: Findings, history: History, log: str) -> None:
    pictures = demo_pictures()
    by_kind = Counter(fault.name for fault in history.faults)
    found.figure("faults", ", ".join(f"{count} x {name}" for name, count in sorted(by_kind.items())))
    endings = [(one, ending) for one in history.operations for ending in one.endings]
    statuses = Counter(ending.status for _, ending in endings)
    codes = Counter(f"{ending.status} {ending.code}" for _, ending in endings if ending.status >= 500)
    found.figure("operations", f"{len(history.operations):,}")
    found.figure("refused (503), expired (504)", f"{statuses[503]:,}, {statuses[504]:,}")
    lost = [one for one, ending in endings if ending.status == LOST]
    explained = sum(checker.explained(history, one, LOST) for one in lost)
    found.figure("lost to a killed web process or between two servers", f"{explained:,}")
    found.clean("not ended exactly once", checker.endings(history))
    found.clean("lost or late, and no fault explains it", checker.losses(history))
    found.clean("5xx of our making, good pictures rejected", checker.statuses(history))
    found.clean("answers to another picture", checker.answers(history, pictures))
    found.none("unexpected exceptions in the log", log.count("Traceback"))
    found.raw |= {
        "statuses": dict(statuses),
        "codes": dict(codes),
        "kinds": dict(Counter(one.kind for one in history.operations)),
        "faults": [(fault.name, fault.begun, fault.ended) for fault in history.faults],
    }
    if "Traceback" in log:
        at = log.index("Traceback")
        found.notes.append(log[max(0, at - 1000) : at + 2000])


class _Nemesis:
    """Does to one server what the plan says."""

    def __init__(
        self, job: Job, standing: Standing, history: History, found: Findings, credentials: Mapping[str, str]
    ) -> None:
        self._job = job
        self._standing = standing
        self._history = history
        self._found = found
        self._credentials = credentials
        self._poisons = 0

    async def run(self) -> None:
        mix = Mix(demo_pictures(), self._job.seed)
        clients = {"slo_s": _SLO_S, "clients": _CLIENTS, "rate": _RATE, "seed": self._job.seed}
        clients["credentials"] = self._credentials
        connect = self._standing.connect
        self._before = look(self._standing.server)
        async with RecordedLoad(self._history, connect, mix, **clients):
            await self._faults()
        await self._calm(RecordedLoad(calm := History(), connect, mix, **clients), calm)

    async def _faults(self) -> None:
        left = self._job.until(self._job.seconds(70), "nemesis")
        for number, (pause, name, random_) in enumerate(plan(self._job.seed)):
            await asyncio.sleep(pause)  # the plan's; nothing waits for it
            if not left:
                return
            self._job.say(f"fault {number + 1}: {name}", 0.0)
            try:
                await getattr(self, "_" + name.replace(" ", "_"))(random_)
            except (psutil.Error, StopIteration, IndexError):
                pass  # what it was aimed at is being replaced just now

    async def _calm(self, load: RecordedLoad, calm: History) -> None:
        """After the last fault all is as before: whatever holds then holds of one web process from start to end."""
        server = self._standing.server
        before = await rested(server)
        async with load:
            await asyncio.sleep(_CALM_S)  # its length
        after = await rested(server)
        plain = [one for one in calm.operations if one.kind == "good"]
        good = [ending.at - one.sent for one in plain for ending in one.endings if ending.status == 200]
        self._found.figure("p99 after the last fault", f"{quantile(good, 0.99) * 1000:.0f} ms")
        self._found.clean("breaches after the last fault", checker.check(calm, demo_pictures()))
        self._found.clean("counters that do not add up", checker.at_rest(after))
        self._found.clean("counters that are not the clients'", checker.agreement(calm, before, after))
        self._found.clean("left behind after 10 s", await asyncio.to_thread(settled, server, self._before))

    # ---- The faults ----

    async def _kill_a_worker(self, random_: random.Random) -> None:
        with self._history.fault("kill a worker"):
            random_.choice(self._standing.server.workers).kill()

    async def _kill_all_workers(self, _: random.Random) -> None:
        with self._history.fault("kill all workers"):
            for worker in self._standing.server.workers:
                worker.kill()

    async def _stop_a_worker(self, random_: random.Random) -> None:
        worker = random_.choice(self._standing.server.workers)
        with self._history.fault("stop a worker"):
            worker.suspend()
            await asyncio.sleep(random_.choice((0.2, 1.0, 3.0, 12.0)))  # past ten it is taken for hung, and killed
            worker.resume()

    async def _poison(self, _: random.Random) -> None:
        self._poisons += 1
        body = photo(9000 + self._poisons) + _MARK
        recorder = Recorder(self._history, self._standing.connect, 20, self._credentials)
        with self._history.fault("poison"):
            operation = await recorder.post(POISON, body, "poison", timeout_ms=20_000)
            await recorder.finish()
        for ending in operation.endings:
            if (ending.status, ending.code) == (500, "worker_lost"):  # what it is promised
                operation.endings[0].status = 422

    async def _kill_web(self, _: random.Random) -> None:
        with self._history.fault("kill web", [LOST]):
            self._standing.server.web.kill()
            await self._until_ready()

    async def _restart(self, _: random.Random) -> None:
        standing = self._standing
        with self._history.fault("drain"):
            os.kill(standing.server.process.pid, signal.SIGTERM)
            await asyncio.sleep(_DRAIN_S - 0.05)  # until just before the port closes
        with self._history.fault("restart", [LOST]):
            assert await asyncio.to_thread(standing.end) == 0
            await asyncio.to_thread(self._again)

    def _again(self) -> None:
        # A second thread, since the harness runs a loop of its own while it waits for readiness.
        self._standing.start_again()
        # What it held at rest stays the measure: just now it has the clients' connections.
        old, now = self._before, look(self._standing.server)
        supervisor, web = replace(old.supervisor, pid=now.supervisor.pid), replace(old.web, pid=now.web.pid)
        self._before = replace(now, supervisor=supervisor, web=web, connections=old.connections)

    async def _until_ready(self) -> None:
        server = self._standing.server
        while True:
            try:
                now = await server.metrics()
            except (OSError, EOFError):
                continue
            if now["tureen_workers_ready"] == now["tureen_workers"]:
                return
