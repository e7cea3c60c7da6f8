"""Workers that hang, grow, or die with nothing in hand."""

import asyncio

import psutil
import pytest

from server import demo
from tests.end_to_end.harness import before_all, serving
from tests.end_to_end.load import IMAGES, Load
from tests.faults.test_poison import POISON
from tests.faults.test_poison import environ as poison_environ
from tests.photos import photo
from tests.reference import Reference

pytestmark = pytest.mark.timeout(180)


@pytest.mark.long
def test_stopped_worker_is_killed_and_its_image_answered_by_another():
    """SIGSTOP makes a worker hang for good: after ten silent seconds it is replaced, and loses nothing."""
    with serving("--workers", "2", "--slo", "60s", "--max-batch", "1") as server:  # each takes two images
        for worker in server.workers:
            worker.suspend()

        async def run():
            clients = [await server.connect() for _ in range(4)]
            for n, client in enumerate(clients):
                await client.send("POST", "/v1/images", IMAGES[n])
            while (await accepted(server)) < 4:
                pass
            answers = [await client.read() for client in clients]
            await server.restarted("hang", 2)
            return answers, await server.metrics()

        replies, after = server.run(run())

    reference = Reference(demo.FOLDER)
    assert [200] * 4 == [reply.status for reply in replies]
    assert all(reference.agrees(IMAGES[n], reply.json()) for n, reply in enumerate(replies))
    assert 2.0 == after['tureen_worker_restarts_total{reason="hang"}']


def test_images_behind_one_that_hangs_are_answered_by_another_worker():
    """One of two workers stands still with two images: the one that it may have begun waits, the other does not."""
    with serving("--workers", "2", "--slo", "60s", "--max-batch", "1") as server:

        async def run():
            await server.all_ready()
            still = server.workers[0]
            still.suspend()
            clients = [await server.connect() for _ in range(4)]
            for n, client in enumerate(clients):
                await client.send("POST", "/v1/images", IMAGES[n])
            reading = [asyncio.ensure_future(client.read()) for client in clients]
            while sum(task.done() for task in reading) < 3:
                await asyncio.wait(reading, timeout=0.1)
            restarted = (await server.metrics())['tureen_worker_restarts_total{reason="hang"}']
            still.resume()
            return await asyncio.gather(*reading), restarted, await server.metrics()

        replies, restarted, after = server.run(run())

    reference = Reference(demo.FOLDER)
    assert [200] * 4 == [reply.status for reply in replies]
    assert all(reference.agrees(IMAGES[n], reply.json()) for n, reply in enumerate(replies))
    assert 0 == restarted
    assert after["tureen_retried_images_total"] >= 1


@pytest.mark.long
def test_grown_worker_is_replaced_when_it_is_empty():
    """A worker past its allowance answers what it has, then makes room for a fresh one; nobody notices."""
    large = photo(1, 2400, 1800, "PNG")  # decoding it takes some 20 MB more than the worker had
    with serving("--workers", "2", "--slo", "60s", "--max-worker-growth", "4MB") as server:

        async def run():
            async with Load(server.connect, 4) as load:
                client = await server.connect()
                while not (await server.metrics())['tureen_worker_restarts_total{reason="memory"}']:
                    assert 200 == (await client.post(large)).status
                await load.answers(50)
            return load.answered, await server.metrics()

        answered, after = server.run(run())

    assert {200} == {reply.status for _, reply in answered}
    assert 0.0 == after["tureen_retried_images_total"]


@pytest.mark.long
def test_grown_worker_that_hangs_before_it_is_empty_is_killed(tmp_path):
    """It is to be replaced, but only once it has answered; as it never does, it is replaced all the same."""
    growing = "global kept; kept = bytearray(60_000_000); signal.pause()"
    environ = poison_environ(tmp_path, growing)
    with serving("--workers", "1", "--slo", "60s", "--max-worker-growth", "40MB", environ=environ) as server:

        async def run():
            client = await server.connect()
            await client.send("POST", "/v1/images", POISON)
            await server.restarted("hang", 1)
            return await (await server.connect()).post(photo(1))

        assert 200 == server.run(run()).status


@pytest.mark.long
def test_images_are_refused_at_once_while_a_successor_hangs_at_its_start(tmp_path):
    """The only worker is gone and the next one hangs: nobody is accepted in vain."""
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, signal, sys\n"
        "if 'server.inference.worker' in sys.orig_argv and pathlib.Path(__file__).with_name('hang').exists():\n"
        "    signal.pause()\n"
    )
    with serving("--workers", "1", "--slo", "1s", environ={"PYTHONPATH": before_all(tmp_path)}) as server:

        async def run():
            (tmp_path / "hang").touch()
            for worker in server.workers:
                worker.kill()
            client = await server.connect()
            while (await client.post(photo(1))).json().get("code") != "not_ready":
                pass
            before = await server.metrics()
            replies = [await client.post(photo(1)) for _ in range(50)]
            return replies, before, await server.metrics()

        replies, before, after = server.run(run())

    assert {(503, "not_ready")} == {(reply.status, reply.json()["code"]) for reply in replies}
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in replies)
    assert before["tureen_accepted_images_total"] == after["tureen_accepted_images_total"]


def test_worker_that_keeps_dying_with_nothing_in_hand_ends_the_server():
    """No image is to blame, so another try would go the same way: five in a row, then the last line says so."""
    with serving("--workers", "1") as server:

        async def run():
            killed = set()
            while server.process.poll() is None:
                for worker in workers(server):
                    if worker.pid not in killed and (await ready(server)):
                        killed.add(worker.pid)
                        worker.kill()
            return len(killed)

        killed = server.run(run())

    assert 5 == killed
    assert 1 == server.process.returncode
    assert "5 workers in a row died soon after they were ready, with nothing in hand" in server.final_log


async def accepted(server):
    return (await server.metrics())["tureen_accepted_images_total"]


def workers(server):
    try:
        return server.workers
    except (psutil.Error, StopIteration):  # it is ending
        return []


async def ready(server):
    try:
        return (await server.metrics())["tureen_workers_ready"]
    except (OSError, EOFError):
        return False
