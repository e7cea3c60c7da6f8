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


def test_profiles_are_on_the_admin_port_only(public):
    """Folded stacks of the web process, and what it does now; on the public port they are not there."""

    async def work():
        port = admin_port(public)
        return [
            await get(public, "/debug/profile"),
            await get(public, "/debug/stacks"),
            await get(public, "/debug/profile?seconds=1", port),
            await get(public, "/debug/stacks", port),
            *[await get(public, f"/debug/profile?seconds={bad}", port) for bad in ("0", "61", "1e9", "-1", "a", "")],
        ]

    first, second, profile, stacks, *refused = public.run(work())

    assert (404, 404) == (first.status, second.status)
    assert (200, 200) == (profile.status, stacks.status)
    assert re.match(rb"\S+(;\S+)+ \d+\n", profile.body)
    assert b"thread MainThread" in stacks.body
    assert ["bad_profile"] * 6 == [reply.json()["code"] for reply in refused]


def test_one_profile_is_taken_at_a_time_and_ends_with_its_client(public):
    """The second is refused; when the first client has left, the next one is let in. Each leaves a line."""

    async def work():
        public.port, usual = admin_port(public), public.port
        first, second = await public.connect(), await public.connect()
        public.port = usual
        await first.send("GET", "/debug/profile?seconds=60")
        while (refused := await second.request("GET", "/debug/profile?seconds=1")).status == 200:
            pass
        await first.close()
        while (reply := await second.request("GET", "/debug/profile?seconds=1")).status == 409:
            pass
        return refused.json()["code"], reply.status

    assert ("profile_running", 200) == public.run(work())
    assert any("audit" in line and "/debug/profile" in line for line in public.log.splitlines())


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
