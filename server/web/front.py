"""Serving on a listening socket, with the connections of uvicorn if it is installed, else of hypercorn."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from server.settings import Settings
from server.web.app import Application
from server.web.http import hypercorn
from server.web.http.connections import Connections
from server.web.http.service import Service

_BACKLOG = 2048


async def serve(
    app: Application, settings: Settings, listener: int, connections: Connections, stop: Callable[[], Awaitable[None]]
) -> None:
    """Serve on an inherited listening socket until `stop` returns, then answer what is under way.

    Raises `WrongVersion` where the HTTP server is installed in a version that is not known. Cancellation: what is under
    way is left.
    """
    service = Service(
        app.asgi, app.early_reject, app.refusals.final, connections, app.pacing, settings.server.keep_alive
    )
    protocols = _protocol_factory(settings.server.http_server_name, service)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocols, sock=socket.socket(fileno=listener), backlog=_BACKLOG)
    await stop()
    server.close()
    await connections.end(settings.server.shutdown_timeout)


def _protocol_factory(name: str, service: Service) -> Callable[[], asyncio.Protocol]:
    if name == "hypercorn":
        return hypercorn.protocol_factory(service)
    from server.web.http import uvicorn  # an extra, and nobody else should pay for loading it

    return uvicorn.protocol_factory(service)
