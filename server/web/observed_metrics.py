"""Metrics about the process itself and about what watches it: build, promise, certificate, traces, prediction log."""

import platform
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from server.telemetry.exporter import ExporterFigures
from server.telemetry.prediction_log import PredictionFigures

_UNSENT = ("queue_full", "refused", "unreachable")
_UNWRITTEN = ("disk", "queue_full")


class BuildMetrics(Collector):
    """What runs here, and what it promises."""

    def __init__(self, slo_s: float) -> None:
        self._slo_s = slo_s
        self._labels = {"version": version("tureen"), "python": platform.python_version()}

    def collect(self) -> Iterator[Metric]:
        """As `Collector.collect`."""
        build = GaugeMetricFamily("tureen_build_info", "1 for the version that runs", labels=list(self._labels))
        build.add_metric(list(self._labels.values()), 1)
        yield build
        yield GaugeMetricFamily("tureen_slo_seconds", "The promise: every image is answered within", value=self._slo_s)


class CertificateMetrics(Collector):
    """When the certificate that is served ends."""

    def __init__(self, expiry: Callable[[], float]) -> None:
        """`expiry`: seconds since 1970."""
        self._expiry = expiry

    def collect(self) -> Iterator[Metric]:
        """As `Collector.collect`."""
        text = "When the certificate expires, in seconds since 1970; with --tls-cert only"
        yield GaugeMetricFamily("tureen_certificate_expiry_timestamp_seconds", text, value=self._expiry())


class ClockMetrics(Collector):
    """How often the clock was set."""

    def __init__(self, steps: Callable[[], int]) -> None:
        self._steps = steps

    def collect(self) -> Iterator[Metric]:
        """As `Collector.collect`."""
        yield CounterMetricFamily("tureen_clock_steps", "Times that the wall clock was set", value=self._steps())


class TraceMetrics(Collector):
    """What became of traces."""

    def __init__(self, figures: Callable[[], ExporterFigures]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """As `Collector.collect`."""
        now = self._figures()
        text = "Spans that the collector took; with --otlp-endpoint only"
        yield CounterMetricFamily("tureen_exported_spans", text, value=now.exported)
        yield _lost(
            "tureen_lost_traces",
            "Requests whose spans were lost, by reason; with --otlp-endpoint only",
            now.lost,
            _UNSENT,
        )


class PredictionMetrics(Collector):
    """What became of the lines of the prediction log."""

    def __init__(self, figures: Callable[[], PredictionFigures]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """As `Collector.collect`."""
        now = self._figures()
        text = "Lines of the prediction log; with --prediction-log only"
        yield CounterMetricFamily("tureen_logged_predictions", text, value=now.written)
        yield _lost(
            "tureen_lost_predictions",
            "Lines of the prediction log that were lost; with --prediction-log only",
            now.lost,
            _UNWRITTEN,
        )


def _lost(name: str, text: str, counts: Mapping[str, int], reasons: tuple[str, ...]) -> Metric:
    family = CounterMetricFamily(name, text, labels=["reason"])
    for reason in reasons:
        family.add_metric([reason], counts.get(reason, 0))
    return family
