"""HTTP/1.1 and nothing else, on a raw socket."""

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def server(request):
    with serving("--workers", "1", "--http-server", request.param) as server:
        yield server


def first_line(server, raw):
    async def run():
        client = await server.connect()
        client.writer.write(raw)
        return await client.reader.readline()

    return server.run(run())


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAMAAABkAAQAAP__\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/images HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ],
    ids=["h2c upgrade", "h2 preface", "websocket"],
)
def test_no_other_protocol_is_spoken(server, raw):
    """Never 101, never an HTTP/2 frame: a proxy in front would pass on what it cannot see."""
    line = first_line(server, raw)

    assert line.startswith(b"HTTP/1.1 ")
    assert b" 101 " not in line


def test_keep_alive_serves_many_requests(server):
    """No cap on the requests of a connection."""

    async def run():
        client = await server.connect()
        return {(await client.request("GET", "/healthz")).status for _ in range(1500)}

    assert {200} == server.run(run())


def test_expect_100_continue_is_honoured(server):
    """curl asks before it sends a large body."""

    async def run():
        client = await server.connect()
        image = photo(1)
        head = f"POST /v1/images HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: {len(image)}\r\n\r\n"
        client.writer.write(head.encode())
        interim = await client.reader.readuntil(b"\r\n\r\n")
        client.writer.write(image)
        return interim, (await client.read()).status

    interim, status = server.run(run())
    assert interim.startswith(b"HTTP/1.1 100 ")
    assert 200 == status


def test_client_that_leaves_in_mid_body_is_no_error(server):
    """Its connection ended; nothing is logged, nothing is held."""

    async def run():
        client = await server.connect()
        client.writer.write(b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n123")
        await client.writer.drain()
        while not (await server.metrics())["tureen_arriving_bytes"]:
            pass
        client.writer.transport.abort()
        while (await server.metrics())["tureen_arriving_bytes"]:
            pass
        return await server.metrics()

    after = server.run(run())
    assert 1.0 == after['tureen_requests_total{outcome="client_gone",resource="images"}']
    assert "Traceback" not in server.log
