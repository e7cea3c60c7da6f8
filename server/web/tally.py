"""What a front has seen, for the one page of metrics: kept for a moment, then told to the engine's process.

A front has no metrics of its own. Its tally counts and measures as `Metrics` does, and is replayed there within 20 ms.
So one registry has the sums of the whole server, whichever front is asked, and keeps them when a front dies. What is
lost with a front is its last 20 ms.
"""

from collections.abc import Callable, Mapping

import msgspec

from batcher.policy import DEFAULT_URGENCY
from server.contract.answer import Answer, Reply, Source
from server.contract.metadata import ModelMetadata
from server.telemetry.trace_context import TraceContext
from server.web.metrics import Metrics
from server.web.paths import resource_of


class Note(msgspec.Struct, array_like=True, tag=True, frozen=True):
    """Base of what a front tells the engine's process."""


class Unready(Note, frozen=True):
    """The server has been told to end: no load balancer should send it requests."""


class Ending(Note, frozen=True):
    """The front listens no more. What it passes on has to be here within so many seconds."""

    within_s: float


class Observed(msgspec.Struct, array_like=True, frozen=True):
    """One answered image."""

    model: str
    version: str
    queue_s: float
    decode_s: float
    infer_s: float
    total_s: float
    batch: int
    source: Source
    urgency: int
    trace: TraceContext | None


class Failure(msgspec.Struct, array_like=True, frozen=True):
    """One image that was not answered."""

    code: str
    total_s: float
    urgency: int
    trace: TraceContext | None


class Tallied(Note, frozen=True):
    """What happened since the last one. `counts`: requests by resource and outcome. Delays in seconds."""

    counts: list[tuple[str, str, int]]
    observed: list[Observed]
    failures: list[Failure]
    lags: list[float]
    refusal_delays: list[float]
    refused: dict[str, int]
    """Images that fronts refused by themselves, by the batcher's reasons."""


AnyNote = Unready | Ending | Tallied

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(AnyNote).decode


class Tally:
    """A `Counting`. Its whole state: what has not been taken yet, and whether `wake` has been called for it."""

    def __init__(self, wake: Callable[[], object] = lambda: None) -> None:
        """`wake` is called when there is something to be taken."""
        self._wake = wake
        self._woken = False
        self._counts: dict[tuple[str, str], int] = {}
        self._observed: list[Observed] = []
        self._failures: list[Failure] = []
        self._lags: list[float] = []
        self._refusal_delays: list[float] = []
        self._refused: dict[str, int] = {}

    def count(self, path: str, outcome: str) -> str:
        """As `Counting.count`."""
        resource = resource_of(path)
        self._counts[resource, outcome] = self._counts.get((resource, outcome), 0) + 1
        self._note()
        return resource

    def observe(
        self,
        answer: Answer,
        queue_s: float,
        total_s: float,
        urgency: int = DEFAULT_URGENCY,
        trace: TraceContext | None = None,
    ) -> None:
        """As `Counting.observe`."""
        reply = answer.reply
        self._observed.append(
            Observed(
                reply.model.name,
                reply.model.version,
                queue_s,
                reply.decode_s,
                reply.infer_s,
                total_s,
                reply.batch,
                reply.source,
                urgency,
                trace,
            )
        )
        self._note()

    def failed(self, code: str, total_s: float, urgency: int, trace: TraceContext | None) -> None:
        """As `Counting.failed`."""
        self._failures.append(Failure(code, total_s, urgency, trace))
        self._note()

    def note_lag(self, late_s: float) -> None:
        """The event loop was late by so many seconds."""
        self._lags.append(late_s)
        self._note()

    def note_refusal_delay(self, delay_s: float) -> None:
        """A refusal was held back for so many seconds."""
        self._refusal_delays.append(delay_s)
        self._note()

    def note_early_refusal(self, reason: str) -> None:
        """An image was refused here, by what the engine said of another. `reason`: as the batcher counts it."""
        self._refused[reason] = self._refused.get(reason, 0) + 1
        self._note()

    def take(self) -> Tallied | None:
        """Everything since it was last taken; None if that is nothing."""
        if not self._woken:
            return None
        counts = [(*key, count) for key, count in self._counts.items()]
        taken = Tallied(counts, self._observed, self._failures, self._lags, self._refusal_delays, self._refused)
        self._counts, self._observed, self._failures, self._lags, self._refusal_delays = {}, [], [], [], []
        self._refused, self._woken = {}, False
        return taken

    def _note(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake()


def replay(tallied: Tallied, metrics: Metrics, models: Mapping[tuple[str, str], ModelMetadata]) -> None:
    """Have `metrics` hear what a front has seen. `models`: those that are served; answers of others are left out."""
    for resource, outcome, count in tallied.counts:
        metrics.counts[resource, outcome] = metrics.counts.get((resource, outcome), 0) + count
    for one in tallied.observed:
        if model := models.get((one.model, one.version)):
            reply = Reply(model, b"", 0.0, one.decode_s, one.infer_s, one.batch, source=one.source)
            metrics.observe(Answer("", "", reply), one.queue_s, one.total_s, one.urgency, one.trace)
    for failure in tallied.failures:
        metrics.failed(failure.code, failure.total_s, failure.urgency, failure.trace)
    for lag_s in tallied.lags:
        metrics.loop_lag.observe(lag_s)
    for delay_s in tallied.refusal_delays:
        metrics.refusal_delay.observe(delay_s)
