"""Heads that are late, too large, or could be read in two ways: refused, closed, and never smuggled past."""

import asyncio
import re
import resource

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, run_on_each, serving, serving_both
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

IMAGE = photo(1)
CANARY = b"GET /healthz HTTP/1.1\r\nhost: canary\r\n\r\n"


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def http(request):
    return ("--http-server", request.param)


@pytest.fixture(scope="module")
def server(http):
    with serving("--workers", "1", *http) as server:
        yield server


def answers(server, raw):
    """Everything the server says to these bytes until it closes, or until it has answered a canary after them."""

    async def run():
        client = await server.connect()
        client.writer.write(raw)
        said = b""
        async with asyncio.timeout(20):
            while b'"alive"' not in said and (more := await client.reader.read(65536)):
                said += more
        return said

    return server.run(run())


def statuses(said):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", said)]


def post(*headers, body=b"", version=b"1.1"):
    head = b"".join(header + b"\r\n" for header in headers)
    return b"POST /v1/images HTTP/" + version + b"\r\nhost: t\r\n" + head + b"\r\n" + body


CHUNKED = b"0\r\n\r\n"
AMBIGUOUS = {
    "CL and TE": post(b"content-length: 5", b"transfer-encoding: chunked", body=CHUNKED),
    "TE and CL": post(b"transfer-encoding: chunked", b"content-length: 46", body=CHUNKED),
    "TE on 1.0": post(b"transfer-encoding: chunked", body=CHUNKED, version=b"1.0"),
    "HTTP/9.9": post(b"content-length: 0", version=b"9.9"),
    "two different CLs": post(b"content-length: 0", b"content-length: 5", body=b"12345"),
    "signed CL": post(b"content-length: +5", body=b"12345"),
    "hex CL": post(b"content-length: 0x5", body=b"12345"),
    "CL with an underscore": post(b"content-length: 1_0", body=b"1234567890"),
    "space before the colon": post(b"content-length : 5", body=b"12345"),
    "TE of two codings": post(b"transfer-encoding: gzip, chunked", body=CHUNKED),
    "TE identity": post(b"transfer-encoding: identity", b"content-length: 0"),
    "chunk size of letters": post(b"transfer-encoding: chunked", body=b"zz\r\n\r\n0\r\n\r\n"),
    "chunk without its end": post(b"transfer-encoding: chunked", body=b"3\r\nabcd\r\n0\r\n\r\n"),
    "chunk size with a sign": post(b"transfer-encoding: chunked", body=b"-1\r\nabc\r\n0\r\n\r\n"),
    "chunk size in hex notation": post(b"transfer-encoding: chunked", body=b"0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk extension ended by LF": post(b"transfer-encoding: chunked", body=b"2;\nxx\r\n4c\r\n0\r\n\r\n"),
    "TE twice": post(b"transfer-encoding: chunked", b"transfer-encoding: chunked", body=CHUNKED),
    "TE after a vertical tab": post(b"transfer-encoding: \x0bchunked", body=CHUNKED),
    "TE nobody knows": post(b"transfer-encoding: xchunked", body=CHUNKED),
    "folded TE": post(b"transfer-encoding:\r\n chunked", body=CHUNKED),
    "folded header": post(b"x: 1\r\n\ty", b"content-length: 0"),
    "folded first header": post(b" x: 1", b"content-length: 0"),
    "CR in a header": post(b"x: a\rcontent-length: 5", b"content-length: 0"),
    "NUL in a header": post(b"x: a\0b", b"content-length: 0"),
    "no header name": post(b": x", b"content-length: 0"),
    "CL past any number": post(b"content-length: " + b"9" * 30, body=b"1"),
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/1.2": post(b"content-length: 0", version=b"1.2"),
    "HTTP/2.0": post(b"content-length: 0", version=b"2.0"),
    "path that is not ASCII": b"GET /\xff HTTP/1.1\r\nhost: t\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "no host": b"POST /v1/images HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
    "two hosts": post(b"host: other", b"content-length: 0"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_canary_behind_an_ambiguous_request_is_never_answered(server, name):
    """One answer, 400 or 501, and the connection ends: what follows is not taken for a second request."""
    said = answers(server, AMBIGUOUS[name] + CANARY)

    assert statuses(said) in ([400], [501])
    assert b"alive" not in said


def test_canary_behind_a_plain_request_is_answered(server):
    """The control: the same harness sees a pipelined request that is one."""
    said = answers(server, post(b"content-length: %d" % len(IMAGE), body=IMAGE) + CANARY)

    assert [200, 200] == statuses(said)


@pytest.mark.parametrize(
    "raw",
    [
        post(*[b"x-%d: 1" % n for n in range(200)], b"content-length: 0"),
        post(*[b"x-%d: %s" % (n, b"a" * 900) for n in range(30)], b"content-length: 0"),
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: t\r\n\r\n",
        post(b"x: " + b"a" * 200_000, b"content-length: 0"),
        post(b"x: " + b"a" * 5_000_000, b"content-length: 0"),
    ],
    ids=["200 headers", "27 kB of headers", "a target of 100 kB", "a header of 200 kB", "a header of 5 MB"],
)
def test_too_much_head_is_refused(server, raw):
    """431, and the connection ends; a client that is still sending gets the answer all the same, not a reset."""
    assert [431] == statuses(answers(server, raw + CANARY))


def test_encoded_body_is_refused(server):
    """Nothing is unpacked: 10 GB of zeros stay a few megabytes."""
    raw = post(b"content-encoding: gzip", b"content-length: %d" % len(IMAGE), body=IMAGE)

    assert [415, 200] == statuses(answers(server, raw + CANARY))


def test_late_head_is_refused_and_counted():
    """Its first byte starts the clock, and further bytes do not set it back; it is told, and closed."""

    async def run(server):
        first, later = await server.connect(), await server.connect()
        assert 200 == (await later.request("GET", "/healthz")).status
        for client in (first, later):
            client.writer.write(b"GET /healthz HTTP/1.1\r\n")
            client.writer.write(b"x: 1\r\n")
        said = [(reply.status, reply.json()["code"]) for reply in (await first.read(), await later.read())]
        assert (b"", b"") == (await first.reader.read(), await later.reader.read())
        return said, (await server.metrics())["tureen_slow_heads_total"]

    with serving_both("--workers", "1") as servers:
        late = [(408, "head_timeout")] * 2
        assert dict.fromkeys(HTTP_SERVERS, (late, 2.0)) == run_on_each(servers, run)


@pytest.mark.long
def test_trickling_body_is_given_up_before_its_time_limit():
    """At one byte a second it would hold its connection for an hour; a minimum rate ends it."""

    async def run(server):
        client = await server.connect()
        client.writer.write(post(b"content-length: 3600", body=b"1"))
        reply = await client.read()
        return reply.status, reply.json()["code"], reply.headers["connection"]

    with serving_both("--workers", "1", "--upload-timeout", "1h") as servers:
        assert dict.fromkeys(HTTP_SERVERS, (408, "upload_timeout", "close")) == run_on_each(servers, run)


async def health(server):
    """The status a new connection gets."""
    client = await server.connect()
    reply = await client.request("GET", "/healthz")
    await client.close()
    return reply.status


def test_connections_past_the_limit_are_turned_away_and_those_inside_are_served(http):
    """503 with Retry-After, at once; room that is given back is used again."""
    with serving("--workers", "1", "--max-connections", "10", "--keep-alive", "1h", *http) as server:

        async def run():
            inside = [await server.connect() for _ in range(10)]
            assert {200} == {(await client.request("GET", "/healthz")).status for client in inside}
            outside = [await server.connect() for _ in range(8)]
            for client in outside:  # as clients do: at once, before they have read anything
                client.writer.write(post(b"content-length: 1000000", body=bytes(1_000_000)))
            turned_away = [await client.read() for client in outside]
            await inside[0].close()
            while (await health(server)) != 200:
                pass
            return turned_away, await inside[1].post(IMAGE)

        outside, reply = server.run(run())

    assert [(503, "1", "close")] * 8 == [
        (reply.status, reply.headers["retry-after"], reply.headers["connection"]) for reply in outside
    ]
    assert 200 == reply.status


def test_limit_of_open_files_bounds_the_connections(http):
    """With 256 descriptors and 400 clients, those inside are served and the rest turned away; it recovers."""
    with serving("--workers", "1", *http, limits={resource.RLIMIT_NOFILE: 256}) as server:

        async def run():
            clients = await asyncio.gather(*(server.connect() for _ in range(400)))
            for client in clients:
                client.writer.write(CANARY)
            said = await asyncio.gather(*(client.reader.readline() for client in clients), return_exceptions=True)
            for client in clients:
                await client.close()
            while await health(server) != 200:
                pass
            while (await server.metrics())["tureen_connections"] > 1:
                pass
            return said, await (await server.connect()).post(IMAGE)

        said, reply = server.run(run())

    served = sum(isinstance(line, bytes) and line.startswith(b"HTTP/1.1 200 ") for line in said)
    assert 100 < served <= 192
    assert 200 == reply.status
