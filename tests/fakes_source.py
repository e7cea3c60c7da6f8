"""A source of gauges for metrics that nothing happens to."""

from typing import ClassVar

from batcher import Stats
from server.web.http.connections import Connections


class EmptySource:
    """As a web process that has just begun."""

    arriving_bytes = 0
    workers = 1
    worker_restarts: ClassVar = {}
    connections = Connections(1)

    def stats(self) -> Stats:
        return Stats(
            waiting=0, running=0, held_bytes=0, seats=0, room=0, oldest_s=0.0, pace_s=None, accepted=0, answered=0,
            failed=0, retried=0, expired={}, cancelled={}, refused={},
        )  # fmt: skip
