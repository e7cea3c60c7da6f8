"""Limits as clients meet them, over sockets, on both HTTP servers, and shared between two of them."""

import asyncio
import math
import re
import signal
from contextlib import ExitStack

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.photos import photo
from tests.redis_server import Server as Redis
from tests.security.issuer import AUDIENCE, issuing
from tests.security.keys import add_key, bearer

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)
RATE, BURST = 0.02, 3  # one token in 50 s: the count is exact, however slow the machine


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def world(request, tmp_path_factory):
    """A server with keys and tokens whose clients may send a few images, and hardly any more."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    secrets = {
        **{f"slow{n}": add_key(path, f"slow{n}", rate=RATE, burst=BURST) for n in range(4)},
        "again": add_key(path, "again", rate=2.0, burst=1),
        "one": add_key(path, "one", in_flight=1),
        "admin": add_key(path, "admin", "admin"),
    }
    with issuing() as issuer:
        flags = ["--http-server", request.param, "--keys", str(path), "--threads", "1"]
        flags += ["--jwt-issuer", issuer.url, "--jwt-audience", AUDIENCE]
        flags += ["--client-rate", str(RATE), "--client-burst", str(BURST)]
        with serving(*flags, admin=secrets["admin"]) as server:
            yield server, secrets, issuer


async def post(server, secret, **headers):
    """Give the reply to one image, on a connection of its own."""
    client = await server.connect()
    return await client.post(PHOTO, **bearer(secret), **headers)


def test_past_its_rate_a_client_is_told_when_to_come_back(world):
    """429 with Retry-After, RateLimit and RateLimit-Policy; what is let in says what is left."""
    server, secrets, _ = world

    async def work():
        client = await server.connect()
        return [await client.post(PHOTO, **bearer(secrets["slow0"])) for _ in range(BURST + 2)]

    replies = server.run(work())

    assert [200] * BURST + [429] * 2 == [reply.status for reply in replies]
    left = [re.fullmatch(r'"client";r=(\d+);t=(\d+)', reply.headers["ratelimit"]).groups() for reply in replies]
    assert ["2", "1", "0", "0", "0"] == [count for count, _ in left]
    assert {'"client";q=3;w=150'} == {reply.headers["ratelimit-policy"] for reply in replies}
    last = replies[-1]
    assert ("rate_limited", "application/problem+json") == (last.json()["code"], last.headers["content-type"])
    assert int(last.headers["retry-after"]) == math.ceil(last.json()["retry_after_ms"] / 1000)
    assert 30 <= int(last.headers["retry-after"]) <= 75  # up to half as long again, so that not all come at once


def test_whoever_waits_as_told_is_let_in(world):
    """Retry-After is honest."""
    server, secrets, _ = world

    async def work():
        while (await post(server, secrets["again"])).status == 200:
            pass
        reply = await post(server, secrets["again"])
        if reply.status == 429:
            await asyncio.sleep(int(reply.headers["retry-after"]))  # as a client does
            reply = await post(server, secrets["again"])
        return reply.status

    assert 200 == server.run(work())


def test_no_header_path_or_connection_gets_around_the_limit(world):
    """Forged addresses, other spellings, new connections: it is the key that counts."""
    server, secrets, _ = world
    key = secrets["slow1"]

    async def work():
        forged = [
            {"x_forwarded_for": f"10.0.0.{n}", "forwarded": f"for=10.0.0.{n}", "x_real_ip": f"10.0.0.{n}"}
            for n in range(6)
        ]
        replies = [(await post(server, key, **headers)).status for headers in forged]
        replies += [(await post(server, key, priority="u=0", x_request_timeout_ms="1")).status]
        paths = ("/v1/images?x=1", "/v1%2fimages", "/v1/images/", "//v1/images", "/V1/images")
        elsewhere = [
            (await (await server.connect()).request("POST", path, PHOTO, **bearer(key))).status for path in paths
        ]
        return replies, elsewhere

    replies, elsewhere = server.run(work())

    assert [200] * BURST + [429] * 4 == replies
    assert [429, 429, 403, 403, 403] == elsewhere  # an escaped slash is one; the others are other paths


def test_a_new_token_of_the_same_subject_is_the_same_client(world):
    """Refreshing it fills no bucket."""
    server, _, issuer = world

    async def work():
        tokens = [issuer.token(sub="refresher", jti=str(n)) for n in range(5)]
        return [(await post(server, token)).status for token in tokens]

    assert [200] * BURST + [429] * 2 == server.run(work())


def test_images_under_way_are_limited_until_they_end(world):
    """Also those of which only the head is here; the next is refused without reading its body."""
    server, secrets, _ = world
    head = f"POST /v1/images HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {secrets['one']}\r\n"

    async def work():
        client = await server.connect()
        client.writer.write(f"{head}content-length: {len(PHOTO)}\r\n\r\n".encode())
        while (second := await post(server, secrets["one"])).status == 200:
            pass
        client.writer.write(PHOTO)
        first = await client.read()
        return first.status, second, (await post(server, secrets["one"])).status

    first, second, third = server.run(work())

    assert (200, 429, 200) == (first, second.status, third)
    assert ("too_many_in_flight", True) == (second.json()["code"], int(second.headers["retry-after"]) >= 1)


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    """Two servers that share a Redis, their client's keys, and the Redis."""
    folder = tmp_path_factory.mktemp("replicas")
    redis = Redis(folder)
    path = folder / "keys.json"
    keys = {
        "alice": add_key(path, "alice", rate=8.0, burst=1),
        "bob": add_key(path, "bob", in_flight=1),
        "admin": add_key(path, "admin", "admin"),
    }
    flags = ["--keys", str(path), "--cache", redis.url, "--threads", "1", "--workers", "1"]
    with ExitStack() as stack:
        stack.callback(redis.kill)
        stack.callback(redis.client.close)
        yield [stack.enter_context(serving(*flags, admin=keys["admin"])) for _ in range(2)], keys, redis


