"""Clients that offer, pipeline, trail, leave or never read: nobody else notices, and nothing of them stays."""

import asyncio
import signal

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, run_on_each, serving, serving_both
from tests.faults.test_heads import CANARY, CHUNKED, answers, post, statuses
from tests.models import dense
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

IMAGE = photo(1)
LENGTH = b"content-length: %d" % len(IMAGE)
LIMIT = 100_000


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def http(request):
    return ("--http-server", request.param)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """About 10 ms an image, so that a few of them wait."""
    return str(dense(tmp_path_factory.mktemp("model") / "slow.onnx", size=32, hidden=(4096, 4096)))


@pytest.fixture(scope="module")
def server(http, model):
    limits = ("--max-image-bytes", str(LIMIT), "--slo", "30s", "--max-batch", "8")
    with serving("--workers", "1", "--model", model, *limits, *http) as server:
        yield server


async def until(server, done):
    """The first metrics of which `done` is true; the test's time limit ends it."""
    while not done(now := await server.metrics()):
        pass
    return now


def gone(now):
    return now.get('tureen_requests_total{outcome="client_gone",resource="images"}', 0.0)


def nothing_held(now):
    return (1.0, 0.0, 0.0) == (
        now["tureen_connections"],
        now["tureen_held_bytes"],
        now["tureen_arriving_bytes"],
    )


def answered(now):
    return now.get('tureen_requests_total{outcome="ok",resource="images"}', 0.0)


def waiting_and_running(now):
    return now["tureen_queue_images"] + now["tureen_running_images"]


def cancelled(now, stage):
    return now[f'tureen_cancelled_images_total{{stage="{stage}"}}']


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
def test_offer_to_upgrade_is_declined_and_the_request_is_answered(server, upgrade):
    """Java's client makes it with every first request: the body is read, and what follows on the connection too."""
    offer = (b"connection: upgrade, http2-settings", b"upgrade: " + upgrade, b"http2-settings: AAMAAABkAAQAAP__")

    assert [200, 200, 200] == statuses(answers(server, 2 * post(*offer, LENGTH, body=IMAGE) + CANARY))


def test_no_tunnel_is_opened(server):
    """CONNECT is refused; what comes after it goes nowhere else."""
    said = answers(server, b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n" + CANARY)

    assert statuses(said)[0] in (400, 404)


def test_trailer_does_not_pass_for_a_header(server):
    """Fields after a chunked body are read past: a proxy in front has not checked them as it does a head."""
    trailers = b"content-encoding: gzip\r\nx-request-timeout-ms: no\r\nx-request-id: trailer\r\n"
    body = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(IMAGE), IMAGE, trailers)
    said = answers(server, post(b"transfer-encoding: chunked", body=body) + CANARY)

    assert [200, 200] == statuses(said)
    assert b"trailer" not in said


def test_pipelined_requests_are_answered_in_order(server):
    """An image, then what is answered faster; each gets its own answer in its turn, and the connection stays."""
    said = answers(server, post(LENGTH, body=IMAGE) + b"GET /nothing HTTP/1.1\r\nhost: t\r\n\r\n" + CANARY)

    assert [200, 404, 200] == statuses(said)


def test_garbage_behind_a_good_request_does_not_take_its_answer(server):
    """The request is answered; then the garbage is, and the connection ends."""
    said = answers(server, post(LENGTH, body=IMAGE) + b"\0garbage\r\n\r\n" + CANARY)

    assert [200, 400] == statuses(said)


def test_pipelined_without_end_takes_no_memory(server):
    """Ten thousand requests behind one image, on ten connections: most are never read, whatever they cost here."""
    flood = post(LENGTH, body=IMAGE) + b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n" * 10_000
    before = server.web.memory_info().rss

    async def run():
        clients = [await server.connect() for _ in range(10)]
        for client in clients:
            client.writer.write(flood)
        firsts = [(await client.read()).status for client in clients]
        return firsts, server.web.memory_info().rss

    firsts, during = server.run(run())
    assert [200] * 10 == firsts
    assert during - before < 30e6


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"5;" + b"x" * 5_000_000, id="chunk extension"),
        pytest.param(b"0\r\nx: " + b"x" * 5_000_000, id="trailer"),
    ],
)
def test_framing_without_end_is_refused(server, endless):
    """What is neither head nor image has the head's limit: 431, without waiting for more."""
    said = answers(server, post(b"transfer-encoding: chunked", body=endless))

    assert [431] == statuses(said)


