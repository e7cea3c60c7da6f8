"""A model of a millisecond, offered up to ten times what it can do: with one web process, and with two."""

from typing import Any

from benchmarks.meter import settle
from benchmarks.served import serving, tureen
from benchmarks.works import WORKS
from server.commands.bench.fleet import Fleet, Load, Material
from server.commands.bench.records import OK
from server.commands.bench.stats import Summary, summarize
from server.commands.bench.target import parse_url
from tests.soak.phase import Findings, Job

_WORK = WORKS["tiny"]
_SLO_S = 1.0
_WEB = (1, 2)
_GOALS = {2.0: 0.85, 5.0: 0.6, 10.0: 0.0}  # by factor: goodput as a share of capacity, with two
_IN_TIME = 0.99
_PATIENT = (("X-Request-Timeout-Ms", "20000"),)  # of the closed loop that measures capacity
_EACH_S, _CAPACITY_S = 8.0, 6.0


def run(job: Job) -> Findings:
    found = Findings()
    for number, web in enumerate(_WEB):
        raw = found.raw[f"web {web}"] = _measure(job, web, number / len(_WEB))
        found.figure(f"web {web}: capacity, 32 connections", f"{raw['capacity']:.0f} images/s")
        for factor, goal in _GOALS.items():
            step = raw[f"{factor:g}x"]
            share, in_time = step["goodput"] / raw["capacity"], step["in_time"]
            what = f"web {web}: goodput at {factor:g}x, of capacity"
            if goal and web > 1:
                found.holds(what, f"{share:.2f}", f">= {goal}", share >= goal)
                found.holds(f"{what}: in time", f"{in_time:.3f}", f">= {_IN_TIME}", in_time >= _IN_TIME)
            else:
                found.figure(what, f"{share:.2f}, in time {in_time:.3f}")
    return found


def _measure(job: Job, web: int, done: float) -> dict[str, Any]:
    pictures = _WORK.pictures()
    flags = [*_WORK.serve_flags(), "--web", str(web), "--slo", f"{_SLO_S:g}s", "--trusted-proxies", "127.0.0.1"]
    with serving(tureen(["--workers", "2", *flags])) as served:
        target = parse_url(served.url)
        with Fleet(Material(target=target, pictures=pictures, headers=_PATIENT)) as patient:
            job.say(f"web {web}: capacity", done)
            patient.run(_closed(job.seconds(2.0)))  # the first one is slower
            raw: dict[str, Any] = {"capacity": _summary(patient, _closed(job.seconds(_CAPACITY_S))).rate}
        with Fleet(Material(target=target, pictures=pictures)) as fleet:
            for factor in _GOALS:
                job.say(f"web {web}: {factor:g}x", done)
                settle(served)
                raw[f"{factor:g}x"] = _step(_summary(fleet, _open(job, raw["capacity"] * factor)))
    return raw


def _step(one: Summary) -> dict[str, Any]:
    admitted = one.outcomes.get(OK, 0) + one.outcomes.get(504, 0)
    return {
        "goodput": one.goodput, "in_time": one.good / max(1, admitted), "refused": one.refused,
        "offered": one.offered_rate, "outcomes": dict(one.outcomes),
    }  # fmt: skip


def _closed(seconds: float) -> Load:
    return Load(connections=32, duration_s=seconds, warmup_s=0.5, timeout_s=25.0, slo_s=20.0)


def _open(job: Job, rate: float) -> Load:
    return Load(
        rate=rate, connections=1000, duration_s=job.seconds(_EACH_S, 4.0), warmup_s=1.0, timeout_s=2.5, slo_s=_SLO_S,
        seed=job.seed,
    )  # fmt: skip


def _summary(fleet: Fleet, load: Load) -> Summary:
    return summarize(fleet.run(load).rows, load.duration_s, load.slo_s)
