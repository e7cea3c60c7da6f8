"""Whose refusals are told late, and how late."""

import asyncio

import pytest

from batcher.testing import VirtualLoop
from server.web.client import TrustedProxies
from server.web.http.pacing import EARLY_CPU_S, Pacing


class Door:
    """Pacing on a clock that stands until it is moved."""

    def __init__(self, loop, proxies=""):
        self.now = 1000.0
        self.delays = []
        self.room = 0
        self.loop = loop
        self.pacing = Pacing(
            TrustedProxies(proxies), lambda: self.room, self.delays.append, self.loop, lambda: self.now
        )

    def refused(self, caller, retry_after_s=0.5, client=""):
        return caller.refused(retry_after_s, EARLY_CPU_S, client)


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


def test_clients_that_wait_are_told_at_once(loop):
    """However many they are, and however many refusals there are to others."""
    door = Door(loop)
    polite, hot = door.pacing.caller("10.0.0.1"), door.pacing.caller("10.0.0.2")
    for _ in range(100):
        assert 0.0 == door.refused(polite)
        for _ in range(100):
            door.refused(hot)
        door.now += 0.5


@pytest.mark.parametrize("clients", [1, 8, 32, 64])
def test_clients_that_do_not_wait_take_a_small_share_of_a_core(loop, clients):
    """In closed loops, each asks as soon as it has been told."""
    door = Door(loop)
    callers = [door.pacing.caller(f"10.0.0.{n}") for n in range(clients)]
    asks, refusals, end = [(door.now, n) for n in range(clients)], 0, door.now + 20
    while (first := min(asks))[0] < end:
        asks.remove(first)
        door.now, n = first
        refusals += 1
        asks.append((door.now + door.refused(callers[n], 5.0) + 0.0005, n))

    at_once = 2 * clients * EARLY_CPU_S + 0.011  # first refusals, second ones under way, and a burst
    assert refusals * EARLY_CPU_S <= 20 * 0.04 + at_once
    assert max(door.delays) <= 1.0


def test_client_that_reconnects_is_known_by_its_address(loop):
    """A new connection, refused for the first time, is judged by what its address was told."""
    door = Door(loop)
    delays = [door.refused(door.pacing.caller("10.0.0.1"), 5.0) for _ in range(100)]

    assert 0.0 == delays[0]
    assert delays[-1] > 0.1


def test_connection_that_waits_is_not_blamed_for_its_neighbours(loop):
    """Once it has been told to wait itself, what others at its address do does not count."""
    door = Door(loop)
    polite = door.pacing.caller("10.0.0.1")
    door.refused(polite)
    door.now += 0.5
    for _ in range(100):
        door.refused(door.pacing.caller("10.0.0.1"), 5.0)

    assert 0.0 == door.refused(polite)


def test_addresses_of_one_ipv6_network_are_one(loop):
    """A client has as many of them as it likes."""
    door = Door(loop)
    delays = [door.refused(door.pacing.caller(f"2001:db8::{n:x}"), 5.0) for n in range(100)]

    assert delays[-1] > 0.1
    assert 0.0 == door.refused(door.pacing.caller("2001:db8:0:1::1"), 5.0)


def test_clients_behind_a_trusted_proxy_are_known_by_the_address_that_it_names(loop):
    """One connection carries a client that never waits and many that ask once."""
    door = Door(loop, "10.0.0.0/8")
    proxy = door.pacing.caller("10.1.2.3")
    hot = [door.refused(proxy, 5.0, "192.0.2.1") for _ in range(100)]
    others = [door.refused(proxy, 5.0, f"198.51.100.{n}") for n in range(100)]

    assert 0.1 < hot[-1]
    assert [0.0] * 100 == others


def test_client_that_a_trusted_proxy_does_not_name_is_told_at_once(loop):
    """It may be anybody."""
    door = Door(loop, "10.0.0.0/8")
    proxy = door.pacing.caller("10.1.2.3")

    assert [0.0] * 100 == [door.refused(proxy, 5.0) for _ in range(100)]


def test_address_that_is_named_by_a_client_itself_does_not_count(loop):
    """Only a trusted proxy is believed."""
    door = Door(loop, "10.0.0.0/8")
    client = door.pacing.caller("192.0.2.1")

    assert 0.1 < [door.refused(client, 5.0, f"198.51.100.{n}") for n in range(100)][-1]


def test_memory_of_addresses_is_bounded(loop):
    """Those that were refused last are known."""
    door = Door(loop)
    for n in range(10_000):
        door.refused(door.pacing.caller(f"10.0.{n >> 8}.{n & 255}"), 60.0)

    assert 4096 == len(door.pacing._waiting)


def test_after_a_quiet_while_some_refusals_are_told_at_once(loop):
    """A client that tries twice in a hurry is no burden."""
    door = Door(loop)
    caller = door.pacing.caller("10.0.0.1")

    assert [0.0] * 20 == [door.refused(caller, 5.0) for _ in range(20)]


def test_as_many_as_there_is_room_for_are_told_within_20_ms(loop):
    """Those first that have waited longest; each once, and none that waits no longer."""
    door, told = Door(loop), []
    for n in range(5):
        door.pacing.hold(n, lambda n=n: told.append(n))
    door.pacing.let_go(1)

    def after(seconds, room):
        door.room = room
        door.loop.run_until_complete(asyncio.sleep(seconds))
        return told

    assert [] == after(1.0, 0)
    assert [0, 2] == after(0.02, 2)
    assert [0, 2, 3, 4] == after(0.03, 8)
