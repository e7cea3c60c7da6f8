"""Replicas settle with a ledger ten times per second; while it is away, once per second."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

AT_A_TIME: Final = 1000  # clients per question
_SETTLE_S: Final = 0.1
_AWAY_S: Final = 1.0


class LedgerFailed(Exception):
    """No answer from the ledger; the message says why."""


async def keep_settling(
    settle: Callable[[], Awaitable[None]], is_away: Callable[[], bool], close: Callable[[], Awaitable[None]]
) -> None:
    """Settle until cancelled; then `close` the ledger."""
    try:
        while True:
            await anyio.sleep(_AWAY_S if is_away() else _SETTLE_S)
            await settle()
    finally:
        with anyio.CancelScope(shield=True):
            await close()