def test_replicas_share_images_under_way_and_go_on_while_redis_hangs(replicas):
    """An image that is under way at one counts at the other; where Redis does not answer, each counts its own."""
    (here, there), keys, redis = replicas
    head = f"POST /v1/images HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {keys['bob']}\r\n"

    async def until(status):
        while (reply := await post(there, keys["bob"])).status != status:
            pass
        return reply.json().get("code")

    async def work():
        client = await here.connect()
        client.writer.write(f"{head}content-length: {len(PHOTO)}\r\n\r\n".encode())
        shared = await until(429)
        redis.signal(signal.SIGSTOP)
        try:
            await until(200)
        finally:
            redis.signal(signal.SIGCONT)
        await until(429)
        client.writer.write(PHOTO)
        ended = (await client.read()).status
        await until(200)
        return shared, ended

    async def closing():
        return await here.closing(there.closing(work()))

    assert ("too_many_in_flight", 200) == asyncio.run(closing())
    assert "in_flight_not_shared" in there.log


def test_replicas_share_rates_and_go_on_without_redis(replicas):
    """Two servers let a client in as often as one would; when Redis is gone, nobody gets an error for that."""
    servers, keys, redis = replicas

    async def hammer(server, seconds):
        loop, statuses = asyncio.get_running_loop(), []
        begun = loop.time()
        client = await server.connect()
        while loop.time() < begun + seconds:
            statuses.append((await client.post(PHOTO, **bearer(keys["alice"]))).status)
        return statuses, loop.time() - begun

    async def both(seconds):
        found = await asyncio.gather(*(server.closing(hammer(server, seconds)) for server in servers))
        statuses = [status for each, _ in found for status in each]
        assert {200, 429} == set(statuses)
        return statuses.count(200), max(took for _, took in found)

    shared, took = asyncio.run(both(4.0))
    redis.kill()
    alone, _ = asyncio.run(both(2.0))

    assert all("rates_not_shared" in server.log for server in servers)
    assert shared <= 8 * took + 8  # apart from each other they would let in twice as many
    assert alone > 0
