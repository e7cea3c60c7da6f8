"""Where admin resources are: with the others on loopback, else on a port of their own."""

import re

import pytest

from tests.end_to_end.harness import Client, serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

GUARDS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


@pytest.fixture(scope="module")
def public():
    """A server that other machines reach, without keys."""
    with serving("--host", "0.0.0.0", "--admin-port", "0", "--workers", "1", ready=False) as server:
        yield server


def admin_port(server):
    """Give the port of its admin resources."""
    return int(re.search(r"admin +http://127\.0\.0\.1:(\d+)/metrics", server.block)[1])


async def get(server, path, port=None):
    """Give the reply to a GET, on the public port if no other is named."""
    server.port, usual = port or server.port, server.port
    client: Client = await server.connect()
    server.port = usual
    return await client.request("GET", path)


def test_metrics_are_on_the_admin_port_only(public):
    """The public port says 404, and does not list them."""

    async def work():
        return (
            await get(public, "/metrics"),
            await get(public, "/"),
            await get(public, "/metrics", admin_port(public)),
            await get(public, "/v1/images", admin_port(public)),
            await get(public, "/healthz", admin_port(public)),
        )

    hidden, about, metrics, images, health = public.run(work())

    assert (404, 200, 200, 404, 200) == tuple(r.status for r in (hidden, about, metrics, images, health))
    assert b"metrics" not in about.body
    assert b"tureen_workers" in metrics.body


def test_an_open_server_warns_once(public):
    """It names what would close it."""
    (line,) = [line for line in public.log.splitlines() if "open_to_everybody" in line]

    assert "--keys" in line


def test_every_response_keeps_browsers_from_running_or_framing_it(public):
    """Answers, refusals by the application, and refusals before it."""

    async def work():
        client = await public.connect()
        answers = [
            await client.post(photo(1)),
            await client.post(b"no image"),
            await client.request("GET", "/nowhere"),
            await client.request("GET", "/"),
        ]
        client.writer.write(b"BREW / HTTP/1.1\r\nhost: t\r\n\r\n")
        return [*answers, await client.read()]

    for reply in public.run(work()):
        assert GUARDS.items() <= reply.headers.items(), reply.status
