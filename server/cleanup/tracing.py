"""The `store` span: the last of a traced request, made by the process that stores its image."""

import time

from server.cleanup.item import Record
from server.telemetry.exporter import Exporter
from server.telemetry.spans import Span
from server.telemetry.trace_context import continued


class StoreTracing:
    """Thread-safe, as its exporter is."""

    def __init__(self, exporter: Exporter[Span]) -> None:
        self._exporter = exporter

    def stored(self, record: Record, begun_ns: int) -> None:
        """An image has been put into the store. `begun_ns`: nanoseconds since 1970 when that began."""
        context = continued(record.traceparent.encode())
        if context and context.sampled:
            self._exporter.offer(
                Span(
                    "store",
                    bytes.fromhex(context.trace_id),
                    bytes.fromhex(context.span_id),
                    bytes.fromhex(context.parent_id),
                    begun_ns,
                    time.time_ns(),
                    {"tureen.image.id": record.id, "tureen.image.bytes": record.bytes},
                )
            )

    def close(self) -> None:
        """Send what is there, for a moment at most."""
        self._exporter.close()
