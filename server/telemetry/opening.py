"""From a setting to an exporter. Needs the extra `otel`: import this only where an endpoint is set."""

from collections.abc import Sequence

from server.telemetry.exporter import Exporter
from server.telemetry.otlp import Encoder, transport
from server.telemetry.record import RequestRecord
from server.telemetry.spans import Span
from server.telemetry.tracer import Renderer, Tracer


def open_tracer(endpoint: str, share: float, slo_s: float) -> Tracer:
    """A tracer that sends to `endpoint`."""
    exporter: Exporter[RequestRecord] = Exporter(Renderer(), Encoder("web"), transport(endpoint))
    exporter.start()
    return Tracer(exporter, share, slo_s)


def open_span_exporter(endpoint: str, process: str) -> Exporter[Span]:
    """What sends spans that are made already. `process`: which one of this server's."""
    exporter: Exporter[Span] = Exporter(_as_they_are, Encoder(process), transport(endpoint))
    exporter.start()
    return exporter


def _as_they_are(spans: Sequence[Span]) -> list[Span]:
    return list(spans)
