"""A timer that is right to some microseconds, where the system has one.

An event loop's own timers are right to a millisecond, which is much beside an answer within two: each open-loop
latency would have a part of it. Linux's timerfd wakes the loop as a socket does.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
import sys
import time
from collections.abc import Callable

_MONOTONIC, _NONBLOCK_CLOEXEC, _ABSOLUTE = 1, 0o2004000, 1
_LEAST_S = 1e-9  # zero would disarm it


class Alarm:
    """Calls `ring` at a time of `time.monotonic`, set by `set`; the latest setting counts. `close` it at the end."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._libc = _libc()
        self._fd = self._libc.timerfd_create(_MONOTONIC, _NONBLOCK_CLOEXEC) if self._libc else -1
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._rung)

    def set(self, when: float) -> None:
        """Ring at `when`; at once if that has passed."""
        if self._fd < 0:
            if self._handle:
                self._handle.cancel()
            self._handle = self._loop.call_later(max(0.0, when - time.monotonic()), self._ring)
            return
        fraction, seconds = math.modf(max(when, _LEAST_S))
        setting = (ctypes.c_long * 4)(0, 0, int(seconds), max(1, int(fraction * 1e9)))
        assert self._libc
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, setting, None)

    def close(self) -> None:
        if self._handle:
            self._handle.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _rung(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # it has been set anew meanwhile
            return
        self._ring()


def _libc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "timerfd_create") else None
