"""What the machine may do to the server: stop it, set its clock, fill its disk, keep descriptors and memory from it."""

import asyncio
import itertools
import json
import resource
import signal

import psutil
import pytest

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.end_to_end.load import IMAGES, Load
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

IMAGE = photo(1)

# Processes whose wall clock is shifted by what stands in a file, at every moment by what it says then.
JUMPING_CLOCK = """
import datetime, pathlib, time
file = pathlib.Path(__file__).with_name("shift")
shift = lambda: int(file.read_text())
real_time, real_ns, real_date = time.time, time.time_ns, datetime.datetime
time.time = lambda: real_time() + shift()
time.time_ns = lambda: real_ns() + shift() * 10**9
"""


def with_clock(folder):
    (folder / "sitecustomize.py").write_text(JUMPING_CLOCK)
    (folder / "shift").write_text("0")
    return {"PYTHONPATH": str(folder)}


def test_wall_clock_that_jumps_changes_nothing(tmp_path):
    """An hour and a day, forwards and back, under load: every answer comes, nothing expires, no worker is replaced."""
    with serving("--workers", "1", "--slo", "10s", environ=with_clock(tmp_path)) as server:

        async def run():
            async with Load(server.connect, 4) as load:
                for shift in (3600, -3600, 86_400, -86_400, 0):
                    (tmp_path / "next").write_text(str(shift))
                    (tmp_path / "next").rename(tmp_path / "shift")
                    await load.answers(20)
            return load.answered, await server.metrics()

        answered, after = server.run(run())

    assert {200} == {reply.status for _, reply in answered}
    stamps = [int(reply.json()["id"].replace("-", "")[:12], 16) for _, reply in answered]
    assert max(stamps) - min(stamps) > 80_000_000, "the clock did not jump"
    assert 0.0 == sum(value for name, value in after.items() if name.startswith("tureen_expired_images_total"))
    assert 0.0 == sum(value for name, value in after.items() if name.startswith("tureen_worker_restarts_total"))
    assert all(value >= 0 for value in after.values()), "a time ran backwards"


def test_web_process_that_was_stopped_answers_what_is_late_as_late():
    """SIGSTOP, then SIGCONT after the deadlines: 504, nothing of it is run, and what comes next is answered."""
    with serving("--workers", "1", "--slo", "30s") as server:
        server.workers[0].suspend()

        async def run():
            late = [await server.connect() for _ in range(20)]
            for client in late:
                await client.send("POST", "/v1/images", IMAGE, x_request_timeout_ms="1500")
            while in_hand(now := await server.metrics()) + expired(now) < 20:
                pass
            server.web.suspend()
            await asyncio.to_thread(wait_stopped, server.web)
            await asyncio.sleep(1.6)  # the deadlines pass meanwhile, which is what is tested
            server.workers[0].resume()
            server.web.resume()
            replies = [await client.read() for client in late]
            return replies, await (await server.connect()).post(IMAGE), await server.metrics()

        replies, good, after = server.run(run())

    assert [(504, "deadline_exceeded")] * 20 == [(reply.status, reply.json()["code"]) for reply in replies]
    assert 200 == good.status
    assert 20.0 == expired(after)
    assert 1.0 == after['tureen_inference_seconds_count{model="colourfulness",version="1"}'], "late images were run"


def in_hand(now):
    return now["tureen_queue_images"] + now["tureen_running_images"]


def expired(now):
    return sum(value for name, value in now.items() if name.startswith("tureen_expired_images_total"))


def wait_stopped(process):
    while process.status() != psutil.STATUS_STOPPED:
        pass


