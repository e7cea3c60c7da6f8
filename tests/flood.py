"""More images than a server can answer, from a thread of their own."""

import asyncio
import threading
from contextlib import contextmanager

from tests.photos import photo


@contextmanager
def overload(server):
    """24 clients that post without pause and wait 20 ms, while it is entered."""
    stop = threading.Event()
    image = photo(1, 640, 480)

    async def post():
        client = await server.connect()
        while not stop.is_set():
            await client.post(image, x_request_timeout_ms="20")

    async def run():
        await asyncio.gather(*(post() for _ in range(24)))

    thread = threading.Thread(target=lambda: server.run(run()))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
