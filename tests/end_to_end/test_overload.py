"""Deadlines, urgency and bounds on a server that is busy."""

import asyncio
import json
import time
from collections import Counter

import pytest

from tests.end_to_end.harness import serving
from tests.models import dense
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory):
    """About 10 ms a batch, whatever its size."""
    return dense(tmp_path_factory.mktemp("model") / "slow.onnx", size=32, hidden=(4096, 4096))


async def flood(server, count, *, first=0, **headers):
    clients = [await server.connect() for _ in range(count)]
    replies = await asyncio.gather(*(client.post(photo(first + n), **headers) for n, client in enumerate(clients)))
    for client in clients:
        await client.close()
    return replies


def test_full_queue_refuses_at_once_with_retry_after(slow_model):
    """Past --max-queue the answer is 503 with a wait in whole seconds and one in milliseconds."""
    with serving("--workers", "1", "--model", str(slow_model), "--max-queue", "4", "--slo", "30s") as server:
        replies = server.run(flood(server, 100))

    refused = [reply for reply in replies if reply.status == 503]
    assert {200, 503} == {reply.status for reply in replies}
    assert {"queue_full"} == {reply.json()["code"] for reply in refused}
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert all(reply.json()["retry_after_ms"] >= 0 for reply in refused)


def test_access_log_has_a_line_for_every_request_of_an_overload(slow_model):
    """The refused ones too, also those that are refused before they are parsed."""
    flags = ("--access-log", "--max-queue", "4", "--slo", "30s")
    with serving("--workers", "1", "--model", str(slow_model), *flags) as server:
        replies = [reply for _ in range(2) for reply in server.run(flood(server, 100))]

    lines = [json.loads(line) for line in server.final_log.splitlines()]
    logged = [line for line in lines if line["event"] == "request" and line["resource"] == "images"]
    assert Counter(reply.headers["x-request-id"] for reply in replies) == Counter(line["request_id"] for line in logged)
    assert Counter(reply.status != 200 for reply in replies) == Counter(line["outcome"] != "ok" for line in logged)


def test_more_than_can_be_in_time_is_refused_or_expires_and_the_rest_is_answered(slow_model):
    """With a deadline of 200 ms and 200 images at once, each gets one of three honest outcomes."""
    with serving("--workers", "1", "--model", str(slow_model)) as server:
        server.run(flood(server, 5))
        replies = server.run(flood(server, 200, x_request_timeout_ms="200"))
        after = server.run(server.metrics())

    outcomes = Counter(reply.status if reply.status == 200 else reply.json()["code"] for reply in replies)
    assert outcomes.keys() <= {200, "would_be_late", "deadline_exceeded"}
    assert 200 == outcomes.total()
    assert outcomes["deadline_exceeded"] == sum(
        value for name, value in after.items() if name.startswith("tureen_expired_images_total")
    )
    assert 0.0 == after["tureen_queue_images"] == after["tureen_held_bytes"]


def test_clients_that_follow_retry_after_seldom_ask_in_vain(slow_model):
    """A burst that needs four times its deadline: each comes back when it was told, and few requests are in vain."""
    requests = Counter()

    async def until_answered(client, number, deadline_ms):
        while (reply := await client.post(photo(number), x_request_timeout_ms=deadline_ms)).status != 200:
            requests[reply.json()["code"]] += 1
            await asyncio.sleep(reply.json().get("retry_after_ms", 0) / 1000)  # what is tested

    with serving("--workers", "1", "--model", str(slow_model), "--slo", "30s") as server:
        server.run(flood(server, 5, first=1000))

        async def run():
            clients = [await server.connect() for _ in range(200)]
            began = time.perf_counter()
            await asyncio.gather(*(client.post(photo(2000 + n)) for n, client in enumerate(clients)))
            deadline_ms = str(int(1000 * (time.perf_counter() - began) / 4))  # whatever this machine's speed
            await asyncio.gather(*(until_answered(c, number, deadline_ms) for number, c in enumerate(clients)))

        server.run(run())

    assert requests.keys() <= {"would_be_late", "deadline_exceeded"}
    assert requests["would_be_late"] > 0
    assert requests.total() <= 1000, "told 24 ms where a second is needed, each would ask ten times"


def test_deadline_that_can_never_be_met_is_no_503(slow_model):
    """422 with the shortest time that can be, and no Retry-After; with that much time the image is answered."""
    with serving("--workers", "1", "--model", str(slow_model)) as server:
        server.run(flood(server, 5))

        async def run():
            client = await server.connect()
            never = await client.post(photo(1), x_request_timeout_ms="1")
            enough = str(never.json().get("shortest_ms", 0) + 500)
            return never, await client.post(photo(1), x_request_timeout_ms=enough)

        never, answered = server.run(run())

    assert (422, "deadline_unmeetable") == (never.status, never.json()["code"])
    assert "retry-after" not in never.headers
    assert 1 < never.json()["shortest_ms"] < 500
    assert 200 == answered.status


def test_byte_bound_counts_uploads_under_way(slow_model):
    """As much of them as has come: what is only declared takes no room from others."""
    limits = ("--max-image-bytes", "1MB", "--max-queue-bytes", "2MB")
    with serving("--workers", "1", "--model", str(slow_model), *limits) as server:

        async def run():
            clients = [await server.connect() for _ in range(3)]
            for client in clients[:2]:
                client.writer.write(b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000\r\n\r\n")
            clients[0].writer.write(bytes(500_000))
            while (now := await server.metrics())["tureen_arriving_bytes"] < 500_000:
                pass
            return now["tureen_arriving_bytes"], await clients[2].post(photo(1))

        arriving, reply = server.run(run())

    assert 500_000 < arriving < 550_000
    assert 200 == reply.status


def test_client_that_leaves_takes_its_image_along(slow_model):
    """Images whose clients have gone are dropped, and counted by the stage they had reached."""
    with serving("--workers", "1", "--model", str(slow_model), "--slo", "30s") as server:

        async def run():
            clients = [await server.connect() for _ in range(60)]
            for n, client in enumerate(clients):
                await client.send("POST", "/v1/images", photo(n))
            for client in clients[10:]:
                client.writer.transport.abort()
            statuses = [(await client.read()).status for client in clients[:10]]
            while not (await server.metrics()).get('tureen_requests_total{outcome="client_gone",resource="images"}'):
                pass
            return statuses

        statuses = server.run(run())
        after = server.run(server.metrics())

    assert [200] * 10 == statuses
    cancelled = sum(v for k, v in after.items() if k.startswith("tureen_cancelled_images_total"))
    assert cancelled > 0
