"""Requests made to bring the web process down, or to fill its memory. More: `python -m tests.soak --only abuse`."""

import pytest

from tests.end_to_end.harness import serving

pytestmark = pytest.mark.timeout(120)

HEAD = b"POST /v1/images HTTP/1.1\r\nhost: t\r\n"
FORM = b"--b\r\nno header at all\r\n" + bytes(range(256)) * 100


def test_flood_of_garbage_forms_is_refused_form_by_form():
    """The parser logs a line about each of them, more of them than are written; the same web process serves on."""
    with serving("--workers", "1") as server:
        web = server.web.pid

        async def run():
            client = await server.connect()
            types = {"content_type": "multipart/form-data; boundary=b"}
            return [(await client.request("POST", "/v1/images", FORM, **types)).status for _ in range(60)]

        statuses = server.run(run())

        assert [400] * 60 == statuses
        assert web == server.web.pid


@pytest.mark.parametrize("http_server", ["hypercorn", "uvicorn"])
def test_uploads_broken_off_leave_none_of_their_bytes_behind(http_server):
    """What came of them is let go of when their client leaves, not when the garbage collector comes."""
    with serving("--workers", "1", "--http-server", http_server) as server:

        async def break_off(count):
            for _ in range(count):
                client = await server.connect()
                client.writer.write(HEAD + b"content-length: 900000\r\n\r\n" + bytes(300_000))
                await client.writer.drain()
                client.writer.transport.abort()
            while (await server.metrics())["tureen_arriving_bytes"]:
                pass

        server.run(break_off(20))
        before = server.web.memory_info().rss
        server.run(break_off(100))
        grown = server.web.memory_info().rss - before

    assert grown < 10e6
