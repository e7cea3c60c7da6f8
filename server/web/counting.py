"""What is told of each request to whoever counts."""

from typing import Protocol

from batcher.policy import DEFAULT_URGENCY
from server.contract.answer import Answer
from server.telemetry.trace_context import TraceContext


class Counting(Protocol):
    """Who is told of each request: `Metrics`, or a `Tally` of what they are to be told."""

    def count(self, path: str, outcome: str) -> str:
        """One request has ended. What `path` is called in metrics is returned."""

    def observe(
        self,
        answer: Answer,
        queue_s: float,
        total_s: float,
        urgency: int = DEFAULT_URGENCY,
        trace: TraceContext | None = None,
    ) -> None:
        """One image was answered. `trace`: an exemplar, if it is sampled."""

    def failed(self, code: str, total_s: float, urgency: int, trace: TraceContext | None) -> None:
        """An image was refused, or failed."""
