"""One end of a socket between a front end and an engine: bytes in, frames out once per turn of the loop."""

import asyncio
from collections.abc import Callable
from typing import cast


class Pipe(asyncio.Protocol):
    """Its state: the transport, the parts that are to be written in this turn of the loop, and whether it is closed."""

    def __init__(
        self,
        on_data: Callable[[bytes], None],
        on_lost: Callable[[], None],
        on_made: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_made`: it is connected. `on_lost`: it is not any more; told once, and not before `on_made`."""
        self._on_data = on_data
        self._on_lost = on_lost
        self._on_made = on_made
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def send(self, *parts: bytes) -> None:
        """Write these parts behind all that was sent before; nothing happens once it is closed. Their number is bounded
        by what callers have under way."""
        if self._transport is None:
            return
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts += parts

    def close(self) -> None:
        """Close it at once; what was sent in this turn of the loop is written before."""
        if self._transport:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """Close it, and write nothing more."""
        if self._transport:
            self._transport.abort()

    # -- asyncio.Protocol --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._on_made()

    def data_received(self, data: bytes) -> None:
        self._on_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost()

    # -- inside ------------------------------------------------------------------------------------

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and self._transport:
            self._transport.writelines(parts)
