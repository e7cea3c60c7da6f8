"""GET /watch and /watch/events: what this server did in the last minutes, and what its workers do now."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from server.fleet.pool import WorkerActivity
from server.telemetry.ring import Reading, Ring
from server.web.errors import PROBLEMS, RequestError
from server.web.metrics import Metrics
from server.web.runtime import Runtime

_PERIOD_S: Final = 1.0
_MOST_WATCHERS: Final = 64
_OWED: Final = frozenset(code for code, problem in PROBLEMS.items() if problem.status >= 500 and problem.status != 501)
_STREAM: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_encode = msgspec.json.Encoder().encode

Workers = Callable[[], Sequence[WorkerActivity]]


class Watch:
    """The whole state: the ring, the event of the last second, and how many watch.

    What only watchers see is collected only while there are any.
    """

    def __init__(self, runtime: Runtime, metrics: Metrics, workers: Workers) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._workers = workers
        self._ring = Ring()
        self._event = b""
        self._watchers = 0
        self._next = anyio.Event()
        self._lag_s = 0.0

    def on_lag(self, late_s: float) -> None:
        """The event loop ran a timer so late."""
        self._lag_s = max(self._lag_s, late_s)

    async def run(self) -> None:
        """Take a sample per second until cancelled."""
        while True:
            await anyio.sleep(_PERIOD_S)
            sample = self._ring.add(self._reading(), self._runtime.wall_s(), _OWED)
            self._lag_s = 0.0
            if self._watchers:
                self._event = b"event: second\ndata: %b\n\n" % _encode({"sample": sample, **self._now()})
            self._next.set()
            self._next = anyio.Event()

    async def snapshot(self, request: Request) -> Response:
        """The last minutes and now, as one JSON document."""
        document = {"history": list(self._ring.samples), **self._now()}
        return Response(_encode(document), media_type="application/json", headers=_STREAM)

    async def events(self, request: Request) -> Response:
        """Server-sent events: the last minutes once, then each second. Raises `RequestError` too_many_connections."""
        if self._watchers >= _MOST_WATCHERS:
            raise RequestError("too_many_connections")
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_STREAM)

    async def _stream(self) -> AsyncIterator[bytes]:
        """Ends with the server: a watcher must not hold up a drain."""
        self._watchers += 1
        try:
            yield b"retry: 2000\nevent: history\ndata: %b\n\n" % _encode(list(self._ring.samples))
            while not self._runtime.draining:
                await self._next.wait()
                if self._event:
                    yield self._event
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._event = b""

    def _reading(self) -> Reading:
        status, metrics = self._runtime.status(), self._metrics
        stats = status.stats
        latencies, batches = metrics.answers.answered_so_far()
        codes = {code: count for (resource, code), count in metrics.counts.items() if resource == "images"}
        return Reading(
            codes, latencies, metrics.answers.bounds, batches, stats.waiting, stats.running, stats.executors,
            status.workers, self._lag_s, self._runtime.engine.slo_s,
        )  # fmt: skip

    def _now(self) -> dict[str, object]:
        """What the workers do, and every other figure that Prometheus would see."""
        return {"workers": self._workers(), "figures": list(self._figures()), "time": time.time_ns() / 1e9}

    def _figures(self) -> list[tuple[str, str, float]]:
        found = []
        for family in self._metrics.registry.collect():
            if family.type in ("gauge", "counter"):
                for sample in family.samples:
                    labels = ", ".join(f"{name} {value}" for name, value in sample.labels.items())
                    found.append((sample.name, labels, sample.value))
        return found
