"""What every contender goes through: one connection, many, then open loops up to far beyond what it can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.meter import Metered, Spoilt, metered, only_200s, settle
from benchmarks.served import Served
from benchmarks.works import Work
from server.commands.bench.fleet import Fleet, Load, Material
from server.commands.bench.judge import Verdict, judge
from server.commands.bench.output import figures
from server.commands.bench.records import outcome_name
from server.commands.bench.target import parse_url

CONNECTIONS, _MOST = 32, 1000
FACTORS = (0.7, 1.0, 2.0, 5.0, 10.0)  # of the rate at 32 connections
_PATIENCE_S = 10.0  # in a closed loop
_WARM_UP_S = 0.3
_LEAST_ARRIVALS, _LONGEST_S = 50, 10.0  # a window is as long as the first take, up to the second
_GIVE_UP_S = 1.0  # nobody waits shorter; an answer after the SLO is no good, but it is an answer
_PATIENT = (("X-Request-Timeout-Ms", "10000"),)  # a closed loop asks for capacity, not for a promise

Stage = dict[str, Any]  # its figures, or its flaw


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the windows are, and how far beyond capacity it goes."""

    seconds: float
    factors: Sequence[float]
    seed: int


def stages_of(
    work: Work, served: Served, expected: Sequence[str] | None, plan: Plan, say: Callable[[str], None]
) -> dict[str, Stage]:
    """All stages of one contender, by name: `c1`, `c32`, `x0.7`, ... Raises `Spoilt` where nothing can be compared."""
    pictures, target = work.pictures(), parse_url(served.url)
    labels = expected or ()
    patient = Material(target=target, pictures=pictures, expected=labels, headers=_PATIENT)
    plain = Material(target=target, pictures=pictures, expected=labels)
    done: dict[str, Stage] = {}
    with Fleet(patient) as fleet:
        metered(fleet, _closed(min(1.0, plan.seconds), CONNECTIONS), served)  # the first one is slower
        done["c1"] = _figures(only_200s(metered(fleet, _closed(plan.seconds, 1), served)))
        whole = only_200s(metered(fleet, _closed(plan.seconds, CONNECTIONS), served))
        done["c32"] = _figures(whole)
    say(f"{whole.summary.rate:,.1f}/s")
    with Fleet(plain) as fleet:
        for factor in plan.factors:
            name = f"x{factor:g}"
            try:
                done[name] = _open(fleet, served, work, whole.summary.rate * factor, plan)
                settle(served)
            except Spoilt as error:
                done[name] = {"flaw": str(error)}
                say(f"{name} {error}")
                break
            if "flaw" in done[name]:
                say(f"{name}: {done[name]['flaw']}")
            else:
                say(f"{name} good {done[name]['figures']['goodput']:,.1f}")
    return done


def _closed(seconds: float, connections: int) -> Load:
    return Load(
        connections=connections, duration_s=seconds, warmup_s=_WARM_UP_S, timeout_s=_PATIENCE_S, slo_s=_PATIENCE_S
    )


def _open(fleet: Fleet, served: Served, work: Work, rate: float, plan: Plan) -> Stage:
    load = Load(
        rate=rate,
        connections=_MOST,
        duration_s=max(plan.seconds, min(_LEAST_ARRIVALS / rate, _LONGEST_S)),
        warmup_s=max(_WARM_UP_S, work.slo_s),  # for a queue to fill as far as it will
        timeout_s=max(_GIVE_UP_S, 2 * work.slo_s),
        slo_s=work.slo_s,
        seed=plan.seed,
    )
    one = metered(fleet, load, served)
    judgement = judge(one.summary, one.run.cpu_s, slo_s=load.slo_s, quantile=1.0)
    if judgement.verdict is Verdict.INVALID and not judgement.silent:
        return {"flaw": "; ".join(judgement.reasons)}
    return _figures(one)


def _figures(one: Metered) -> Stage:
    return {
        "figures": figures(one.summary),
        "outcomes": {outcome_name(kind): count for kind, count in one.summary.outcomes.items()},
        "cpu_s": one.server_cpu_s / one.wall_s,  # a second
        "client_share": one.client_share,
        "others_share": one.others_share,
        "memory": one.memory,
    }
