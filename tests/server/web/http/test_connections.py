"""How all connections of a process end together."""

import asyncio

from server.web.http.connections import Connections


class Connection:
    """One that ends when it is aborted."""

    def __init__(self, connections, name, is_unread, aborted):
        self.name = name
        self.is_unread = is_unread
        self._connections = connections
        self._aborted = aborted
        connections.admit(self)

    def shut_down(self):
        """It has a request under way."""

    def abort(self):
        self._aborted.append(self.name)
        self._connections.leave(self)


def test_clients_that_do_not_read_are_cut_off_at_half_of_the_time():
    """They are no reason to be late; those who wait for an answer have the whole of it."""
    aborted = []

    async def run():
        connections = Connections(10)
        for name, is_unread in (("waits", False), ("never reads", True)):
            Connection(connections, name, is_unread, aborted)
        await connections.end(0.2)

    asyncio.run(run())

    assert ["never reads", "waits"] == aborted


def test_end_does_not_wait_once_all_have_read():
    """Whatever time there is."""
    aborted = []

    async def run():
        connections = Connections(10)
        one = Connection(connections, "one", True, aborted)
        asyncio.get_running_loop().call_soon(connections.leave, one)
        await asyncio.wait_for(connections.end(3600.0), 10)

    asyncio.run(run())

    assert [] == aborted
