"""What a client without a key can make the server do: read its head, and say no."""

import asyncio
import zlib

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.photos import photo
from tests.preprocess.pictures import chunk, png
from tests.security.issuer import AUDIENCE, issuing
from tests.security.keys import add_key, bearer

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)
HEAD = b"POST /v1/images HTTP/1.1\r\nhost: t\r\n"
BOMB = png(13_000, 13_000, chunk(b"IDAT", zlib.compress(b"\0" * 13_001 * 13_000)), colour=0)
FORM = b"--b\r\nno header at all\r\n" + bytes(range(256)) * 100
DEEP = b"[" * 100_000
PIECE = 1_000_000
DECLARED, ENDLESS = b"content-length: 19000000", b"transfer-encoding: chunked"


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def world(request, tmp_path_factory):
    """A server that knows keys and tokens, and its administrator's key."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    secrets = {"admin": add_key(path, "admin", "admin"), "alice": add_key(path, "alice")}
    with issuing() as issuer:
        flags = ["--http-server", request.param, "--keys", str(path), "--threads", "1", "--access-log", "on"]
        flags += ["--jwt-issuer", issuer.url, "--jwt-audience", AUDIENCE]
        with serving(*flags, "--workers", "1", admin=secrets["admin"]) as server:
            yield server, secrets, issuer


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BOMB, {}),
        (FORM, {"content_type": "multipart/form-data; boundary=b"}),
        (b"no image", {}),
        (b"", {}),
        (PHOTO, {"x_request_timeout_ms": "nonsense"}),
        (PHOTO, {"authorization": "Bearer x.y.z"}),
        (DEEP, {"content_type": "application/json"}),
    ],
    ids=["bomb", "garbage form", "no image", "empty", "bad timeout", "bad token", "deep JSON"],
)
def test_a_body_is_not_looked_at_before_its_key(world, body, headers):
    """401, whatever it holds, and no image is counted as received."""
    server, *_ = world
    before = server.run(server.metrics())

    async def work():
        client = await server.connect()
        return (await client.post(body, **headers)).status

    assert 401 == server.run(work())
    after = server.run(server.metrics())
    moved = {name for name in after if "image" in name and after[name] != before.get(name, 0)}
    assert {name for name in moved if 'outcome="unauthenticated"' not in name} == set()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_compressed_body_is_refused_by_its_head(world, encoding):
    """Before a byte of it has come: nothing is unpacked, so that no bomb goes off."""
    server, *_ = world

    async def work():
        client = await server.connect()
        client.writer.write(HEAD + f"content-encoding: {encoding}\r\ncontent-length: 50000\r\n\r\n".encode())
        return (await client.read()).status

    assert 415 == server.run(work())


def test_large_bodies_without_a_key_are_neither_read_nor_held(world):
    """Thirty at a time, declared and endless ones: each is answered 401 while it sends, and nothing of it is kept."""
    server, *_ = world

    async def send(number):
        client = await server.connect()
        declared = number % 2
        client.writer.write(HEAD + (DECLARED if declared else ENDLESS) + b"\r\n\r\n")
        head = await client.reader.readuntil(b"\r\n\r\n")
        sent = 0
        try:
            while sent < 19 * PIECE:
                piece = bytes(PIECE)
                client.writer.write(piece if declared else b"%x\r\n%b\r\n" % (PIECE, piece))
                async with asyncio.timeout(5):
                    await client.writer.drain()
                sent += PIECE
        except (ConnectionError, TimeoutError):
            pass
        return head.split()[1]

    async def work():
        before = server.web.memory_info().rss
        async with asyncio.TaskGroup() as tasks:
            clients = [tasks.create_task(send(number)) for number in range(30)]
        return {task.result() for task in clients}, server.web.memory_info().rss - before, await server.metrics()

    statuses, grown, metrics = server.run(work())

    assert {b"401"} == statuses
    assert grown < 30e6  # of 570 MB that they would send
    assert 0 == metrics["tureen_arriving_bytes"]


@pytest.mark.parametrize(
    "head",
    [
        b"authorization: Bearer " + b"x" * 1_000_000 + b"\r\n",
        b"authorization: Bearer " + b"a.b.c" * 20_000 + b"\r\n",
        b"".join(b"x-%d: y\r\n" % n for n in range(5000)),
        b"cookie: " + b"y" * 200_000 + b"\r\n",
    ],
    ids=["token of 1 MB", "token of 100 kB", "5,000 headers", "200 kB of cookie"],
)
def test_a_head_that_is_a_bomb_is_refused_unread(world, head):
    """431, and the connection ends."""
    server, *_ = world

    async def work():
        client = await server.connect()
        client.writer.write(HEAD + head + b"content-length: 0\r\n\r\n")
        reply = await client.read()
        return reply.status, reply.headers["connection"]

    assert (431, "close") == server.run(work())


def test_no_client_adds_a_series_to_the_metrics(world):
    """Random paths, methods, models, request ids, credentials and token subjects: their number stays the same."""
    server, secrets, issuer = world

    async def ask(method, path, credential, **headers):
        client = await server.connect()
        await client.request(method, path, PHOTO if method == "POST" else b"", **bearer(credential), **headers)

    async def work():
        admin = secrets["admin"]
        for method, path in (
            ("GET", "/nowhere"),
            ("GET", "/v1/images/x"),
            ("PUT", "/v1/images"),
            ("POST", "/v1/images"),
            ("M", "/"),
        ):
            await ask(method, path, admin)  # what may be new is by now
        await ask("POST", "/v1/images", issuer.token())
        await ask("POST", "/v1/images", "tureen_unknown")
        before = await server.metrics()
        for n in range(150):
            name = f"x{n}"
            await ask("GET", f"/v1/{name}?{name}", admin, x_request_id=name)
            await ask("GET", f"/v1/images/{name}", admin)
            await ask(f"M{n}", "/", admin)
            await ask("POST", "/v1/images", f"tureen_{name}", user_agent=name, model=name)
            if n % 5 == 0:
                await ask("POST", "/v1/images", issuer.token(sub=name))
        client = await server.connect()
        page = await client.request("GET", "/metrics", **bearer(admin))
        return before, await server.metrics(), len(page.body)

    before, after, size = server.run(work())

    assert before.keys() == after.keys()
    assert size < 200_000


def test_log_lines_are_one_line_each_and_say_nothing_of_credentials(world):
    """Control characters in whatever a client names reach no terminal."""
    server, *_ = world

    async def work():
        client = await server.connect()
        client.writer.write(
            b"GET /\x1b[31mred HTTP/1.1\r\nhost: t\r\nx-request-id: a\x1b[2Jb\r\n"
            b"authorization: Bearer c\x07anary\r\n\r\n"
        )
        await client.reader.read(10)
        other = await server.connect()
        await other.request("GET", "/%0aforged%0d%1b%5b31m", x_request_id="x" * 5000)

    server.run(work())

    assert not set(server.log) & {"\x1b", "\x07", "\r"}
    assert "forged" not in server.log
    assert "anary" not in server.log
