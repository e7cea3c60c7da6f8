"""Clients that are refused and ask again at once: they are told ever later, others at once, and the rest is served."""

import asyncio
import random
import signal

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, Client, serving
from tests.end_to_end.test_early_reject import held, refused
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)
FORM = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + PHOTO + b"\r\n--b--\r\n"
HOT, SECONDS = 32, 2.0
PER_SECOND = 80  # refusals that take 4 % of a core
AT_ONCE = 2 * HOT + 50


@pytest.fixture(params=HTTP_SERVERS, scope="module")
def server(request):
    """Requests from 127.0.0.2 come through a proxy."""
    flags = ("--workers", "1", "--max-queue", "1", "--slo", "60s", "--trusted-proxies", "127.0.0.2", "--access-log")
    with serving("--http-server", request.param, *flags) as running:
        yield running


def full(server, work):
    """Run `work` while the one worker stands still and the queue is full."""

    async def run():
        before = await refused(server)
        while (await refused(server)) == before:
            await (await server.connect()).send("POST", "/v1/images", PHOTO)
        result = await work()
        for client in server._clients:
            await client.close()
        worker.send_signal(signal.SIGCONT)
        while await held(server):
            pass
        return result

    worker = server.workers[0]
    worker.send_signal(signal.SIGSTOP)
    try:
        return server.run(run())
    finally:
        worker.send_signal(signal.SIGCONT)


async def storm(server, ask):
    """32 clients that ask again as soon as they are told; how often they were refused, and what else they heard."""
    refused, other, end = 0, set(), asyncio.get_running_loop().time() + SECONDS

    async def client():
        nonlocal refused
        connection = None
        while asyncio.get_running_loop().time() < end:
            connection, reply = await ask(server, connection)
            refused += reply.status == 503
            other.update({reply.status} - {503})

    await asyncio.gather(*(client() for _ in range(HOT)))
    return refused, other


async def on_one_connection(server, connection):
    connection = connection or await server.connect()
    return connection, await connection.post(PHOTO)


async def reconnecting(server, connection):
    if connection:
        await connection.close()
    connection = await server.connect()
    return connection, await connection.post(PHOTO)


async def as_a_form(server, connection):
    connection = connection or await server.connect()
    return connection, await connection.post(FORM, content_type="multipart/form-data; boundary=b")


async def from_proxy(server):
    client = Client(*await asyncio.open_connection(server.host, server.port, local_addr=("127.0.0.2", 0)))
    server._clients.append(client)
    return client


async def behind_a_proxy(server, connection):
    """All in the name of one client: the last hop that is not trusted. What stands before that it may have made up."""
    connection = connection or await from_proxy(server)
    made_up = ".".join(str(random.randrange(256)) for _ in range(4))
    return connection, await connection.post(PHOTO, x_forwarded_for=f"{made_up}, 203.0.113.9")


@pytest.mark.parametrize(
    ("ask", "per_second"),
    [
        (on_one_connection, PER_SECOND),
        (reconnecting, PER_SECOND),
        (as_a_form, PER_SECOND * 0.36),
        (behind_a_proxy, PER_SECOND),
    ],
)
def test_clients_that_ask_again_at_once_are_told_late(server, ask, per_second):
    """No more of them than take a small share of a core, parsed or not, reconnecting or not; the delay is a metric."""

    async def run():
        before = await server.metrics()
        return before, *await storm(server, ask), await server.metrics()

    before, refused, other, after = full(server, run)

    delays = "tureen_refusal_delay_seconds"
    assert set() == other
    assert HOT < refused <= per_second * (SECONDS + 1) + AT_ONCE
    assert after[f"{delays}_count"] > before[f"{delays}_count"]
    assert after[f'{delays}_bucket{{le="1.0"}}'] == after[f"{delays}_count"]


def test_client_that_waits_is_told_at_once_in_a_storm(server):
    """Its own connection is all that counts: nothing is added to what its refusal takes anyway."""

    async def run():
        polite, took = await server.connect(), []

        async def asks():
            while True:
                started = asyncio.get_running_loop().time()
                reply = await polite.post(PHOTO)
                took.append(asyncio.get_running_loop().time() - started)
                await asyncio.sleep(int(reply.headers["retry-after"]))

        asking = asyncio.create_task(asks())
        await storm(server, on_one_connection)
        asking.cancel()
        return took

    took = full(server, run)

    assert sorted(took)[len(took) // 2] < 0.05


def test_other_clients_of_a_trusted_proxy_are_told_at_once_in_a_storm(server):
    """One may not wait for the other: each is known by its own address, though they share a connection."""

    async def run():
        proxy, before = await from_proxy(server), await server.metrics()
        for n in range(200):
            assert 503 == (await proxy.post(PHOTO, x_forwarded_for=f"6.6.6.6, 198.51.100.{n}")).status
        return before, await server.metrics()

    before, after = full(server, run)

    assert before["tureen_refusal_delay_seconds_count"] == after["tureen_refusal_delay_seconds_count"]
    assert "198.51.100.7" in server.log
    assert "6.6.6.6" not in server.log
