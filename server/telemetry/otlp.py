"""OTLP: spans as protobuf, sent over HTTP or gRPC. Blocking: for the exporter's thread. Needs the extra `otel`."""

import http.client
import os
import socket
import uuid
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from server.telemetry.exporter import ExportFailed, Transport
from server.telemetry.spans import Attributes, Span

_TIMEOUT_S = 5.0
_TRANSIENT = frozenset({429, 502, 503, 504})  # by the OTLP specification
_INTERNAL, _SERVER = trace_pb2.Span.SPAN_KIND_INTERNAL, trace_pb2.Span.SPAN_KIND_SERVER
_ERROR = trace_pb2.Status.STATUS_CODE_ERROR


class Encoder:
    """Spans to the bytes of a request, all of one resource."""

    def __init__(self, service: str) -> None:
        self._resource = _attributes(
            {
                "service.name": "tureen",
                "service.version": version("tureen"),
                "service.instance.id": str(uuid.uuid4()),
                "host.name": socket.gethostname(),
                "process.pid": os.getpid(),
                "tureen.process": service,
            }
        )

    def __call__(self, spans: Iterable[Span]) -> bytes:
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(self._resource)
        scope = group.scope_spans.add()
        scope.scope.name = "tureen"
        scope.spans.extend(map(_span, spans))
        return bytes(request.SerializeToString())


def _span(span: Span) -> trace_pb2.Span:
    message = trace_pb2.Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        name=span.name,
        kind=_SERVER if span.server else _INTERNAL,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_attributes(span.attributes),
        trace_state=span.state,
    )
    for trace_id, span_id in span.links:
        message.links.add(trace_id=trace_id, span_id=span_id)
    if span.error:
        message.status.code = _ERROR
        message.status.message = span.error
    return message


def _attributes(values: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _value(value: str | int | float | bool) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case _:
            return AnyValue(string_value=value)


class HttpTransport:
    """OTLP over HTTP, on one kept connection."""

    def __init__(self, url: str) -> None:
        """`url`: as http://127.0.0.1:4318; /v1/traces is added where it has no path."""
        parts = urlsplit(url)
        self._path = parts.path if parts.path.strip("/") else "/v1/traces"
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = make(parts.hostname or "", parts.port or 4318, timeout=_TIMEOUT_S)

    def send(self, body: bytes) -> None:
        """As `Transport.send`."""
        try:
            self._connection.request("POST", self._path, body, {"Content-Type": "application/x-protobuf"})
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ExportFailed(str(error) or type(error).__name__, again=True) from None
        if response.status >= 300:
            raise ExportFailed(f"HTTP {response.status}", again=response.status in _TRANSIENT)

    def close(self) -> None:
        """As `Transport.close`."""
        self._connection.close()


class GrpcTransport:
    """OTLP over gRPC."""

    def __init__(self, url: str) -> None:
        """`url`: as grpc://127.0.0.1:4317, or grpcs:// for TLS."""
        import grpc  # loads a library of its own: only for those who use it

        parts = urlsplit(url)
        target = f"{parts.hostname}:{parts.port or 4317}"
        self._error: type[Exception] = grpc.RpcError
        secure = parts.scheme == "grpcs"
        self._channel: Any = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials()) if secure else grpc.insecure_channel(target)
        )
        self._call: Callable[..., bytes] = self._channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        )

    def send(self, body: bytes) -> None:
        """As `Transport.send`."""
        try:
            self._call(body, timeout=_TIMEOUT_S)
        except self._error as error:
            code = error.code().name  # type: ignore[attr-defined]  # an RpcError of a call has one
            again = code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED")
            raise ExportFailed(code, again=again) from None

    def close(self) -> None:
        """As `Transport.close`."""
        self._channel.close()


def transport(url: str) -> Transport:
    """What sends to this URL, by its scheme."""
    return GrpcTransport(url) if url.startswith("grpc") else HttpTransport(url)
