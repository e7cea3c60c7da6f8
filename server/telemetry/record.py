"""What is known of one request when it has been answered: spans and log lines are made from it, later and elsewhere."""

from collections.abc import Iterator, Sequence
from copy import copy
from typing import NamedTuple

from batcher.policy import DEFAULT_URGENCY
from preprocess.header import Header
from server.contract.answer import Answer
from server.telemetry.trace_context import TraceContext


class Progress:
    """How far a request has come. The handler writes it while it works, so that a failure leaves what is known.

    Times are seconds on CLOCK_MONOTONIC; 0 where the request did not come so far.
    """

    __slots__ = ("also", "answer", "answered", "deferred", "header", "size", "stored", "uploaded", "urgency")

    def __init__(self) -> None:
        self.uploaded = 0.0
        self.answered = 0.0
        self.size = 0
        """Bytes of the image."""
        self.urgency = DEFAULT_URGENCY
        self.header: Header | None = None
        self.answer: Answer | None = None
        self.also: Sequence[Answer] = ()
        """Of a request with several images, the answers to all but the first."""
        self.deferred = False
        """Whether its client has been told to ask for the answer later."""
        self.stored = False
        """Whether the image was put on its way to a store."""


class RequestRecord(NamedTuple):
    """One request, from its head to its response. `code`: ok, a problem's code, or client_gone."""

    request_id: str
    route: str
    code: str
    status: int
    """0 where nothing was sent, since the client had left."""
    received: float
    ended: float
    progress: Progress
    trace: TraceContext | None = None
    by_grpc: bool = False
    """Whether it is a call; then `route` is the call's path, and `status` the one that it would have by REST."""

    @property
    def total_s(self) -> float:
        """Seconds from its head to its response."""
        return self.ended - self.received


def one_per_image(record: RequestRecord) -> Iterator[RequestRecord]:
    """The same record for each image that was answered; one where none was."""
    yield record
    for answer in record.progress.also:
        progress = copy(record.progress)
        progress.answer, progress.also = answer, ()
        yield record._replace(progress=progress)
