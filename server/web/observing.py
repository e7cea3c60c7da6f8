"""From the settings to an observer, with what it tells."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager

import anyio
from prometheus_client.registry import Collector

from server.process.access_log import AccessLog
from server.settings import Settings
from server.telemetry.prediction_log import PredictionLog, open_prediction_log
from server.telemetry.tracer import Tracer
from server.web.gpu_metrics import gpu_metrics
from server.web.keeping import Keeping
from server.web.metrics import Metrics
from server.web.observed_metrics import BuildMetrics, CertificateMetrics, PredictionMetrics, TraceMetrics
from server.web.observer import Observer
from server.web.runtime import Runtime
from server.web.tls import Certificates


@asynccontextmanager
async def observing(
    settings: Settings, runtime: Runtime, keeping: Keeping | None, certificates: Certificates | None
) -> AsyncIterator[Observer[Metrics]]:
    """The observer of this process; on leaving, what is left is sent and written, for a moment at most."""
    with ExitStack() as stack:
        tracer, predictions = _tracer(settings), _prediction_log(settings)
        for ending in (tracer, predictions):
            if ending:
                stack.callback(ending.close)
        others = list(_collectors(settings, certificates, tracer, predictions))
        metrics = Metrics(runtime, keeping.figures if keeping else None, others)
        try:
            yield Observer(metrics, AccessLog(settings.server.access_log), tracer, predictions)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(stack.pop_all().close)


def _tracer(settings: Settings) -> Tracer | None:
    telemetry = settings.telemetry
    if not telemetry.otlp_endpoint:
        return None
    from server.telemetry.opening import open_tracer  # its extra may be missing

    return open_tracer(telemetry.otlp_endpoint, telemetry.trace_share, settings.slo)


def _prediction_log(settings: Settings) -> PredictionLog | None:
    telemetry = settings.telemetry
    if not telemetry.prediction_log:
        return None
    return open_prediction_log(telemetry.prediction_log, telemetry.prediction_sample, settings.slo)


def _collectors(
    settings: Settings, certificates: Certificates | None, tracer: Tracer | None, predictions: PredictionLog | None
) -> Iterator[Collector]:
    yield BuildMetrics(settings.slo)
    if certificates:
        yield CertificateMetrics(lambda: certificates.expires)
    if tracer:
        yield TraceMetrics(tracer.figures)
    if predictions:
        yield PredictionMetrics(predictions.figures)
    if gpu := gpu_metrics():
        yield gpu