def test_body_of_tiny_chunks_is_cut_off_at_the_limit(server):
    """A body of one-byte chunks is refused where any other is, and nothing of it stays."""
    before = server.web.memory_info().rss
    said = answers(server, post(b"transfer-encoding: chunked", body=b"1\r\nx\r\n" * (LIMIT + 1) + CHUNKED) + CANARY)

    assert [413, 200] == statuses(said)
    assert server.web.memory_info().rss - before < 50e6


def test_clients_that_leave_take_their_images_along(server):
    """What waits never reaches the model, what is with the worker is dropped; each is counted where it stood."""
    worker = server.workers[0]

    async def run():
        before = await server.metrics()
        clients = [await server.connect() for _ in range(60)]
        staying, leaving = clients[::2], clients[1::2]
        worker.suspend()
        for client in clients:
            await client.send("POST", "/v1/images", IMAGE)
        all_in = await until(server, lambda now: waiting_and_running(now) == 60)
        for client in leaving:
            client.writer.transport.abort()
        left = await until(server, lambda now: gone(now) - gone(before) == 30)
        worker.resume()
        statuses = [(await client.read()).status for client in staying]
        return before, all_in, left, statuses, await server.metrics()

    before, all_in, left, statuses, after = server.run(run())
    assert [200] * 30 == statuses
    assert 30 == waiting_and_running(all_in) - waiting_and_running(left)
    by_stage = [cancelled(left, stage) - cancelled(before, stage) for stage in ("waiting", "running")]
    assert 30 == sum(by_stage)
    assert min(by_stage) > 0
    assert answered(after) - answered(before) == 30.0
    assert 0.0 == after["tureen_held_bytes"]
    assert "InvalidStateError" not in server.log


@pytest.mark.parametrize("more", [b"", CANARY], ids=["alone", "with a pipelined request"])
def test_half_closed_connection_counts_as_left(server, more):
    """A client that says it will send no more is taken to be gone; with a request behind, at its deadline at last."""

    async def run():
        before = await server.metrics()
        client = await server.connect()
        client.writer.write(b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: 9\r\n\r\n")
        await until(server, lambda now: now["tureen_arriving_bytes"] > 0)
        client.writer.write_eof()
        await until(server, lambda now: now["tureen_arriving_bytes"] == 0)
        behind = await server.connect()
        behind.writer.write(post(LENGTH, body=IMAGE) + more)
        behind.writer.transport.abort()
        return before, await until(server, nothing_held)

    before, after = server.run(run())
    assert gone(after) > gone(before)


@pytest.mark.long
def test_client_that_never_reads_does_not_hold_up_the_end():
    """It asks for more than fits into all buffers on the way; after SIGTERM it is left, and the exit code is 0."""

    async def run(server):
        greedy = await server.connect()
        greedy.writer.transport.pause_reading()
        while await more_answered(server, greedy):
            pass
        server.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(server.process.wait, 60)

    with serving_both("--workers", "1", "--shutdown-timeout", "90s") as servers:
        assert dict.fromkeys(HTTP_SERVERS, 0) == run_on_each(servers, run)


async def more_answered(server, greedy, count=25):
    """Ask for this many long answers more; whether they have been given, and not got stuck."""

    async def given():
        return (await server.metrics())['tureen_requests_total{outcome="ok",resource="metrics"}']

    asked = await given()
    greedy.writer.write(b"GET /metrics HTTP/1.1\r\nhost: t\r\n\r\n" * count)
    for polls in range(1, 300):
        if await given() - asked - polls >= count:
            return True
    return False
