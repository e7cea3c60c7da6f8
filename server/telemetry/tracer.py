"""Which requests are traced, and the way of their records to the exporter.

Nothing is done for a span while its request is under way: spans are made from the request's record after the answer,
in the exporter's thread, and only for requests that are sampled, slow or failed.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence

from server.telemetry.exporter import Exporter, ExporterFigures
from server.telemetry.record import RequestRecord
from server.telemetry.spans import Batch, Link, Span, batch_span, traced
from server.telemetry.trace_context import TraceContext, begun, continued, is_within

_SLOW = 0.5  # of the promise
_SPECIAL_RATE, _SPECIAL_BURST = 20.0, 100.0  # slow and failed requests that are traced per second
_BATCHES = 64  # done, and remembered for members that come late


def trace_of(headers: Mapping[bytes, bytes]) -> TraceContext | None:
    """The trace that a request names, if it names one: for logs and problem documents, also where nothing is traced."""
    given = headers.get(b"traceparent")
    return continued(given, headers.get(b"tracestate", b"")) if given else None


class Tracer:
    """Its state: how many slow and failed requests may be traced now."""

    def __init__(self, exporter: Exporter[RequestRecord], share: float, slo_s: float) -> None:
        """`share`: of the requests that begin a trace here; the others follow their caller's flag."""
        self._exporter = exporter
        self._share = share
        self._slow_s = _SLOW * slo_s
        self._tokens = _SPECIAL_BURST
        self._at = 0.0

    def begin(self, headers: Mapping[bytes, bytes]) -> TraceContext:
        """The trace of a request, and whether it is sampled."""
        context = trace_of(headers)
        if context:
            return context
        context = begun()
        return context._replace(sampled=True) if is_within(context.trace_id, self._share) else context

    def judge(self, context: TraceContext, code: str, status: int, total_s: float, now: float) -> TraceContext:
        """The same trace, sampled in any case if its request was slow or failed: at most so many per second.

        A refusal is no failure: it is an answer, and under overload there are thousands per second.
        """
        if context.sampled or not (total_s > self._slow_s or _failed(code, status)) or not self._take(now):
            return context
        return context._replace(sampled=True)

    def offer(self, record: RequestRecord) -> None:
        """This request has been answered."""
        if record.trace and record.trace.sampled:
            self._exporter.offer(record)

    def figures(self) -> ExporterFigures:
        """For the metrics."""
        return self._exporter.figures()

    def close(self) -> None:
        """Send what is there."""
        self._exporter.close()

    def _take(self, now: float) -> bool:
        self._tokens = min(_SPECIAL_BURST, self._tokens + _SPECIAL_RATE * (now - self._at))
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def _failed(code: str, status: int) -> bool:
    return status in (500, 504) or code in ("internal_error", "storage_unavailable")


class Renderer:
    """Records to spans. The span of a batch waits one look for its members; the link of one that comes later still is
    missing there, not here.

    Its state: the batches that are waited for, those of the look before apart; and those that are done.
    """

    def __init__(self) -> None:
        self._before: dict[Batch, list[Link]] = {}
        self._now: dict[Batch, list[Link]] = {}
        self._done: deque[Batch] = deque(maxlen=_BATCHES)

    def __call__(self, records: Sequence[RequestRecord]) -> list[Span]:
        """The spans of these requests, and of the batches that are complete."""
        wall_ns = time.time_ns() - time.monotonic_ns()
        spans: list[Span] = []
        for record in records:
            found = traced(record, wall_ns)
            spans += found.spans
            if found.batch and found.member:
                self._join(found.batch, found.member)
        spans += [batch_span(batch, members, wall_ns) for batch, members in self._before.items()]
        self._done.extend(self._before)
        self._before, self._now = self._now, {}
        return spans

    def _join(self, batch: Batch, member: Link) -> None:
        if batch not in self._done:
            at = self._before if batch in self._before else self._now
            at.setdefault(batch, []).append(member)
