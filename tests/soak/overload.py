"""A real model, offered what it can do and up to ten times as much; then half of it again."""

import threading
from typing import Any

from benchmarks.meter import memory_of, settle
from benchmarks.served import Served, serving, tureen
from benchmarks.works import WORKS
from server.commands.bench.fleet import Fleet, Load, Material, Run
from server.commands.bench.records import OK
from server.commands.bench.stats import Summary, summarize
from server.commands.bench.target import parse_url
from tests.soak.phase import Findings, Job, quantile
from tests.soak.servers import ask
from tests.soak.servers import run as run_loop

_WORK = WORKS["resnet50"]
_FACTORS = (1.0, 2.0, 5.0, 10.0)
_EACH_S, _CALM_S, _CAPACITY_S = 12.0, 10.0, 6.0
_PATIENT = (("X-Request-Timeout-Ms", "20000"),)  # of the closed loop that measures capacity
_GOOD_SHARE, _PROBE_MS, _MEMORY, _RECOVERY_S = 0.9, 50.0, 1.2, 5.0
_NORMAL = 1.25  # times the p90 before: what a second's median must be below to be as before
_PROBE_EVERY_S = 0.05


def run(job: Job) -> Findings:
    found = Findings()
    with serving(tureen(["--workers", "2", *_WORK.serve_flags(), "--trusted-proxies", "127.0.0.1"])) as served:
        raw = _measure(job, served)
    goodputs = [step["goodput"] for step in raw["steps"].values()]
    peak = max(goodputs)
    found.figure("capacity, 32 connections", f"{raw['capacity']:.1f} images/s")
    for name, step in raw["steps"].items():
        text = f"{step['goodput']:.1f} images/s, p99 {step['p99_s'] * 1e3:,.0f} ms, {step['refused']:,} refused"
        found.figure(f"{name}: good", f"{text}, {step['outcomes'].get(504, 0):,} expired")
    share = goodputs[-1] / peak
    found.holds("goodput at 10x, of its peak", f"{share:.2f}", f">= {_GOOD_SHARE}", share >= _GOOD_SHARE)
    found.at_most("health endpoints at 10x, p99", raw["probe_p99_s"] * 1e3, _PROBE_MS, "ms")
    found.none("health answers other than 200", raw["probe_failures"])
    found.figure("goodput at 10x, of capacity", f"{goodputs[-1] / raw['capacity']:.2f}")
    growth = raw["memory_at_10"] / raw["memory_at_1"]
    found.at_most("memory at 10x, of that at 1x", growth, _MEMORY, "", 2)
    found.at_most("back to normal after it", raw["recovery_s"], _RECOVERY_S, "s")
    found.none("replaced processes", raw["replaced"])
    found.raw |= raw
    return found


def _measure(job: Job, served: Served) -> dict[str, Any]:
    pictures, target = _WORK.pictures(), parse_url(served.url)
    raw: dict[str, Any] = {"steps": {}}
    with Fleet(Material(target=target, pictures=pictures, headers=_PATIENT)) as patient:
        job.say("capacity", 0.0)
        patient.run(_closed(job.seconds(2.0)))  # the first one is slower
        capacity = raw["capacity"] = _summary(patient.run(_closed(job.seconds(_CAPACITY_S)))).rate
    pids = served.pids()
    with Fleet(Material(target=target, pictures=pictures)) as fleet:
        job.say("half of capacity", 0.1)
        normal_s = _normal_s(fleet.run(_open(capacity / 2, job.seconds(_CALM_S), job.seed)))
        for number, factor in enumerate(_FACTORS):
            job.say(f"{factor:g}x", 0.2 + 0.15 * number)
            with _Probes(served) as probes:
                one = _summary(fleet.run(_open(capacity * factor, job.seconds(_EACH_S, 5.0), job.seed)))
                memory = memory_of(served.pids())
            raw["steps"][f"{factor:g}x"] = _step(one)
            raw.setdefault("memory_at_1", memory)
            raw["memory_at_10"], raw["probe_p99_s"] = memory, quantile(probes.seconds, 0.99)
            raw["probe_failures"] = raw.get("probe_failures", 0) + probes.failures
            if factor != _FACTORS[-1]:
                settle(served)
        job.say("half of capacity again", 0.85)
        after = fleet.run(_open(capacity / 2, job.seconds(_CALM_S, 8.0), job.seed + 1, warmup_s=0.0))
        raw["recovery_s"] = recovery_s(after, normal_s)
        raw["replaced"] = len(set(pids) - set(served.pids()))
        raw["normal_s"] = normal_s
    return raw


def recovery_s(run: Run, normal_s: float) -> float:
    """Seconds from the window's start after which each second's median was normal."""
    due, latency, outcome = (run.rows[name] for name in ("due", "latency", "outcome"))
    abnormal = 0.0
    for second in range(int(run.load.duration_s)):
        within = (due >= second) & (due < second + 1)
        times = latency[within & (outcome == OK)]
        if within.any() and (len(times) < within.sum() or quantile(times.tolist(), 0.5) > normal_s):
            abnormal = second + 1.0
    return abnormal


def _normal_s(run: Run) -> float:
    return _NORMAL * quantile(run.rows["latency"][run.rows["outcome"] == OK].tolist(), 0.9)


def _step(one: Summary) -> dict[str, Any]:
    return {
        "offered": one.offered_rate, "goodput": one.goodput, "p99_s": one.latency.p99 if one.latency else float("nan"),
        "refused": one.refused, "late": one.ok - one.good, "outcomes": dict(one.outcomes),
        "refusal_p99_s": one.refusal.p99 if one.refusal else None,
    }  # fmt: skip


def _summary(run: Run) -> Summary:
    return summarize(run.rows, run.load.duration_s, run.load.slo_s)


def _closed(seconds: float) -> Load:
    return Load(connections=32, duration_s=seconds, warmup_s=0.5, timeout_s=25.0, slo_s=20.0)


def _open(rate: float, seconds: float, seed: int, warmup_s: float = 1.0) -> Load:
    """`warmup_s`: for a queue to fill as far as it will."""
    return Load(
        rate=rate, connections=1000, duration_s=seconds, warmup_s=warmup_s, timeout_s=2.5, slo_s=_WORK.slo_s, seed=seed
    )


class _Probes:
    """Asks for health all the while, beside the load; a context manager. `seconds`: of each answer."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: run_loop(self._ask()), daemon=True)
        self.seconds: list[float] = []
        self.failures = 0

    def __enter__(self) -> "_Probes":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _ask(self) -> None:
        from tests.faults.fleet import connecting

        client = await connecting(self._served.port)()
        while not self._stop.wait(_PROBE_EVERY_S):  # alone on its loop, which may wait
            for path in ("/healthz", "/readyz"):
                try:
                    self.seconds.append(await ask(client, path))
                except AssertionError:
                    self.failures += 1
        client.writer.transport.abort()