def test_disk_that_is_full_takes_no_log_and_nothing_else(tmp_path):
    """Standard error is a full device: it starts, serves, replaces a worker, and ends in order."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if sys.orig_argv[1:2] == ['-P'] or 'serve' in sys.orig_argv:\n"
        "    os.dup2(os.open('/dev/full', os.O_WRONLY), 2)\n"
    )
    with serving("--workers", "1", "--slo", "20s", environ={"PYTHONPATH": str(tmp_path)}) as server:

        async def run():
            first = await (await server.connect()).post(IMAGE)
            server.workers[0].send_signal(signal.SIGKILL)
            while not (await server.metrics())['tureen_worker_restarts_total{reason="crash"}']:
                pass
            return first.status, (await (await server.connect()).post(IMAGE)).status

        assert (200, 200) == server.run(run())
        server.process.terminate()
        assert 0 == server.wait()

    assert "" == server.final_log


@pytest.mark.parametrize("http", HTTP_SERVERS)
def test_want_of_descriptors_floods_no_log_and_passes(http):
    """Three times as many clients as descriptors, again and again: a few lines at most, and then all is as before."""
    limits = {resource.RLIMIT_NOFILE: 128}
    with serving("--workers", "1", "--http-server", http, limits=limits) as server:
        before = server.web.num_fds()

        async def run():
            for _ in range(3):
                clients = await asyncio.gather(*(server.connect() for _ in range(400)))
                for client in clients:
                    client.writer.transport.abort()
            while not await fits(server, before):
                pass
            return (await (await server.connect()).post(IMAGE)).status

        assert 200 == server.run(run())
        assert len(server.log.splitlines()) < 30


async def fits(server, before):
    """Whether the web process holds no more descriptors than it did, but for the connection that asks."""
    client = await server.connect()
    try:
        served = (await client.request("GET", "/healthz")).status == 200
    except (OSError, EOFError):
        return False
    await client.close()
    return served and server.web.num_fds() <= before + 3


def test_bytes_are_refused_before_memory_is_taken():
    """Fifty bodies of 8 MB, all but the last byte of each, against a budget of 32 MB: those that it has no room for are
    refused while they come, and memory stays."""
    limits = ("--max-image-bytes", "8MB", "--max-queue-bytes", "32MB", "--upload-timeout", "60s")
    with serving("--workers", "1", *limits) as server:
        before = server.web.memory_info().rss

        async def upload():
            client = await server.connect()
            await client.send("POST", "/v1/images", bytes(7_999_999), content_length="8000000")
            return await client.read()

        async def run():
            uploads = [asyncio.create_task(upload()) for _ in range(50)]
            refused, highest = [], 0.0
            while len(refused) < 46:
                highest = max(highest, (await server.metrics())["tureen_arriving_bytes"])
                refused = [task.result() for task in uploads if task.done()]
            during = server.web.memory_info().rss
            for task in uploads:
                task.cancel()
            return refused, highest, during

        refused, highest, during = server.run(run())

    assert {(503, "queue_full")} == {(reply.status, reply.json()["code"]) for reply in refused}
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert highest <= 32e6
    assert during - before < 80e6


HOSTILE = [
    "\x1b[31mred",
    "a" * 5000,
    "\u2028{}",
    '{"event": "forged"}',
    "%0d%0aset-cookie: a=b",
    "",
]


@pytest.mark.parametrize("http", HTTP_SERVERS)
def test_nothing_a_client_sends_gets_into_a_log_line_or_a_header(http):
    """Ids, paths and names of files that would forge a line, colour a terminal or set a cookie; the id is replaced."""
    with serving("--workers", "1", "--access-log", "--http-server", http) as server:

        async def run():
            replies = []
            for value in HOSTILE:
                client = await server.connect()
                client.writer.write(b"POST /v1/images?forged%0d%0aforged HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n")
                client.writer.write(b"x-request-id: " + value.encode() + b"\r\nuser-agent: forged\r\n\r\n")
                replies.append(await client.read())
            sane = await (await server.connect()).post(IMAGE, x_request_id="order-66")
            return replies, sane

        replies, sane = server.run(run())
    lines = [json.loads(line) for line in server.final_log.splitlines()]

    ids = [reply.headers["x-request-id"] for reply in replies]
    assert {400, 422} == {reply.status for reply in replies}  # 400: a control character
    assert len(ids) == len(set(ids))
    assert all(36 == len(given) for given in ids), "a UUID in its place"
    assert not any("set-cookie" in reply.headers for reply in replies)
    assert "order-66" == sane.headers["x-request-id"]
    requests = [line for line in lines if line["event"] == "request" and line["resource"] == "images"]
    assert [*ids, "order-66"] == [line["request_id"] for line in requests]
    assert not any("forged" in str(line) for line in lines)


def test_every_line_about_a_request_carries_its_id():
    """Refused, failed, late and answered: the id in the log is the one in the answer."""
    with serving("--workers", "1", "--access-log", "--slo", "30s") as server:

        async def run():
            client = await server.connect()
            good = await client.post(IMAGE, x_request_id="good")
            bad = await client.post(b"nothing", x_request_id="bad")
            server.workers[0].suspend()
            late = await client.post(IMAGE, x_request_id="late", x_request_timeout_ms="50")
            server.workers[0].resume()
            return [reply.headers["x-request-id"] for reply in (good, bad, late)]

        assert ["good", "bad", "late"] == server.run(run())
    lines = [json.loads(line) for line in server.final_log.splitlines()]

    seen = [
        (line["event"], line["request_id"], line.get("outcome"))
        for line in lines
        if line.get("resource", "images") == "images" and "request_id" in line
    ]
    assert [
        ("request", "good", "ok"),
        ("request", "bad", "not_an_image"),
        ("deadline_exceeded", "late", None),
        ("request", "late", "deadline_exceeded"),
    ] == seen


def test_workers_are_fresh_interpreters_and_hold_nothing_of_their_parents():
    """Exec, not fork: no session, no loop, no socket of a client; and the web process loads no runtime at all."""
    with serving("--workers", "2") as server:

        async def run():
            clients = [await server.connect() for _ in range(5)]
            assert {200} == {(await client.post(IMAGE)).status for client in clients}
            server.workers[0].send_signal(signal.SIGKILL)
            while not (await server.metrics())['tureen_worker_restarts_total{reason="crash"}']:
                pass
            await server.all_ready()  # one of them was started with clients connected
            return [(worker.cmdline()[1:4], worker.net_connections("tcp")) for worker in server.workers]

        found = server.run(run())
        web = {mapped.path for mapped in server.web.memory_maps()}

    assert [(["-P", "-m", "server.inference.worker"], [])] * 2 == found
    assert not any("onnxruntime" in path or "PIL" in path for path in web)


def test_health_depends_on_nothing_outside_the_process():
    """Alive and ready while the workers are busy, stopped or being replaced for long; not ready only without any."""
    with serving("--workers", "2", "--slo", "60s") as server:

        async def run():
            for worker in server.workers:
                worker.suspend()
            clients = [await server.connect() for _ in range(8)]
            for client, image in zip(clients, itertools.cycle(IMAGES), strict=False):
                await client.send("POST", "/v1/images", image)
            while in_hand(await server.metrics()) < 8:
                pass
            busy = await statuses(server)
            for worker in server.workers:
                worker.send_signal(signal.SIGKILL)
            while (await server.metrics())["tureen_workers_ready"]:
                pass
            without = await statuses(server)
            while (await statuses(server))[1] != 200:
                pass
            return busy, without, {(await client.read()).status for client in clients}

        busy, without, answered = server.run(run())

    assert (200, 200) == busy
    assert (200, 503) == without
    assert {200} == answered


async def statuses(server):
    client = await server.connect()
    alive, ready = await client.request("GET", "/healthz"), await client.request("GET", "/readyz")
    await client.close()
    return alive.status, ready.status
