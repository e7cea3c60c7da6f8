"""What systemd tells a service and is told by it: sockets that it has opened, readiness, and signs of life.

The protocols are those of `sd_listen_fds(3)`, `sd_notify(3)` and `sd_watchdog_enabled(3)`. Nothing here does anything
where the environment names no service manager.
"""

import asyncio
import os
import socket
from collections.abc import Mapping

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START


def passed_sockets(environment: Mapping[str, str] = os.environ, pid: int | None = None) -> list[int]:
    """The descriptors of the listening sockets that were opened for this process, in the order of its socket units."""
    if environment.get("LISTEN_PID") != str(os.getpid() if pid is None else pid):
        return []
    return [_FIRST_DESCRIPTOR + n for n in range(int(environment.get("LISTEN_FDS", "0")))]


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """How often at least a sign of life is expected, in seconds; None if no service manager waits for one."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Tell the service manager a state: `READY=1`, `STOPPING=1`, `WATCHDOG=1`. Never blocks, never fails."""
    address = environment.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        try:
            sender.sendto(state.encode(), address.replace("@", "\0", 1))
        except OSError:  # the manager is gone or does not read: no reason to stop serving
            pass


async def signs_of_life(environment: Mapping[str, str] = os.environ) -> None:
    """Send one twice as often as they are expected, from this event loop: a loop that hangs sends none.

    Returns at once if none is expected. Cancellation: ends it.
    """
    every_s = watchdog_s(environment)
    while every_s is not None:
        notify("WATCHDOG=1", environment)
        await asyncio.sleep(every_s / 2)
