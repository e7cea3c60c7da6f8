"""What Prometheus sees of rollouts and drift. Labels come from the operator's names, and from fixed sets."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.drift.monitor import Monitor
from server.rollout.steering import Steering


class RolloutCollector(Collector):
    """Read at the moment of asking."""

    def __init__(self, steering: Steering) -> None:
        self._steering = steering

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        share = GaugeMetricFamily(
            "tureen_rollout_share", "Share of requests that a candidate runs (shadow) or answers (canary)",
            labels=["model", "version", "kind"],
        )  # fmt: skip
        ended = CounterMetricFamily(
            "tureen_rollouts", "Rollouts that ended, seen by this process", labels=["model", "result"]
        )
        for name, live in self._steering.live.items():
            if live.rollout and live.rollout.active:
                step = live.rollout.current
                share.add_metric([name, live.rollout.candidate, step.kind], step.share)
        for (name, result), count in self._steering.ended.items():
            ended.add_metric([name, result], count)
        yield share
        yield ended
        yield from _drift(self._steering.drift)


def _drift(monitor: Monitor) -> Iterator[Metric]:
    labels = ["model", "version"]
    alarm = GaugeMetricFamily("tureen_drift", "1 while live images or answers differ from the reference", labels=labels)
    alarms = CounterMetricFamily("tureen_drift_alarms", "Times that this began", labels=labels)
    psi = GaugeMetricFamily(
        "tureen_drift_psi", "Population stability index of the last window, by feature", labels=[*labels, "feature"]
    )
    windows = CounterMetricFamily("tureen_drift_windows", "Windows that were compared", labels=labels)
    for (name, version), one in monitor.versions.items():
        if one.reference is None:
            continue
        alarm.add_metric([name, version], one.since is not None)
        alarms.add_metric([name, version], one.alarms)
        windows.add_metric([name, version], one.compared)
        for shift in one.judged[-1].verdict.shifts if one.judged else ():
            psi.add_metric([name, version, shift.feature], shift.psi)
    yield alarm
    yield alarms
    yield psi
    yield windows
