"""Several web processes: whatever happens to one of them, there is one queue, one promise and one page of metrics."""

import asyncio
import os
import signal

import psutil
import pytest

from tests.end_to_end.harness import START_S, serving
from tests.end_to_end.load import Load
from tests.photos import photo

pytestmark = pytest.mark.timeout(180)

FRONT, ENGINE = "server.web.front_process", "server.web.process"


@pytest.fixture(scope="module")
def server():
    with serving("--web", "2", "--workers", "1", "--slo", "20s") as server:
        yield server


def processes(server, module):
    """The children of the supervisor that run a module."""
    return [child for child in psutil.Process(server.process.pid).children() if module in cmdline(child)]


def cmdline(process):
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


async def connections(server, count):
    return [await server.connect() for _ in range(count)]


def test_metrics_are_one_page(server):
    """Requests of all connections are counted there, whichever front answers them and whichever is asked."""

    async def run():
        before = await server.metrics()
        for client in await connections(server, 8):
            for _ in range(3):
                assert 200 == (await client.post(photo(1))).status
        return before, await until(server, lambda now: now[OK] >= before.get(OK, 0) + 24)

    before, after = server.run(run())

    name = "tureen_answered_images_total"
    assert before.get(OK, 0) + 24 == after[OK]
    assert before[name] + 24 == after[name]


OK = 'tureen_requests_total{outcome="ok",resource="images"}'


async def until(server, true):
    """The metrics, as soon as they are as they should be: a front tells what it has counted ten times per second."""
    while not true(now := await server.metrics()):
        pass
    return now


def test_connections_are_spread(server):
    """No front takes all that come."""

    async def run():
        clients = await connections(server, 32)
        for client in clients:
            await client.request("GET", "/healthz")
        return [len(front.net_connections("tcp")) for front in processes(server, FRONT)]

    assert min(server.run(run())) > 1  # one is the listening socket


def test_all_load_on_one_connection_is_admitted_by_what_all_workers_do(server):
    """One connection and 31 silent ones: nobody is refused for standing at the wrong front."""

    async def run():
        silent = await connections(server, 31)
        async with Load(server.connect, 1) as load:
            await load.answers(20)
        return {reply.status for _, reply in load.answered}, len(silent)

    assert ({200}, 31) == server.run(run())


def test_half_of_the_connections_die(server):
    """Their images are taken back; those of the other half are answered."""

    async def run():
        clients = await connections(server, 16)
        before = await server.metrics()
        for client in clients:
            await client.send("POST", "/v1/images", photo(2))
        for client in clients[::2]:
            client.writer.transport.abort()
        answers = await asyncio.gather(*[client.read() for client in clients[1::2]])
        after = await until(server, lambda now: not now["tureen_held_bytes"] + now["tureen_running_images"])
        return before, answers, after

    before, answers, after = server.run(run())

    assert [200] * 8 == [answer.status for answer in answers]
    assert settled(after) - settled(before) == accepted(after) - accepted(before)


def accepted(metrics):
    return metrics["tureen_accepted_images_total"]


def settled(metrics):
    names = ("tureen_answered_images_total", "tureen_cancelled_images_total", "tureen_failed_images_total")
    return sum(value for name, value in metrics.items() if name.startswith(names))


def test_bytes_of_uploads_are_counted_together(server):
    """What one front holds, the page of metrics and the other front know of."""

    async def run():
        for client in await connections(server, 4):
            await client.send("POST", "/v1/images", b"\xff" * 100_000, content_length="200000")
        return (await until(server, lambda now: now["tureen_arriving_bytes"] >= 400_000))["tureen_arriving_bytes"]

    assert server.run(run()) < 500_000


def test_killed_front_takes_its_connections_with_it_and_no_others(server):
    """Another comes in its place; its images are taken back; the worker goes on."""

    async def run():
        clients = await connections(server, 16)
        for client in clients:
            await client.post(photo(1))
        victim = processes(server, FRONT)[0]
        victim.kill()
        replies = await asyncio.gather(*[client.post(photo(3)) for client in clients], return_exceptions=True)
        return replies, victim.pid

    worker = server.workers[0].pid
    replies, dead = server.run(run())

    assert {200} == {reply.status for reply in replies if not isinstance(reply, Exception)}
    assert 4 <= sum(isinstance(reply, Exception) for reply in replies) <= 12
    while len(fronts := processes(server, FRONT)) < 2 or dead in {front.pid for front in fronts}:
        pass
    assert worker == server.workers[0].pid
    assert 200 == server.run(post(server)).status


async def post(server):
    return await (await server.connect()).post(photo(1))


def test_killed_engine_costs_no_connection(server):
    """What it had is answered 503 with Retry-After; its successor answers on the same connections."""

    async def run():
        clients = await connections(server, 8)
        for client in clients:
            await client.post(photo(1))
        os.kill(server.web.pid, signal.SIGKILL)
        replies = []
        async with asyncio.timeout(4 * START_S):
            while not replies or replies[-1].status != 200:
                replies = await asyncio.gather(*[client.post(photo(4)) for client in clients])
                assert {reply.status for reply in replies} <= {200, 503}
                assert all("retry-after" in reply.headers for reply in replies if reply.status == 503)
        return [reply.status for reply in replies]

    assert 200 in server.run(run())


def test_limit_of_connections_and_drain_are_the_servers():
    """One connection too many is refused, wherever it arrives; at the end every accepted image is answered."""
    with serving("--web", "2", "--workers", "1", "--slo", "20s", "--max-connections", "13") as server:

        async def run():
            clients = await connections(server, 12)
            for client in clients:
                await client.post(photo(1))
            for client in clients:
                await client.send("POST", "/v1/images", photo(2))
            await until(server, lambda now: accepted(now) >= 24)
            more = [await (await server.connect()).request("GET", "/healthz") for _ in range(3)]
            server.process.terminate()
            return await asyncio.gather(*[client.read() for client in clients]), more

        answers, more = server.run(run())

        refused = [reply.json()["code"] for reply in more if reply.status == 503]
        assert {"too_many_connections"} == set(refused)
        assert 2 <= len(refused)  # the one before may have been the metrics', just closed
        assert [200] * 12 == [answer.status for answer in answers]
        assert 0 == server.wait()
