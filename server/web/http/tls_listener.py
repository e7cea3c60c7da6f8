"""Accepting connections over TLS: each counts against the limit of connections from its first moment on.

The event loop's own TLS servers tell nobody of a connection before its handshake is done. Handshakes that never end
would be counted nowhere, and a connection could not be given the certificate of the moment.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from server.web.http.connections import Connections
from server.web.http.rules import Event

SHUTDOWN_S: Final = 2.0  # in which a client answers that it has seen the end
_AT_ONCE = 100  # connections accepted in one turn of the loop
_PAUSE_S = 0.5  # where the system has no descriptor or memory for one more


class TlsListener:
    """Accepts on one socket. Its state: whether it still does."""

    def __init__(
        self,
        listener: socket.socket,
        context: Callable[[], ssl.SSLContext],
        handshake_s: float,
        protocol: Callable[[], asyncio.Protocol],
        connections: Connections,
        tasks: asyncio.TaskGroup,
    ) -> None:
        """`context`: of the moment. `protocol`: of a connection once it is encrypted. `tasks`: where handshakes run."""
        self._listener = listener
        self._context = context
        self._handshake_s = handshake_s
        self._protocol = protocol
        self._connections = connections
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._open = True
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Accept no more, and close the listening socket."""
        self._open = False
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                self._loop.remove_reader(self._listener)
                self._loop.call_later(_PAUSE_S, self._resume)
                return
            sock.setblocking(False)
            handshake = _Handshake(self._protocol, self._connections)
            if self._connections.admit(handshake) is Event.ADMITTED:
                handshake.task = self._tasks.create_task(self._shake_hands(sock, handshake))
            else:  # nothing can be said before a handshake, and that is what there is no room for
                self._connections.leave(handshake)
                sock.close()

    def _resume(self) -> None:
        if self._open:
            self._loop.add_reader(self._listener, self._accept)

    async def _shake_hands(self, sock: socket.socket, handshake: "_Handshake") -> None:
        """One that fails is not logged: strangers cause as many as they like."""
        try:
            await self._loop.connect_accepted_socket(
                lambda: handshake,
                sock,
                ssl=self._context(),
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except OSError:  # as ssl.SSLError, TimeoutError and ConnectionError are
            sock.close()
        finally:
            self._connections.leave(handshake)


class _Handshake(asyncio.Protocol):
    """Holds a connection's place until the handshake is done, and then gives it to the connection's own protocol."""

    def __init__(self, protocol: Callable[[], asyncio.Protocol], connections: Connections) -> None:
        self.task: asyncio.Task[None] | None = None
        self._protocol = protocol
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done."""
        self._connections.leave(self)
        protocol = self._protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def shut_down(self) -> None:
        """As `Endable.shut_down`: no request has been made, so nothing is owed."""
        self.abort()

    @property
    def is_unread(self) -> bool:
        """As `Endable.is_unread`: a handshake is not waited for."""
        return True

    def abort(self) -> None:
        """As `Endable.abort`."""
        if self.task:
            self.task.cancel()
