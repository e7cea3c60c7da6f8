"""GET /debug/profile and /debug/stacks, for admins: where this process spends its time, and what it does now.

Bounded: one profile at a time, for at most a minute, a hundred samples per second, in a thread of its own.
"""

import asyncio
import threading
from typing import Final
from urllib.parse import parse_qs

import anyio
import anyio.to_thread
from starlette.responses import Response

from server.process.stacks import dump, sample
from server.web.audit import audit_request
from server.web.errors import RequestError
from server.web.request import Request
from server.web.runtime import Runtime

PROFILE: Final = "/debug/profile"
STACKS: Final = "/debug/stacks"
_DEFAULT_S, _LONGEST_S = 5, 60


class Profiling:
    """Its state: whether a profile is being taken."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._limiter = anyio.CapacityLimiter(1)
        self._busy = False

    async def profile(self, request: Request) -> Response:
        """Sampled stacks of `?seconds=`. Raises `RequestError` bad_profile, profile_running. Cancellation: it ends."""
        seconds = _seconds(request.scope["query_string"])
        if self._busy:
            raise RequestError("profile_running")
        audit_request(request.principal, "GET", PROFILE, "done", reading=True)
        self._busy, gone = True, threading.Event()
        try:
            text = await anyio.to_thread.run_sync(
                sample, seconds, lambda: gone.is_set() or self._runtime.draining, abandon_on_cancel=True,
                limiter=self._limiter,
            )  # fmt: skip
        finally:
            gone.set()
            self._busy = False
        return Response(text, media_type="text/plain")

    async def stacks(self, request: Request) -> Response:
        """What every thread and task does at this moment."""
        audit_request(request.principal, "GET", STACKS, "done", reading=True)
        return Response(dump(asyncio.get_running_loop()), media_type="text/plain")


def _seconds(query: bytes) -> int:
    given = parse_qs(query.decode("latin1"), keep_blank_values=True).get("seconds", [str(_DEFAULT_S)])
    if len(given) != 1 or not given[0].isascii() or not given[0].isdigit() or len(given[0]) > 2:
        raise RequestError("bad_profile")
    if not 1 <= int(given[0]) <= _LONGEST_S:
        raise RequestError("bad_profile")
    return int(given[0])
