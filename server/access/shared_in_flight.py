"""Images under way, with those at other replicas: each replica decides by its own count and what it heard last.

Ten times per second a replica tells a ledger how many images of each limited client it has, and hears how many the
others have. A client that begins at several replicas within that tenth may get its limit at each of them, once. While
the ledger is away, each replica limits alone. What a replica told expires if it does not tell it again.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import structlog

from server.access.bucket import MOST
from server.access.in_flight import InFlight
from server.access.settling import AT_A_TIME, LedgerFailed, keep_settling

HEED_S: Final = 2.0
"""How long after its last request a client is still asked about; its next request is decided at once."""

log = structlog.stdlib.get_logger("tureen.access")


class InFlightLedger(Protocol):
    """Where replicas tell each other."""

    async def tell(self, counts: Mapping[str, int]) -> Sequence[int]:
        """Tell this replica's count of each client; the others' counts, in the same order. Raises `LedgerFailed`.

        It must answer, or raise, within a short time.
        """

    async def close(self) -> None:
        """Nothing more will be told."""


class SharedInFlight(InFlight):
    """Its state, beside that of `InFlight`: when each limited client asked last, and the others' counts."""

    def __init__(self, ledger: InFlightLedger, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._ledger = ledger
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._elsewhere: dict[str, int] = {}
        self._away = False

    def fits(self, client: str, count: int, most: int) -> bool:
        """As `InFlight.fits`, with the images at other replicas."""
        if client in self._asked or len(self._asked) < MOST:
            self._asked[client] = self._clock()
        return self.of(client) + self._elsewhere.get(client, 0) + count <= most

    async def run(self) -> None:
        """Settle until cancelled."""
        await keep_settling(self.settle, lambda: self._away, self._ledger.close)

    async def settle(self) -> None:
        """Tell and hear. Where the ledger fails, what was heard is forgotten: then this replica limits alone."""
        counts = {client: self.of(client) for client in self._asked}
        if not counts:
            return
        try:
            elsewhere = await self._tell(counts)
        except LedgerFailed as error:
            self._elsewhere = {}
            if not self._away:
                self._away = True
                log.warning("in_flight_not_shared", reason=str(error))
            return
        self._elsewhere = elsewhere
        self._forget(counts)
        if self._away:
            self._away = False
            log.info("in_flight_shared")

    async def _tell(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Tell these counts; the others' of these clients, where there are any. Raises `LedgerFailed`."""
        elsewhere: dict[str, int] = {}
        for some in _in_parts(list(counts), AT_A_TIME):
            found = await self._ledger.tell({client: counts[client] for client in some})
            elsewhere |= {client: count for client, count in zip(some, found, strict=True) if count}
        return elsewhere

    def _forget(self, told: Mapping[str, int]) -> None:
        """Clients that have nothing here, as the ledger knows, and have not asked for a while."""
        since = self._clock() - HEED_S
        for client, count in told.items():
            if not count and not self.of(client) and self._asked[client] < since:
                del self._asked[client]


def _in_parts(clients: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (clients[at : at + size] for at in range(0, len(clients), size))
