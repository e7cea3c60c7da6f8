"""Accepting connections where several processes listen on one socket: no process takes all of them.

The system wakes whoever waits, and whoever wakes first could accept all that have come. So one is accepted per turn of
the loop, and a process that has clearly more than another waits a moment first. If none of the others takes it in that
time, it does: a connection is never left waiting for a process that has died or hangs.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

_LEAVE_S: Final = 0.01  # to the others
_MOST_AFTER: Final = 64  # connections that are then accepted at once
_PAUSE_S: Final = 0.5  # where the system has no descriptor or memory for one more
_MORE: Final = 2  # connections that are no reason to wait


def has_too_many(own: int, all_: Sequence[int]) -> bool:
    """Whether a process with `own` connections should leave the next one to others; `all_`: how many each has."""
    return own >= min(all_) + _MORE + own // 8


class Acceptor:
    """Accepts on one socket. Its state: whether it still does, how many it accepts before it asks again, and how many
    it will after the next wait: twice as many each time that nobody else takes any."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        leave: Callable[[], bool],
        tasks: asyncio.TaskGroup,
    ) -> None:
        """`leave`: whether to leave a connection to others. `tasks`: where accepted ones are begun."""
        self._listener = listener
        self._protocol = protocol
        self._leave = leave
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._unasked = 0
        self._after = 1
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Accept no more, and close the listening socket."""
        self._open = False
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        if self._unasked:
            self._unasked -= 1
        elif self._leave():
            self._unasked, self._after = self._after, min(2 * self._after, _MOST_AFTER)
            self._pause(_LEAVE_S)
            return
        else:
            self._after = 1
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._pause(_PAUSE_S)
            return
        sock.setblocking(False)
        self._tasks.create_task(self._begin(sock))

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if self._open:
            self._loop.add_reader(self._listener, self._accept)

    async def _begin(self, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, sock)
        except OSError:  # it has gone already
            sock.close()
