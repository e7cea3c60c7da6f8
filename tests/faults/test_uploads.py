"""Uploads that stall or trickle, as many as fill the bound on bytes: others are answered throughout."""

import asyncio

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, Client, serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

IMAGE = photo(1)
BODY = 2_000_000
LIMITS = ("--max-image-bytes", "2MB", "--max-queue-bytes", "10MB", "--upload-timeout", "60s", "--min-upload-rate", "1B")


@pytest.fixture(params=HTTP_SERVERS)
def server(request):
    with serving("--workers", "1", "--slo", "10s", "--http-server", request.param, *LIMITS) as server:
        yield server


async def begin(server, size, address="127.0.0.1"):
    """An upload of which so many bytes are sent, from this address."""
    client = Client(*await asyncio.open_connection(server.host, server.port, local_addr=(address, 0)))
    client.writer.write(b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n" % BODY + bytes(size))
    return client


async def answers(server, seconds):
    """What a client that posts one image after the other is told for so long."""
    statuses, client = [], await server.connect()
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        statuses.append((await client.post(IMAGE)).status)
    return statuses


async def arriving(server, size):
    while (await server.metrics())["tureen_arriving_bytes"] < size:
        pass


def test_declared_bodies_that_never_come_lock_nobody_out(server):
    """A hundred of them, twenty times what there is room for."""

    async def run():
        silent = [await begin(server, 0) for _ in range(100)]
        statuses = await answers(server, 2)
        for client in silent:
            client.writer.transport.abort()
        return statuses

    assert {200} == set(server.run(run()))


@pytest.mark.parametrize("addresses", [1, 5], ids=["one address", "many addresses"])
def test_bodies_that_fill_the_bound_to_the_last_byte_lock_nobody_out(server, addresses):
    """They came as fast as can be and then stopped: those that others need the bytes of are given up, with a 503."""

    async def run():
        filling = [await begin(server, BODY - 1, f"127.0.0.{1 + n % addresses}") for n in range(5)]
        await arriving(server, 5 * (BODY - 1))
        statuses = await answers(server, 3)
        large = await server.connect()
        statuses.append((await large.post(IMAGE + bytes(BODY - len(IMAGE)))).status)
        held = (await server.metrics())["tureen_arriving_bytes"]
        first = min(range(5), key=lambda n: not filling[n].reader._buffer)
        told = await filling[first].read()
        for client in filling:
            client.writer.transport.abort()
        return statuses, held, told

    statuses, held, told = server.run(run())

    assert {200} == set(statuses)
    assert held < 4 * BODY
    assert (503, "queue_full") == (told.status, told.json()["code"])
    assert int(told.headers["retry-after"]) >= 1


def test_bodies_that_trickle_at_the_bound_lock_nobody_out(server):
    """A byte now and then does not make them fast."""

    async def run():
        filling = [await begin(server, BODY - 1000) for _ in range(5)]
        await arriving(server, 5 * (BODY - 1000))

        async def trickle():
            while True:
                for client in filling:
                    client.writer.write(b"\0")
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        statuses = await answers(server, 3)
        trickling.cancel()
        for client in filling:
            client.writer.transport.abort()
        return statuses

    assert {200} == set(server.run(run()))
