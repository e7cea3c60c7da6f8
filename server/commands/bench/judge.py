"""Whether a run is a measurement at all, and whether the promise was kept. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from server.commands.bench.records import Outcome
from server.commands.bench.stats import Summary

_BUSIEST = 0.9  # of a core: beyond it a client process is what is measured
_LAG_SHARE = 0.2  # of the SLO: how late the client may send one request in a hundred
_LEAST_LAG_S = 0.005
_MOST_REUSED = 0.01  # of the answers: beyond it not inference is what is measured
_OUR_FAULT = range(400, 500)  # the request is wrong, but for:
_THEIR_LIMIT = (408, 429)  # too slow, too many


class Verdict(Enum):
    """The value is the exit code."""

    KEPT = 0
    MISSED = 1
    INVALID = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """`reasons` say why it is not a measurement, or by how much the promise was missed."""

    verdict: Verdict
    reasons: Sequence[str]
    saturated: bool = False  # more client processes might help
    late: bool = False  # the client had CPU left and was late all the same: it had to wait for its turn
    silent: bool = False  # nothing is wrong but that no request was answered: for a search, a rate far too high


def judge(
    summary: Summary, client_cpu_s: Sequence[float], *, slo_s: float, quantile: float, allow_cached: bool = False
) -> Judgement:
    """Judge a run: the promise is that `quantile` of what is offered is good."""
    busiest = max(client_cpu_s, default=0.0) / summary.window_s
    flaws, saturated, late, silent = [], False, False, False
    if not summary.offered:
        flaws.append("nothing was due within the window: a longer --duration or a higher --rate is needed")
    elif not summary.answered:  # a refusal is an answer, and breaks the promise
        silent = True
        flaws.append("no request was answered")
    if wrong := summary.outcomes.get(Outcome.WRONG, 0):
        flaws.append(f"{wrong} of the answers are wrong")
    if summary.reused_share > _MOST_REUSED and not allow_cached:
        flaws.append(f"{summary.reused_share:.1%} of the answers were cached or coalesced: --allow-cached permits it")
    if malformed := summary.outcomes.get(Outcome.MALFORMED, 0):
        flaws.append(f"{malformed} of the answers are not HTTP")
    for status in _OUR_FAULT:
        if status not in _THEIR_LIMIT and (count := summary.outcomes.get(status, 0)):
            flaws.append(f"{count} requests were answered {status}: pictures or headers are not what the server takes")
    if busiest > _BUSIEST:
        saturated = True
        flaws.append(f"the client is saturated: a process of it used {busiest:.0%} of a core")
    most_lag = max(_LEAST_LAG_S, slo_s * _LAG_SHARE)
    if summary.lag and summary.lag.p99 > most_lag:
        late = not saturated
        saturated = True
        flaws.append(f"the client was late: 1 request in 100 went out {summary.lag.p99 * 1000:.0f} ms after it was due")
    if flaws:
        alone = len(flaws) == 1
        return Judgement(Verdict.INVALID, flaws, saturated, late=late and alone, silent=silent and alone)
    if summary.good_share < quantile:
        least, most = f"{quantile:.4%}".rstrip("0%").rstrip("."), f"{slo_s * 1000:g} ms"
        share = f"{summary.good_share:.2%}"
        return Judgement(Verdict.MISSED, [f"{share} were good; the promise is {least}% within {most}"])
    return Judgement(Verdict.KEPT, [])


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Of several runs: the worst."""
    return max(verdicts, key=lambda one: one.value)
