"""What the routes share: the intake, the promise, and whether this process is still serving."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from batcher import Batcher, Refused, Stats
from preprocess.header import Header
from preprocess.limits import Limits
from server.contract.answer import Reply
from server.contract.task import Upload
from server.engine.intake import Intake
from server.fleet.pool import Pool
from server.web.http.connections import Connections
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
    ) -> None:
        self.promise = promise
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

    def would_refuse(self, header: Header, size: int, terms: Terms, before: int) -> Refused | None:
        """What an upload of `size` bytes that is here now is refused with, counted as refused; None if it would be
        accepted. `before`: uploads that have been let in and are not in the queue yet."""
        within_s = self.promise.slo_s if terms.timeout_s is None else terms.timeout_s
        return self.intake.refusal(header, size, self.now() + within_s, terms.urgency, before)

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
