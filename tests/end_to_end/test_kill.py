"""kill -9 of each process while clients are being served."""

import asyncio
import signal
import time

import psutil
import pytest

from tests.end_to_end.harness import START_S, serving
from tests.end_to_end.load import Load
from tests.history import checker
from tests.history.footprint import look, settled
from tests.history.load import RecordedLoad, demo_pictures, post_good
from tests.history.operations import History
from tests.photos import photo

pytestmark = pytest.mark.timeout(180)


def test_killed_workers_lose_no_request_and_are_replaced():
    """Five times: what the dead worker held is answered by another, and a new one serves within 5 s."""
    pictures = demo_pictures()
    with serving("--workers", "2", "--slo", "20s") as server:
        before, at_start = server.run(server.metrics()), look(server)

        async def run():
            delays = []
            async with RecordedLoad(History(), server.connect, post_good(pictures), slo_s=20) as load:
                for _ in range(5):
                    await load.more(20)
                    victim = server.workers[0]
                    victim.send_signal(signal.SIGKILL)
                    killed = time.monotonic()
                    await until_ready(server, 2, without=victim.pid)
                    delays.append(time.monotonic() - killed)
            return load.history, delays

        history, delays = server.run(run())
        left_behind = settled(server, at_start)
        after = server.run(server.metrics())

    assert [] == checker.check(history, pictures)
    assert [] == checker.at_rest(after) + checker.agreement(history, before, after) + left_behind
    assert {200} == {ending.status for one in history.operations for ending in one.endings}
    assert all(delay < START_S for delay in delays)


async def until_ready(server, workers, without):
    """Until so many workers are ready, none of them the dead one."""
    while True:
        ready = (await server.metrics())["tureen_workers_ready"]
        if ready == workers and without not in {worker.pid for worker in server.workers}:
            return


def test_only_worker_killed_then_requests_with_time_left_are_answered():
    """With one worker, what comes while it is replaced waits for the new one if its deadline allows."""
    with serving("--workers", "1", "--slo", "20s") as server:

        async def run():
            async with Load(server.connect, 4) as load:
                await load.answers(20)
                server.workers[0].send_signal(signal.SIGKILL)
                await load.answers(50)
            return load.answered

        answered = server.run(run())

    assert {200} == {reply.status for _, reply in answered}


def test_killed_web_process_is_replaced_and_the_port_never_refuses():
    """The supervisor holds the socket: connections made meanwhile wait and are answered by the successor."""
    with serving("--workers", "1") as server:
        first = server.web
        children = first.children(recursive=True)
        first.send_signal(signal.SIGKILL)
        killed = time.monotonic()

        async def run():
            while True:
                client = await server.connect()  # raises if the port refuses
                try:
                    if (await client.request("GET", "/readyz")).status == 200:
                        return await client.post(photo(1))
                except (ConnectionError, asyncio.IncompleteReadError):
                    pass  # was with the process that died

        reply = server.run(run())
        took = time.monotonic() - killed
        _, alive = psutil.wait_procs(children, timeout=10)

        assert 200 == reply.status
        assert took < 5
        assert [] == alive
        assert server.web.pid != first.pid


def test_killed_supervisor_leaves_no_orphan():
    """Web sees its standard input end and stops; the workers see their sockets end."""
    with serving("--workers", "2") as server:
        tree = server.tree()
        server.process.kill()

        _, alive = psutil.wait_procs(tree, timeout=20)

    assert [] == alive
