"""Rate limits that replicas share: each decides by its own buckets, at once, and settles with the others afterwards.

Ten times per second the images that were let in are told to a ledger, which answers what is left of each client's one
bucket; that replaces the replica's own figure. So a client that spreads over replicas may get a burst at each of them
once, and then waits until that is paid off: over time it gets its rate. While the ledger is away, each replica limits
alone.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import structlog

from server.access.bucket import MOST, Buckets, Verdict
from server.access.settling import AT_A_TIME, LedgerFailed, keep_settling

log = structlog.stdlib.get_logger("tureen.access")


class Taken(NamedTuple):
    """What one client took at one replica since it settled last."""

    client: str
    rate: float
    burst: float
    tokens: int


class Ledger(Protocol):
    """Where replicas settle."""

    async def settle(self, taken: Sequence[Taken]) -> Sequence[float]:
        """Take these tokens; what is left of each client's, less than 0 where it is in debt. Raises `LedgerFailed`.

        It must answer, or raise, within a short time.
        """

    async def close(self) -> None:
        """Nothing more will be settled."""


class SharedBuckets(Buckets):
    """Its state, beside that of `Buckets`: what was taken and is not settled yet, by client."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: the one that says the `now` of `take`."""
        super().__init__()
        self._ledger = ledger
        self._clock = clock
        self._taken: dict[str, Taken] = {}
        self._away = False

    def take(self, client: str, rate: float, burst: float, now: float, count: int = 1) -> Verdict:
        """As `Buckets.take`."""
        verdict = super().take(client, rate, burst, now, count)
        if not verdict.wait_s and len(self._taken) < MOST:
            before = self._taken.get(client)
            self._taken[client] = Taken(client, rate, burst, before.tokens + count if before else count)
        return verdict

    async def run(self) -> None:
        """Settle until cancelled."""
        await keep_settling(self.settle, lambda: self._away, self._ledger.close)

    async def settle(self) -> None:
        """Settle what was taken so far. Where the ledger fails, that is forgotten: then each replica limits alone."""
        taken, self._taken = list(self._taken.values()), {}
        try:
            for at in range(0, len(taken), AT_A_TIME):
                await self._settle(taken[at : at + AT_A_TIME])
        except LedgerFailed as error:
            if not self._away:
                self._away = True
                log.warning("rates_not_shared", reason=str(error))

    async def _settle(self, taken: Sequence[Taken]) -> None:
        left = await self._ledger.settle(taken)
        now = self._clock()
        for one, tokens in zip(taken, left, strict=True):
            since = self._taken.get(one.client)
            self.correct(one.client, tokens - (since.tokens if since else 0), now)
        if self._away:
            self._away = False
            log.info("rates_shared")
