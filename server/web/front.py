"""Serving on listening sockets, with the connections of uvicorn if it is installed, else of hypercorn."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from server.settings import Settings
from server.web.app import Application
from server.web.http import hypercorn
from server.web.http.acceptor import Acceptor
from server.web.http.connections import Connections
from server.web.http.service import Service
from server.web.http.tls_listener import TlsListener
from server.web.tls import HANDSHAKE_S, Certificates

_BACKLOG = 2048


class Front(NamedTuple):
    """What is served where. `listener`: an inherited socket. `has_proxy_header`: whether connections from an address
    begin with a header of the PROXY protocol. `encrypted`: as the settings say; else plain whatever they say. `leave`:
    whether to leave a connection to other processes on the same socket; None where there are none."""

    app: Application
    listener: int
    connections: Connections
    has_proxy_header: Callable[[str], bool] = lambda peer: False
    encrypted: bool = True
    leave: Callable[[], bool] | None = None


async def serve(
    fronts: Sequence[Front], settings: Settings, certificates: Certificates | None, stop: Callable[[], Awaitable[float]]
) -> None:
    """Serve until `stop` returns; then answer what is under way, in as many seconds as it returned.

    With `certificates`, over TLS only.

    Raises `WrongVersion` where the HTTP server is installed in a version that is not known. Cancellation: what is under
    way is left.
    """
    async with asyncio.TaskGroup() as handshakes:
        servers = [await _listen(front, settings, certificates, handshakes) for front in fronts]
        within_s = await stop()
        for server in servers:
            server.close()
        for front in fronts:
            await front.connections.end(within_s)


async def _listen(
    front: Front, settings: Settings, certificates: Certificates | None, handshakes: asyncio.TaskGroup
) -> asyncio.Server | TlsListener | Acceptor:
    app, listener, connections, has_proxy_header, encrypted, leave = front
    service = Service(
        app.asgi, app.early_reject, app.refusals.final, connections, app.pacing, settings.server.keep_alive,
        has_proxy_header,
    )  # fmt: skip
    protocol = _protocol_factory(settings.server.http_server_name, service)
    sock = socket.socket(fileno=listener)
    if certificates and encrypted:
        return TlsListener(sock, certificates.context, HANDSHAKE_S, protocol, connections, handshakes)
    if leave:
        return Acceptor(sock, protocol, leave, handshakes)
    loop = asyncio.get_running_loop()
    if sock.family == socket.AF_UNIX:
        return await loop.create_unix_server(protocol, sock=sock, backlog=_BACKLOG)
    return await loop.create_server(protocol, sock=sock, backlog=_BACKLOG)


def _protocol_factory(name: str, service: Service) -> Callable[[], asyncio.Protocol]:
    if name == "hypercorn":
        return hypercorn.protocol_factory(service)
    from server.web.http import uvicorn  # an extra: loaded only if it is used

    return uvicorn.protocol_factory(service)
