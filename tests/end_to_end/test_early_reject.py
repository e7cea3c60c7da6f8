"""While uploads are being refused, plain ones are refused without being parsed: same answer, same books."""

import asyncio
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.end_to_end.harness import serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)
LARGE = photo(2, 900, 900)


@contextmanager
def full(http_server, *more):
    """A server whose one worker stands still and whose queue is full."""
    flags = ("--http-server", http_server, "--workers", "1", "--max-queue", "1", "--slo", "60s", *more)
    with serving(*flags) as server:
        worker = server.workers[0]
        worker.send_signal(signal.SIGSTOP)
        try:
            yield server
        finally:
            worker.send_signal(signal.SIGCONT)


async def fill(server, **headers):
    """Send images one after the other until one is refused; give the connection of that one."""
    sent = 0
    while True:
        client = await server.connect()
        await client.send("POST", "/v1/images", photo(100 + sent) if headers else PHOTO, **headers)
        sent += 1
        while (await held(server)) + (await refused(server)) < sent:
            pass
        if await refused(server):
            return client


async def held(server):
    now = await server.metrics()
    return now["tureen_queue_images"] + now["tureen_running_images"]


async def refused(server):
    return (await server.metrics()).get('tureen_requests_total{outcome="queue_full",resource="images"}', 0)


@pytest.mark.parametrize("http_server", ["hypercorn", "uvicorn"])
def test_refused_upload_is_answered_alike_before_and_behind_the_parser(http_server):
    """Same status, problem and headers; the one with a header of no use, which is not plain, takes the long way."""
    with full(http_server) as server:

        async def run():
            client = await fill(server)
            first = await client.read()
            plain = [await client.post(PHOTO, x_request_id=f"r{n}") for n in range(20)]
            parsed = await client.post(PHOTO, dnt="1", x_request_id="p")
            return first, plain, parsed, await server.metrics()

        first, plain, parsed, after = server.run(run())

    assert [(503, "queue_full", f"r{n}") for n in range(20)] == [
        (reply.status, reply.json()["code"], reply.headers["x-request-id"]) for reply in plain
    ]
    assert (503, "queue_full", "p") == (parsed.status, parsed.json()["code"], parsed.json()["request_id"])
    assert parsed.json().keys() == plain[0].json().keys() == first.json().keys()
    assert plain[0].headers.keys() == parsed.headers.keys()
    assert 22 == after['tureen_requests_total{outcome="queue_full",resource="images"}']


def test_what_is_kept_for_a_client_is_answered_while_others_are_refused(tmp_path):
    """By its key: the same bytes are refused with another one."""
    file = tmp_path / "keys.json"
    keys = {
        name: subprocess.run(
            [
                sys.executable, "-m", "server", "keys", "add", name, "--keys", file, "--scope", "infer", "--scope",
                "metrics",
            ],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for name in ("alice", "bob")
    }  # fmt: skip

    def credentials(name):
        return {"authorization": f"Bearer {keys[name]}", "cache-control": "max-age=60"}

    async def run():
        alice, bob = await server.connect(), await server.connect()
        kept = await alice.post(PHOTO, **credentials("alice"))
        server.workers[0].send_signal(signal.SIGSTOP)
        refused = await fill(server, **credentials("bob"))
        refusal, again, other = await asyncio.gather(
            refused.read(), alice.post(PHOTO, **credentials("alice")), bob.post(PHOTO, **credentials("bob"))
        )  # refusals are paced: one after the other they could outlast the patience with the worker
        server.workers[0].send_signal(signal.SIGCONT)
        return kept, refusal, again, other

    flags = ("--workers", "1", "--max-queue", "1", "--slo", "60s", "--keys", str(file))
    with serving(*flags, admin=keys["alice"]) as server:
        kept, refusal, again, other = server.run(run())

    assert (200, 503, 200, 503) == (kept.status, refusal.status, again.status, other.status)
    assert again.json()["cached"]


@pytest.mark.parametrize("http_server", ["hypercorn", "uvicorn"])
def test_refused_large_body_is_thrown_away_and_the_connection_goes_on(http_server):
    """The answer does not wait for the body; what follows the body is the next request, and nothing else is."""
    with full(http_server) as server:

        async def run():
            client = await fill(server)
            await client.read()
            replies = [await client.post(LARGE) for _ in range(5)]
            health = await client.request("GET", "/healthz")
            return replies, health

        replies, health = server.run(run())

    assert len(LARGE) > 3 * 65_536
    assert [503] * 5 == [reply.status for reply in replies]
    assert (200, {"status": "alive"}) == (health.status, health.json())
