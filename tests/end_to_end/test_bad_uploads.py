"""Uploads that are not what they should be: the right status and code, and no harm to a neighbour."""

import asyncio

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.models import dense
from tests.photos import photo
from tests.reference import Reference

pytestmark = pytest.mark.timeout(120)

LIMIT = 500_000
GOOD = photo(7)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return dense(tmp_path_factory.mktemp("model") / "small.onnx")


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def server(model, request):
    limits = ("--max-image-bytes", str(LIMIT), "--max-pixels", "1000000", "--upload-timeout", "2s")
    with serving("--workers", "1", "--model", str(model), "--http-server", request.param, *limits) as server:
        yield server


def outcome(reply):
    return reply.status, reply.json()["code"]


BAD = {
    "empty": (b"", 422, "image_empty"),
    "not an image": (b"hello, world" * 100, 415, "not_an_image"),
    "another format": (b"II*\0" + bytes(100), 415, "unsupported_format"),
    "truncated": (GOOD[: len(GOOD) * 2 // 3], 422, "image_truncated"),
    "cut in its header": (GOOD[:30], 422, "image_truncated"),
    "damaged": (GOOD[:400] + bytes(200) + GOOD[600:], 422, None),
    "too many pixels": (photo(8, 1200, 900), 422, "too_many_pixels"),
    "too large": (GOOD + bytes(LIMIT), 413, "body_too_large"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_upload_gets_its_status_and_code(server, name):
    """Each is a problem document with the request's id; the connection serves the next request."""
    body, status, code = BAD[name]

    async def run():
        client = await server.connect()
        return await client.post(body, x_request_id="r-1"), await client.post(GOOD)

    bad, good = server.run(run())
    problem = bad.json()
    if name == "damaged":  # a flipped stretch may also decode, to a picture with a stripe
        assert bad.status in (200, 422)
    else:
        assert (status, code) == outcome(bad)
        assert "application/problem+json" == bad.headers["content-type"]
        assert {"type", "title", "status", "code", "request_id"} == problem.keys()
        assert "r-1" == problem["request_id"] == bad.headers["x-request-id"]
    assert 200 == good.status


def test_too_large_without_content_length(server):
    """A chunked body is cut off at the limit, however much more would come."""

    async def run():
        client = await server.connect()
        client.writer.write(b"POST /v1/images HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(LIMIT // 10_000 + 5):
            client.writer.write(b"2710\r\n" + bytes(10_000) + b"\r\n")
            await client.writer.drain()
        return await client.read()

    assert (413, "body_too_large") == outcome(server.run(run()))


def test_declared_too_large_is_refused_before_the_body_comes(server):
    """The answer is there although not one byte of the body was sent."""

    async def run():
        client = await server.connect()
        client.writer.write(b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: 9999999\r\n\r\n")
        return await client.read()

    assert (413, "body_too_large") == outcome(server.run(run()))


def test_slow_body_times_out(server):
    """A body that does not come is given up after --upload-timeout."""

    async def run():
        client = await server.connect()
        client.writer.write(b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\n123")
        return await client.read()

    assert (408, "upload_timeout") == outcome(server.run(run()))


def test_early_answers_leak_no_connection(server):
    """Clients that send much more than anybody reads, and leave: descriptors go back to where they were."""
    before = server.web.num_fds()

    async def overfill():
        client = await server.connect()
        client.writer.write(b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: 5000000\r\n\r\n")
        client.writer.write(bytes(5_000_000))
        reply = await client.read()
        await client.close()
        return reply.status

    async def run():
        statuses = await asyncio.gather(*(overfill() for _ in range(50)))
        await until_fds(server, before + 2)
        return statuses

    assert [413] * 50 == server.run(run())


async def until_fds(server, limit):
    """Ask for health until the web process has let go of what it held; the test's time limit ends it."""
    while server.web.num_fds() > limit + 1:
        client = await server.connect()
        await client.request("GET", "/healthz")
        await client.close()


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"x_request_timeout_ms": "soon"}, 400, "bad_timeout"),
        ({"x_request_timeout_ms": "0"}, 400, "bad_timeout"),
        ({"x_request_timeout_ms": "600001"}, 400, "bad_timeout"),
    ],
)
def test_timeout_header_must_make_sense(server, headers, status, code):
    """A deadline nobody can read is refused, not guessed."""

    async def run():
        return await (await server.connect()).post(GOOD, **headers)

    assert (status, code) == outcome(server.run(run()))


def test_unknown_path_and_method(server):
    """404 and 405 are problem documents too; 405 says what is allowed."""

    async def run():
        client = await server.connect()
        return await client.request("GET", "/nothing"), await client.request("GET", "/v1/images")

    missing, wrong = server.run(run())
    assert (404, "not_found") == outcome(missing)
    assert (405, "method_not_allowed") == outcome(wrong)
    assert "OPTIONS, POST" == wrong.headers["allow"]


def test_bad_images_do_not_disturb_their_neighbours(server, model):
    """Good and bad uploads share one worker and its batches; every good one gets its own answer."""
    reference = Reference(model)
    uploads = [photo(n) if n % 3 else photo(n)[:-200] for n in range(300)]

    async def run():
        clients = [await server.connect() for _ in range(30)]

        async def work(k):
            return [
                (n, await clients[k].post(uploads[n], x_request_timeout_ms="30000"))
                for n in range(k, len(uploads), len(clients))
            ]

        return [pair for pairs in await asyncio.gather(*map(work, range(len(clients)))) for pair in pairs]

    for n, reply in server.run(run()):
        if n % 3:
            assert 200 == reply.status
            assert reference.agrees(uploads[n], reply.json())
        else:
            assert (422, "image_truncated") == outcome(reply)
