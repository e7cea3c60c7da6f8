"""The HTTP server under the application: uvicorn if it is installed, else hypercorn."""

from collections.abc import Awaitable, Callable

from hypercorn.asyncio import serve as hypercorn_serve
from starlette.types import ASGIApp

from server.settings import Settings
from server.web.connections import Connections
from server.web.hypercorn_connection import guard, hypercorn_config


async def serve(
    app: ASGIApp, settings: Settings, listener: int, connections: Connections, stop: Callable[[], Awaitable[None]]
) -> None:
    """Serve on an inherited listening socket until `stop` returns, then answer what is under way.

    Cancellation: what is under way is left.
    """
    if settings.server.http_server_name == "uvicorn":
        from server.web import uvicorn_front  # an extra, and nobody else should pay for loading it

        await uvicorn_front.serve(
            app, listener, connections, settings.server.keep_alive, settings.server.shutdown_timeout, stop
        )
        return
    guard(connections)
    config = hypercorn_config(listener, settings.server.keep_alive, settings.server.shutdown_timeout)
    await hypercorn_serve(app, config, shutdown_trigger=stop, mode="asgi")  # type: ignore[arg-type]
