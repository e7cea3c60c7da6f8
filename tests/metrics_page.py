"""Makes docs/metrics.md from the metrics themselves: `make metrics`. A test compares the two."""

from pathlib import Path

from server.access.errors import REASONS
from server.consume.metrics import ConsumerCollector, State
from server.contract.answer import Answer, Reply
from server.contract.metadata import ModelMetadata
from server.telemetry.exporter import ExporterFigures
from server.telemetry.prediction_log import PredictionFigures
from server.web.gpu_metrics import GpuMetrics
from server.web.keeping import Figures
from server.web.metrics import Metrics
from server.web.observed_metrics import BuildMetrics, CertificateMetrics, ClockMetrics, PredictionMetrics, TraceMetrics
from server.web.rollout_metrics import RolloutCollector
from tests.fakes_source import EmptySource

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"

_MODEL = ModelMetadata(name="food", version="1", digest="", provider="")
_HEAD = """\
# Metrics

`GET /metrics`: OpenMetrics, with exemplars, for whoever accepts `application/openmetrics-text`; else Prometheus' text
format. Label values come from fixed sets, or from the operator: nothing that a client sends becomes one. This page is
made by `make metrics`.

Every accepted upload ends in exactly one of answered, failed, expired, cancelled and dropped. `outcome` and `code` are
`ok`, `client_gone` or the code of a problem. `priority` is `high` (urgency 0 to 2), `normal` (3) or `low`. Ready-made
dashboards, rules and alerts: [observability.md](observability.md).

| metric | kind | meaning |
|---|---|---|
"""


class _NoGpu:
    """As pynvml where there is no GPU."""

    NVMLError = Exception

    def nvmlDeviceGetCount(self):
        return 0


class _NoRollouts:
    """As a steering that has nothing to steer, and watches nothing for drift."""

    live, ended, versions = {}, {}, {}

    @property
    def drift(self):
        return self


def every_metric():
    """Give all metrics that there can be, each label once."""
    others = [
        BuildMetrics(1.0),
        CertificateMetrics(lambda: 0.0),
        ClockMetrics(lambda: 0),
        TraceMetrics(lambda: ExporterFigures(0, {})),
        PredictionMetrics(lambda: PredictionFigures(0, {})),
        GpuMetrics(_NoGpu()),
    ]
    others += [RolloutCollector(_NoRollouts()), ConsumerCollector(State)]
    metrics = Metrics(EmptySource(), lambda: Figures(0, 0, {}, 0, {}), others)
    metrics.count("/v1/images", "ok")
    metrics.observe(Answer("", "", Reply(_MODEL, b"", 0.0, 0.0, 0.0, 1)), 0.0, 0.0)
    for reason in REASONS:
        metrics.count_auth_refusal(reason)
    return metrics


def page():
    """Give the document."""
    rows = sorted(_row(family) for family in every_metric().registry.collect())
    return _HEAD + "".join(rows)


def _row(family):
    name = f"{family.name}_total" if family.type == "counter" else family.name
    values = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label not in ("le",):
                values.setdefault(label, []).append(value)
    labels = list(values) or list(getattr(family, "_labelnames", ()))
    shown = f"`{name}{{{','.join(labels)}}}`" if labels else f"`{name}`"
    fixed = [
        f"`{label}`: {', '.join(dict.fromkeys(values[label]))}"
        for label in labels
        if len(set(values.get(label, ()))) > 1
    ]
    return f"| {shown} | {family.type} | {'; '.join([family.documentation, *fixed])} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
