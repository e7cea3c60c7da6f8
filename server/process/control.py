"""What the supervisor tells the web process, line by line, on its standard input.

    {...}           first and once: the settings, as JSON
    drain SECONDS   be unready at once, serve on for so long, then stop
    hurry           stop now, not at the end of that time

The end of the input means `drain 0`: whoever started this process is gone, and nothing may be left behind.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Self

EXIT_FATAL = 3
"""The exit code of a child that has said why starting it again would fail again."""


def drain_line(delay_s: float) -> bytes:
    """What tells a web process to drain."""
    return f"drain {delay_s}\n".encode()


HURRY_LINE = b"hurry\n"


def read_first_line() -> bytes:
    """The line of settings. Byte by byte: whatever follows it belongs to `Control`, not to a buffer here."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


class Control:
    """The reading end."""

    def __init__(self, told: asyncio.StreamReader) -> None:
        self._told = told

    @classmethod
    async def on_standard_input(cls) -> Self:
        """Read this process's standard input from now on."""
        told = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
        return cls(told)

    async def wait_stop(self, drain: Callable[[], None]) -> None:
        """Wait until it is time to stop listening; `drain` is called as soon as that is known to come."""
        delay_s = _delay_s(await self._told.readline())
        drain()
        try:
            async with asyncio.timeout(delay_s):
                await self._told.readline()  # a line to hurry, or the end
        except TimeoutError:
            pass


def _delay_s(line: bytes) -> float:
    return float(line.removeprefix(b"drain ")) if line else 0.0
