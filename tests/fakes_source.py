"""A source of gauges for metrics that nothing happens to."""

from batcher.stats import Stats
from server.engine import Status
from server.web.http.connections import Connections


class EmptySource:
    """As a web process that has just begun."""

    connections = Connections(1)

    def status(self) -> Status:
        stats = Stats(
            waiting=0, running=0, held_bytes=0, executors=0, free_credits=0, oldest_s=0.0, seconds_per_job=None,
            accepted=0, answered=0, failed=0, retried=0, expired={}, cancelled={}, refused={},
        )  # fmt: skip
        return Status(stats, 1)
