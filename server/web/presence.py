"""What a request's handler may ask of its connection: whose is it, is the client still there, did it wait as told?"""

from collections.abc import Callable

from server.web.http.pacing import Caller

STATE = "presence"  # under which a connection puts it into the ASGI scope's state


class Presence:
    """The client at the other end of one connection. HTTP/1.1 answers one request at a time, so one is told."""

    __slots__ = ("_caller", "_tell", "peer")

    def __init__(self, caller: Caller | None = None) -> None:
        """`caller`: None for a connection without pacing."""
        self.peer = ""
        """The address that a PROXY header named; empty where there was none."""
        self._caller = caller
        self._tell: Callable[[], None] | None = None

    def speaks_for(self, peer: str, caller: Caller) -> None:
        """A load balancer says whose connection it forwards."""
        self.peer, self._caller = peer, caller

    def watch(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the client leaves; closing its sending half counts as leaving."""
        self._tell = tell

    def unwatch(self) -> None:
        self._tell = None

    def refused(self, retry_after_s: float, cpu_s: float, client: str) -> float:
        """A request is about to be refused: seconds by which to tell the client later, as in `Caller.refused`."""
        return self._caller.refused(retry_after_s, cpu_s, client) if self._caller else 0.0

    async def wait_to_tell(self, seconds: float) -> None:
        """Wait with a refusal for so long, or until there is room: see `server/web/http/pacing.py`."""
        if self._caller:
            await self._caller.wait(seconds)

    def left(self) -> None:
        """For the connection: the client has left."""
        if self._tell:
            self._tell()
