"""The HorizontalPodAutoscaler (autoscaling/v2) for one metric of type Pods: a plain function and its memory.

What Kubernetes does every 15 s: the ratio of the pods' mean to the target; nothing within a tolerance of 0.1; pods that
give no metric yet count as idle when that would scale up, and as on target when it would scale down; then the
stabilization window and the policies of `behavior`.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SYNC_S = 15.0
TOLERANCE = 0.1


@dataclass(frozen=True)
class Policy:
    """At most `value` pods, or per cent of them, in `period_s`."""

    percent: bool
    value: float
    period_s: float


@dataclass(frozen=True)
class Direction:
    """`window_s`: the recommendation that is furthest from scaling, of so many seconds, counts."""

    window_s: float
    policies: Sequence[Policy]


@dataclass(frozen=True)
class Spec:
    """What a manifest says."""

    least: int
    most: int
    target: float
    up: Direction
    down: Direction


def read_spec(path: Path) -> Spec:
    """The autoscaler of a manifest with one metric of type Pods."""
    spec = yaml.safe_load(path.read_text())["spec"]
    (metric,) = spec["metrics"]
    behaviour = spec["behavior"]
    return Spec(
        spec["minReplicas"], spec["maxReplicas"], _quantity(metric["pods"]["target"]["averageValue"]),
        _direction(behaviour["scaleUp"]), _direction(behaviour["scaleDown"]),
    )  # fmt: skip


def _quantity(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _direction(rules: Mapping[str, Any]) -> Direction:
    policies = [Policy(one["type"] == "Percent", one["value"], one["periodSeconds"]) for one in rules["policies"]]
    return Direction(rules["stabilizationWindowSeconds"], policies)


def recommended(replicas: int, values: Sequence[float], silent: int, target: float) -> int:
    """By the ratio alone. `values`: of the pods that give the metric; `silent`: pods that are there, and do not."""
    if not values:
        return replicas
    ratio = sum(values) / len(values) / target
    if not silent:
        return replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(ratio * len(values))
    if abs(ratio - 1) <= TOLERANCE:
        return replicas
    assumed = 0.0 if ratio > 1 else target
    count = len(values) + silent
    with_silent = (sum(values) + silent * assumed) / count / target
    if abs(with_silent - 1) <= TOLERANCE or (ratio > 1) != (with_silent > 1):
        return replicas
    wanted = math.ceil(with_silent * count)
    turned = (wanted < replicas) if ratio > 1 else (wanted > replicas)
    return replicas if turned else wanted


@dataclass
class Autoscaler:
    """Its memory: recommendations, and what was changed lately."""

    spec: Spec
    _recommendations: deque[tuple[float, int]] = field(default_factory=deque)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)

    def decide(self, now: float, replicas: int, values: Sequence[float], silent: int) -> int:
        """How many replicas there should be. Called every `SYNC_S`."""
        wanted = recommended(replicas, values, silent, self.spec.target)
        self._recommendations.append((now, wanted))
        chosen = self._stabilized(now, replicas, wanted)
        if chosen > replicas:
            chosen = min(chosen, max(self._most(now, replicas, one) for one in self.spec.up.policies))
        elif chosen < replicas:
            chosen = max(chosen, min(self._least(now, replicas, one) for one in self.spec.down.policies))
        chosen = min(max(chosen, self.spec.least), self.spec.most)
        if chosen != replicas:
            self._changes.append((now, chosen - replicas))
        return chosen

    def _stabilized(self, now: float, replicas: int, wanted: int) -> int:
        longest = max(self.spec.up.window_s, self.spec.down.window_s)
        while self._recommendations[0][0] < now - longest:
            self._recommendations.popleft()
        low = min(one for at, one in self._recommendations if at >= now - self.spec.up.window_s)
        high = max(one for at, one in self._recommendations if at >= now - self.spec.down.window_s)
        return min(max(replicas, low), high)

    def _most(self, now: float, replicas: int, policy: Policy) -> int:
        start = replicas - self._changed(now, policy, up=True)
        return math.ceil(start * (1 + policy.value / 100)) if policy.percent else start + int(policy.value)

    def _least(self, now: float, replicas: int, policy: Policy) -> int:
        start = replicas - self._changed(now, policy, up=False)
        return math.ceil(start * (1 - policy.value / 100)) if policy.percent else start - int(policy.value)

    def _changed(self, now: float, policy: Policy, *, up: bool) -> int:
        return sum(by for at, by in self._changes if at > now - policy.period_s and (by > 0) == up)
