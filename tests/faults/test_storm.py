"""Clients that are refused and ask again at once: they are told ever later, others at once, and the rest is served."""

import asyncio
import json

import pytest

from tests.end_to_end.harness import HTTP_SERVERS
from tests.end_to_end.test_early_reject import fill, full
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)
FORM = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + PHOTO + b"\r\n--b--\r\n"
HOT, SECONDS = 32, 4.0
PER_SECOND = 80  # refusals that take 4 % of a core
AT_ONCE = 2 * HOT + 50


@pytest.fixture(params=HTTP_SERVERS)
def http(request):
    return request.param


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


@pytest.mark.parametrize(
    ("ask", "per_second"),
    [(on_one_connection, PER_SECOND), (reconnecting, PER_SECOND), (as_a_form, PER_SECOND * 0.36)],
)
def test_clients_that_ask_again_at_once_are_told_late(http, ask, per_second):
    """No more of them than take a small share of a core, parsed or not, reconnecting or not; the delay is a metric."""
    with full(http) as server:

        async def run():
            await fill(server)
            before = await server.metrics()
            seen = await storm(server, ask)
            return before, *seen, await server.metrics()

        before, refused, other, after = server.run(run())

    delays = "tureen_refusal_delay_seconds"
    assert set() == other
    assert HOT < refused <= per_second * (SECONDS + 1) + AT_ONCE
    assert after[f"{delays}_count"] > before[f"{delays}_count"]
    assert after[f'{delays}_bucket{{le="1.0"}}'] == after[f"{delays}_count"]


def test_client_that_waits_is_told_at_once_in_a_storm(http):
    """Its own connection is all that counts: nothing is added to what its refusal takes anyway."""
    with full(http) as server:

        async def run():
            await fill(server)
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

        took = server.run(run())

    assert sorted(took)[len(took) // 2] < 0.05


def test_connections_of_a_trusted_proxy_are_told_at_once(http):
    """They carry many clients, and one may not wait for the other."""
    with full(http, "--trusted-proxies", "127.0.0.0/8") as server:

        async def run():
            client = await fill(server)
            await client.read()
            for _ in range(200):
                assert 503 == (await client.post(PHOTO)).status
            return await server.metrics()

        after = server.run(run())

    assert 0.0 == after["tureen_refusal_delay_seconds_count"]


def test_access_log_names_the_client_behind_a_trusted_proxy(http):
    """The last hop that is none of ours; nobody else can make one up."""
    named = {"x_forwarded_for": "6.6.6.6, 203.0.113.9"}
    for flags, expected in (((), "127.0.0.1"), (("--trusted-proxies", "127.0.0.1"), "203.0.113.9")):
        with full(http, "--access-log", *flags) as server:

            async def run(server=server):
                return (await (await server.connect()).request("GET", "/healthz", **named)).status

            assert 200 == server.run(run())
        lines = [json.loads(line) for line in server.final_log.splitlines()]
        assert expected in {line.get("client") for line in lines if line.get("resource") == "health"}
