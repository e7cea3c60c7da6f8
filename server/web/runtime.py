"""What the routes share: the intake, the promise, and whether this process is still serving."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from batcher import Batcher, Refused, Stats
from preprocess.header import Header
from preprocess.limits import Limits
from server.dispatch.answer import Reply
from server.dispatch.intake import Intake
from server.dispatch.pool import Pool
from server.dispatch.upload import Upload
from server.web.connections import Connections
from server.web.lag import LoopLag
from server.web.terms import Terms


@dataclass(frozen=True, slots=True)
class Promise:
    """What a client gets unless it asks otherwise."""

    slo_s: float
    limits: Limits


class Runtime:
    """One web process. `draining` is its only state: once set, it is not ready and closes connections."""

    def __init__(
        self,
        promise: Promise,
        batcher: Batcher[Upload, Reply],
        pool: Pool,
        connections: Connections,
        lag: LoopLag,
    ) -> None:
        self.promise = promise
        self.lag = lag
        self.connections = connections
        self.intake = Intake(batcher, pool)
        self.pool = pool
        self.draining = False
        self._batcher = batcher

    @property
    def ready(self) -> bool:
        """Whether a load balancer should send requests here."""
        return not self.draining and self._batcher.stats().seats > 0

    def drain(self) -> None:
        """Say from now on that requests should go elsewhere; those that come are served all the same."""
        self.draining = True

    def deadline(self, start: float, within_s: float) -> float:
        """When an answer must be ready that a client is to have `within_s` seconds after `start`, as the loop read it.

        What the loop's lag adds to either end is taken off, up to half of the time: a loop that stalls for longer
        breaks promises, and refusing everybody would not mend it.
        """
        return start + within_s - min(self.lag.allowance_s, within_s / 2)

    def would_refuse(self, header: Header, terms: Terms, before: int) -> Refused | None:
        """What an upload that is here now is refused with, counted as refused; None if it would be accepted. `before`:
        uploads that have been let in and are not in the queue yet."""
        within_s = self.promise.slo_s if terms.timeout_s is None else terms.timeout_s
        deadline = self.deadline(self.now(), within_s)
        try:
            self.intake.check(header, deadline, terms.urgency, before)
        except Refused as refused:
            return refused
        return None

    def stats(self) -> Stats:
        return self._batcher.stats()

    @property
    def arriving_bytes(self) -> int:
        return self.intake.arriving_bytes

    @property
    def workers(self) -> int:
        return self.pool.size

    @property
    def worker_restarts(self) -> Mapping[str, int]:
        return self.pool.restarts

    @staticmethod
    def now() -> float:
        """Seconds of CLOCK_MONOTONIC, the clock of every deadline."""
        return time.monotonic()
