"""Which process takes the next connection."""

import asyncio
import socket

import pytest

from server.web.http.acceptor import Acceptor, has_too_many


@pytest.mark.parametrize(
    ("own", "all_", "too_many"),
    [
        (0, [0, 0], False),
        (1, [1, 0], False),
        (2, [2, 0], True),
        (31, [31, 1], True),
        (17, [17, 16], False),
        (1000, [1000, 900], False),
        (1000, [1000, 800], True),
    ],
)
def test_a_front_waits_that_has_clearly_more_than_another(own, all_, too_many):
    """A small difference is no reason."""
    assert too_many == has_too_many(own, all_)


def test_a_connection_that_nobody_else_takes_is_accepted_all_the_same():
    """The other process may hang."""

    async def run():
        listener = socket.create_server(("127.0.0.1", 0))
        made = asyncio.Queue()

        class Noted(asyncio.Protocol):
            def connection_made(self, transport):
                made.put_nowait(transport)

        async with asyncio.TaskGroup() as tasks:
            acceptor = Acceptor(listener, Noted, lambda: True, tasks)
            clients = [await asyncio.open_connection(*listener.getsockname()) for _ in range(3)]
            for _ in clients:
                (await made.get()).close()
            acceptor.close()
            for _, writer in clients:
                writer.close()

    asyncio.run(asyncio.wait_for(run(), 10))
