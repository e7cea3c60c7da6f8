"""Whether the client is still there: the connection knows, whoever works for it is told."""

from collections.abc import Callable

STATE = "presence"  # under which a connection puts it into the ASGI scope's state


class Presence:
    """The client at the other end of one connection. HTTP/1.1 answers one request at a time, so one is told."""

    __slots__ = ("_tell",)

    def __init__(self) -> None:
        self._tell: Callable[[], None] | None = None

    def watch(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the client leaves; closing its sending half counts as leaving."""
        self._tell = tell

    def unwatch(self) -> None:
        self._tell = None

    def left(self) -> None:
        """For the connection: the client has left."""
        if self._tell:
            self._tell()
