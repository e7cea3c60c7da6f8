"""Who is told of each request: the metrics, the access log, the tracer and the prediction log."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from server.process.access_log import AccessLog
from server.telemetry.prediction_log import PredictionLog
from server.telemetry.record import RequestRecord
from server.telemetry.trace_context import TraceContext
from server.telemetry.tracer import Tracer, trace_of
from server.web.counting import Counting
from server.web.paths import IMAGES
from server.web.request import Request

M = TypeVar("M", bound=Counting)


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
        if resource != "images" or method not in ("POST", "PUT"):
            return
        progress, trace = request.progress, request.trace
        if self.tracer and trace:
            trace = self.tracer.judge(trace, code, status, seconds, now)
        if progress.answer is None:
            self.metrics.failed(code, seconds, progress.urgency, trace)
        if self.tracer or self._predictions:
            record = RequestRecord(request.id, "/v1/images", code, status, request.received, now, progress, trace)
            if self.tracer:
                self.tracer.offer(record)
            if self._predictions:
                self._predictions.offer(record)
