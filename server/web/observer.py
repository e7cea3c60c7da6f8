"""Who is told of each request: the metrics, the access log, the tracer and the prediction log."""

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

from server.process.access_log import AccessLog
from server.telemetry.prediction_log import PredictionLog
from server.telemetry.record import Progress, RequestRecord, one_per_image
from server.telemetry.trace_context import TraceContext
from server.telemetry.tracer import Tracer, trace_of
from server.web.counting import Counting
from server.web.paths import IMAGES, INFER
from server.web.request import Request

M = TypeVar("M", bound=Counting)


class Head(NamedTuple):
    """What is known of a request that is refused before it is parsed. `client`: an address, where one is known."""

    id: str
    method: str
    path: str
    client: str = ""


class Observer(Generic[M]):
    """Tells them after the response: whatever it costs, no client waits for it."""

    def __init__(
        self,
        metrics: M,
        access_log: AccessLog,
        tracer: Tracer | None = None,
        predictions: PredictionLog | None = None,
    ) -> None:
        """`tracer`, `predictions`: None where there is none."""
        self.metrics = metrics
        self.access_log = access_log
        self.tracer = tracer
        self._predictions = predictions

    def begin(self, headers: Mapping[bytes, bytes]) -> TraceContext | None:
        """The trace of a request that has come: the one that it names, or a new one where there is a tracer."""
        return self.tracer.begin(headers) if self.tracer else trace_of(headers)

    def ended(self, request: Request, code: str, status: int, now: float, address: str = "") -> None:
        """A request has ended. `code`: ok, a problem's code, or client_gone; `status`: 0 if nobody was answered;
        `address`: of its client, for the log."""
        method, path = request.scope["method"], request.scope["path"]
        # What is put below /v1/images is an image like any other.
        resource = self.metrics.count(IMAGES if method == "PUT" and path.startswith(f"{IMAGES}/") else path, code)
        seconds = now - request.received
        self.access_log.request(request.id, resource, code, seconds, address, request.trace_id)
        if resource == "images" and method in ("POST", "PUT") and not request.progress.deferred:
            self.concluded(request, code, status, now)
        elif resource == "infer" and method == "POST":
            record = RequestRecord(
                request.id, INFER, code, status, request.received, now, request.progress, request.trace
            )
            self.inferred(record)

    def concluded(self, request: Request, code: str, status: int, now: float) -> None:
        """All that is done for an image has been done. Arguments as of `ended`."""
        progress, trace = request.progress, request.trace
        seconds = now - request.received
        if self.tracer and trace:
            # Whether it was slow has been judged when it was answered, before it was stored.
            trace = self.tracer.judge(trace, code, status, 0.0 if progress.answer else seconds, now)
        if progress.answer is None and code != "ok":
            self.metrics.failed(code, seconds, progress.urgency, trace)
        if self.tracer or self._predictions:
            record = RequestRecord(request.id, IMAGES, code, status, request.received, now, progress, trace)
            if self.tracer:
                self.tracer.offer(record)
            if self._predictions:
                self._predictions.offer(record)

    def called(self, record: RequestRecord, address: str) -> None:
        """A call by gRPC has ended. `address`: of its client, for the log."""
        resource = self.metrics.count(record.route, record.code)
        trace_id = record.trace.trace_id if record.trace else ""
        self.access_log.request(record.request_id, resource, record.code, record.total_s, address, trace_id)
        if resource == "grpc_infer":
            self.inferred(record)

    def inferred(self, record: RequestRecord) -> None:
        """A request of the inference protocol, or a call, has ended: one trace, and one line of the log per image."""
        if self.tracer and record.trace:
            trace = self.tracer.judge(record.trace, record.code, record.status, record.total_s, record.ended)
            record = record._replace(trace=trace)
            self.tracer.offer(record)
        if self._predictions:
            for one in one_per_image(record):
                self._predictions.offer(one)

    def refused(self, head: Head, code: str, status: int, now: float, trace: TraceContext | None) -> None:
        """A request was refused by its head. `trace`: what `begin` gave; arguments as of `ended`."""
        resource = self.metrics.count(head.path, code)
        trace_id = trace.trace_id if trace else ""
        self.access_log.request(head.id, resource, code, client=head.client, trace_id=trace_id)
        if self.tracer and trace and resource == "images" and head.method in ("POST", "PUT"):
            self.tracer.offer(RequestRecord(head.id, IMAGES, code, status, now, now, Progress(), trace))
