"""Replicas settle their rates in a real Redis; while it is away, each limits alone."""

import asyncio
import signal

import pytest
import structlog

from server.access.redis_ledger import RedisLedger
from server.access.shared_rates import SharedBuckets


class Replicas:
    """Some replicas with one clock, which the test sets."""

    def __init__(self, url, count=2):
        self.now = 0.0
        self.all = [SharedBuckets(RedisLedger(url), lambda: self.now) for _ in range(count)]

    def take(self, number, client="key:a", rate=0.001, burst=4.0):
        return self.all[number].take(client, rate, burst, self.now).wait_s == 0

    async def settle(self):
        for one in self.all:
            await one.settle()

    async def close(self):
        for one in self.all:
            await one._ledger.close()


def run(url, work):
    """Run a test's asynchronous part on two replicas."""

    async def around():
        replicas = Replicas(url)
        try:
            return await work(replicas)
        finally:
            await replicas.close()

    return asyncio.run(around())


def test_what_one_replica_let_in_another_counts(redis):
    """Four tokens in all, however they are spread; other clients have their own."""

    async def work(replicas):
        first = [replicas.take(0) for _ in range(3)]
        await replicas.settle()
        second = [replicas.take(1)]
        await replicas.settle()
        third = [replicas.take(1), replicas.take(1, "key:b")]
        return first, second, third

    assert ([True] * 3, [True], [False, True]) == run(redis.url, work)


def test_a_burst_at_each_replica_is_a_debt(redis):
    """It lets in no more until that is paid off, and tells how long that takes."""

    async def work(replicas):
        bursts = [replicas.take(number) for number in (0, 1) for _ in range(4)]
        await replicas.settle()
        await replicas.settle()
        return bursts, replicas.all[1].take("key:a", 0.5, 4.0, replicas.now)

    bursts, verdict = run(redis.url, work)

    assert [True] * 8 == bursts
    assert (10.0, 0) == (pytest.approx(verdict.wait_s, abs=1.0), verdict.left)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_without_redis_each_replica_limits_alone(redis, how):
    """It says so once; and they share again when it is back."""

    async def work(replicas):
        redis.take_away(how)
        alone = [replicas.take(number) for number in (0, 1) for _ in range(5)]
        for _ in range(3):
            await replicas.settle()
        redis.bring_back(how)
        for _ in range(4):
            replicas.take(0, "key:b")
        await replicas.settle()
        replicas.take(1, "key:b")
        await replicas.settle()
        return alone, replicas.take(1, "key:b")

    with structlog.testing.capture_logs() as lines:
        alone, shared = run(redis.url, work)

    assert ([True] * 4 + [False]) * 2 == alone
    assert not shared
    assert ["rates_not_shared"] * 2 + ["rates_shared"] * 2 == sorted(line["event"] for line in lines)


def test_redis_learns_no_names(redis):
    """Of clients: a key's name or an address is nobody else's business."""

    async def work(replicas):
        replicas.take(0, "ip:203.0.113.7")
        await replicas.settle()

    run(redis.url, work)

    (name,) = redis.client.keys()
    assert name.startswith(b"tureen:rate:")
    assert b"203.0.113.7" not in name
    assert 0 < redis.client.pttl(name) <= 4_001_000 + 1000
