"""Replicas tell each other of images under way through a real Redis; while it is away, each limits alone."""

import asyncio
import signal

import pytest
import structlog

from server.access.redis_ledger import RedisInFlight
from server.access.shared_in_flight import HEED_S, SharedInFlight

MOST = 3


class Replicas:
    """Two replicas with one clock, which the test sets."""

    def __init__(self, url):
        self.now = 0.0
        self.all = [SharedInFlight(RedisInFlight(url), lambda: self.now) for _ in range(2)]

    def begin(self, number, client="key:a"):
        """Begin an image if the client may; whether it may."""
        fits = self.all[number].fits(client, 1, MOST)
        if fits:
            self.all[number].begin(client)
        return fits

    async def settle(self):
        """Each hears of what the others have."""
        for one in (*self.all, *self.all):
            await one.settle()


def run(url, work):
    """Run a test's asynchronous part on two replicas."""

    async def around():
        replicas = Replicas(url)
        try:
            return await work(replicas)
        finally:
            for one in replicas.all:
                await one._ledger.close()

    return asyncio.run(around())


def test_images_at_another_replica_count(redis):
    """Three in all, however they are spread, until one ends; other clients have their own."""

    async def work(replicas):
        first = [replicas.begin(0), replicas.begin(0), replicas.begin(1)]
        await replicas.settle()
        full = [replicas.begin(0), replicas.begin(1), replicas.begin(1, "key:b")]
        replicas.all[0].end("key:a")
        await replicas.settle()
        return first, full, replicas.begin(1)

    first, full, then = run(redis.url, work)

    assert [True] * 3 == first
    assert [False, False, True] == full
    assert then


def test_a_replica_that_dies_leaves_no_image_behind(redis):
    """What it told expires with Redis' key."""

    async def work(replicas):
        for _ in range(MOST):
            replicas.begin(0)
        await replicas.all[0].settle()
        (name,) = redis.client.keys(b"tureen:in-flight:*")
        assert 0 < redis.client.pttl(name) <= 2000
        redis.client.pexpire(name, 1)
        while redis.client.exists(name):
            pass
        replicas.all[1].fits("key:a", 1, MOST)
        await replicas.all[1].settle()
        return [replicas.begin(1) for _ in range(MOST + 1)]

    assert [True] * MOST + [False] == run(redis.url, work)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_without_redis_each_replica_limits_alone(redis, how):
    """What it heard is forgotten, it says so once, and they share again when Redis is back."""

    async def work(replicas):
        for _ in range(MOST):
            replicas.begin(0)
        replicas.all[1].fits("key:a", 1, MOST)
        await replicas.settle()
        shared = replicas.begin(1)
        redis.take_away(how)
        await replicas.settle()
        alone = [replicas.begin(1) for _ in range(MOST + 1)]
        redis.bring_back(how)
        await replicas.settle()
        return shared, alone, replicas.all[0].fits("key:a", 1, 2 * MOST)

    with structlog.testing.capture_logs() as lines:
        shared, alone, again = run(redis.url, work)

    assert not shared
    assert [True] * MOST + [False] == alone
    assert not again
    assert ["in_flight_not_shared"] * 2 + ["in_flight_shared"] * 2 == sorted(line["event"] for line in lines)


def test_a_client_that_has_left_is_forgotten(redis):
    """Here and in Redis, which never learnt its name."""

    async def work(replicas):
        replicas.begin(0, "ip:203.0.113.7")
        await replicas.settle()
        names = redis.client.keys()
        replicas.all[0].end("ip:203.0.113.7")
        await replicas.settle()
        replicas.now = HEED_S + 1
        await replicas.settle()
        return names, redis.client.keys(), replicas.all[0]._asked

    names, left, asked = run(redis.url, work)

    assert [True] == [name.startswith(b"tureen:in-flight:") and b"203.0.113.7" not in name for name in names]
    assert ([], {}) == (left, asked)
