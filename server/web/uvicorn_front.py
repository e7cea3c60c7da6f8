"""The application on uvicorn's HTTP/1.1 protocol, with connections of our own (server/web/uvicorn_connection.py).

Hypercorn's h11 is Python: on models that take a millisecond it is most of what a request costs. uvicorn is an extra
(`tureen[uvicorn]`); pyproject.toml pins it exactly, and a test fails when what is reached into has changed.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from server.web.connections import BACKLOG, Connections
from server.web.uvicorn_connection import Connection


async def serve(
    app: ASGIApp,
    listener: int,
    connections: Connections,
    keep_alive_s: float,
    graceful_s: float,
    stop: Callable[[], Awaitable[None]],
) -> None:
    """Serve on an inherited listening socket until `stop` returns, then answer what is under way.

    After `graceful_s` seconds the rest is left. Cancellation: leaves it at once.
    """
    config = Config(
        cast(Any, app),
        timeout_keep_alive=cast(Any, keep_alive_s),
        access_log=False,
        log_level="error",
        log_config=None,
        proxy_headers=False,
        ws="none",
    )
    config.load()
    state, gone = ServerState(), asyncio.Event()
    loop = asyncio.get_running_loop()
    sock = socket.socket(fileno=listener)
    server = await loop.create_server(lambda: Connection(connections, config, state, gone), sock=sock, backlog=BACKLOG)
    clock = asyncio.ensure_future(_keep_date(state))
    try:
        await stop()
        server.close()
        await _finish(state, gone, graceful_s)
    finally:
        clock.cancel()


async def _keep_date(state: ServerState) -> None:
    while True:
        state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        await asyncio.sleep(1)


async def _finish(state: ServerState, gone: asyncio.Event, graceful_s: float) -> None:
    """Close what is idle; wait for the rest, which closes when it has been answered."""
    for connection in list(state.connections):
        connection.shutdown()
    try:
        async with asyncio.timeout(graceful_s):
            while state.connections:
                gone.clear()
                await gone.wait()
            await asyncio.gather(*state.tasks, return_exceptions=True)
    except TimeoutError:
        pass
