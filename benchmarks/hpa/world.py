"""Pods under traffic that changes, in virtual seconds: what the autoscaler sees, and what clients see."""

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from benchmarks.hpa.formula import SYNC_S, Autoscaler, Spec
from benchmarks.hpa.recorded import Recording

PULL_S = 30.0  # of the image onto a node
_RATE_S = 60  # the window of rate() in the adapter's rule
_SCRAPE_S = 15.0
_FIRST_METRIC_S = 2 * _SCRAPE_S  # rate() needs two samples
_NOISE = 0.05  # of the offered rate from second to second, as a share

Traffic = Callable[[float], float]
"""Offered images per second, in capacities of one pod, at a second of the run."""


@dataclass
class Run:
    """What happened. One entry per second in the lists."""

    offered: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # of those admitted
    pods: list[int] = field(default_factory=list)  # there are, ready or not
    ready: list[int] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    @property
    def refused_share(self) -> float:
        return 1 - (sum(self.answered) + sum(self.late)) / sum(self.offered)

    @property
    def kept_share(self) -> float:
        """Of the admitted, those answered in time."""
        return sum(self.answered) / (sum(self.answered) + sum(self.late))

    def reversals(self, within_s: float) -> int:
        """How often a change of the number of pods was undone by the next change within that time: flapping."""
        steps = enumerate(now - before for before, now in pairwise(self.pods))
        pairs = pairwise((at, by) for at, by in steps if by)
        return sum((one > 0) != (other > 0) and then - at <= within_s for (at, one), (then, other) in pairs)


def play(traffic: Traffic, length_s: int, spec: Spec, pod: Recording, seed: int = 0) -> Run:
    """The whole run. It begins with the pods that the traffic needs then."""
    chance, scaler, run = random.Random(seed), Autoscaler(spec), Run()
    first = min(max(spec.least, math.ceil(traffic(0) / spec.target)), spec.most)
    pods = [-math.inf] * first  # when each was asked for; ready a start later
    seen: deque[float] = deque(maxlen=_RATE_S)  # per ready pod
    ready_after = PULL_S + pod.start_s
    for now in range(length_s):
        ready = sum(now - asked >= ready_after for asked in pods)
        offered = traffic(now) * max(0.0, chance.gauss(1, _NOISE))
        each = pod.at(offered / ready)
        seen.append(each.load)
        admitted = each.answered / (1 - each.late)
        run.offered.append(offered)
        run.answered.append(offered * each.answered)
        run.late.append(offered * (admitted - each.answered))
        run.pods.append(len(pods))
        run.ready.append(ready)
        run.p99_ms.append(each.p99_ms)
        if now % SYNC_S == 0:
            giving = sum(now - asked >= ready_after + _FIRST_METRIC_S for asked in pods)
            load = sum(seen) / len(seen)
            wanted = scaler.decide(now, len(pods), [load] * giving, len(pods) - giving)
            pods = pods[:wanted] + [now] * (wanted - len(pods))
    return run
