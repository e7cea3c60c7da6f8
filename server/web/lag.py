"""How late the event loop is: the first thing to look at when every latency grows at once."""

import asyncio
from collections.abc import Callable

_PERIOD_S = 0.25


async def watch_lag(observe: Callable[[float], None]) -> None:
    """Report, four times a second, by how many seconds a timer was late. Runs until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _PERIOD_S
        await asyncio.sleep(_PERIOD_S)
        observe(max(0.0, loop.time() - due))
