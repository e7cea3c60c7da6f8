"""What goes wrong behind an answer: a full disk, a store that refuses, a clock that jumps, a cache that is away."""

import json
import resource
import signal
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from server.cleanup.item import dumps
from server.contract.ids import derived_uuid7
from tests.aws import ENVIRON
from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.redis_server import Server as Redis
from tests.server.cleanup.samples import item

pytestmark = pytest.mark.timeout(120)

LARGE = photo(1, 1200, 900)
ONE_WORKER = ("--workers", "1")


class _S3(BaseHTTPRequestHandler):
    """Keeps what is put, or fails as it is told."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        status, code = self.server.mode
        if status == 200:
            self.server.kept[self.path] = body
        self._send(status, b"" if status == 200 else b"<Error><Code>%s</Code></Error>" % code)

    def do_GET(self):
        self._send(200, b"<ListBucketResult></ListBucketResult>")

    def _send(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def failing_s3():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _S3)
    server.mode, server.kept = (200, b""), {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


async def metric(server, name):
    return (await server.metrics()).get(name, 0)


def test_a_store_that_refuses_is_told_by_reason_and_loses_nothing(tmp_path):
    """Credentials, a busy store, a slow-down: answers go on, and all is stored once it is well."""
    modes = (("refused", (403, b"AccessDenied")), ("busy", (503, b"SlowDown")), ("busy", (503, b"ServiceUnavailable")))

    async def work(server):
        client = await server.connect()
        answers = []
        for reason, mode in modes:
            s3.mode, name = mode, f'tureen_store_errors_total{{reason="{reason}"}}'
            before = await metric(server, name)
            answers.append((await client.post(photo(len(answers)))).json())
            while await metric(server, name) == before:
                pass
        s3.mode = (200, b"")
        while await metric(server, "tureen_spool_images"):
            pass
        return answers

    with failing_s3() as s3:
        endpoint = f"http://127.0.0.1:{s3.server_address[1]}"
        where = ("--store", "s3://photos/x", "--s3-endpoint", endpoint, "--spool-dir", str(tmp_path))
        with serving(*where, *ONE_WORKER, environ=ENVIRON) as server:
            answers = server.run(work(server))
        kept = {path.rpartition("/")[2]: body for path, body in s3.kept.items()}

    assert ["pending"] * 3 == [answer["stored"] for answer in answers]
    assert {photo(0), photo(1), photo(2)} <= set(kept.values())
    assert {answer["id"] for answer in answers} == {name.removesuffix(".json") for name in kept if name.endswith("n")}
    assert ["refused"] == [line["reason"] for line in map(json.loads, logged(server, "store_failing"))][:1]


def logged(server, event):
    return [line for line in server.final_log.splitlines() if f'"{event}"' in line]


@pytest.mark.parametrize("policy", ["async", "required"])
def test_a_disk_without_room_is_told(tmp_path, policy):
    """A file of this size cannot be written: 503 where it must be stored, else an answer; smaller ones are kept."""

    async def work(server):
        client = await server.connect()
        large, small = await client.post(LARGE), await client.post(photo(2))
        while await metric(server, 'tureen_spool_refused_total{reason="disk"}') < 1:
            pass
        while await metric(server, "tureen_stored_images_total") < 1:
            pass
        return large, small

    limits = {resource.RLIMIT_FSIZE: 100_000}
    assert len(LARGE) > limits[resource.RLIMIT_FSIZE]
    with serving("--store", str(tmp_path), "--store-policy", policy, *ONE_WORKER, limits=limits) as server:
        large, small = server.run(work(server))

    assert (503, "storage_unavailable") == (large.status, large.json()["code"]) if policy == "required" else 200
    assert 200 == small.status
    assert [photo(2)] == [path.read_bytes() for path in tmp_path.glob("2*/*.jpg")]
    assert 1 == len(logged(server, "spool_failing"))
    assert [] == [*(tmp_path / ".spool").glob("*.tmp")]


def test_a_clock_that_jumps_loses_nothing(tmp_path):
    """Images of the future and of long ago are stored under their own days, and found there."""
    spool = tmp_path / ".spool"
    spool.mkdir()
    times = {1_000_000_000_000: "2001-09-09", 4_000_000_000_000: "2096-10-02"}
    made = [item(b"%d" % when, id=derived_uuid7(when, "")) for when in times]
    for one in made:
        (spool / f"{one.record.id}.item").write_bytes(dumps(one))

    async def work(server):
        client = await server.connect()
        while await metric(server, "tureen_stored_images_total") < 2:
            pass
        paths = [f"/v1/images/{one.record.id}" for one in made]
        unknown = f"/v1/images/{derived_uuid7(4_000_000_000_000, 'unknown')}"
        return [(await client.request("GET", path)).status for path in (*paths, unknown)]

    with serving("--store", str(tmp_path), "--records", "open", *ONE_WORKER) as server:
        assert [200, 200, 404] == server.run(work(server))
    assert sorted(times.values()) == sorted(path.name for path in tmp_path.glob("2*"))


@pytest.mark.parametrize("trouble", ["killed", "hung", "wrong type"])
def test_a_deletion_says_whether_the_cache_forgot(tmp_path, trouble):
    """503 while it cannot; sent again, 204 once it can. Uploads are answered all the while."""
    redis = Redis(tmp_path)

    async def work(server):
        client = await server.connect()
        answer = (await client.post(photo(1), cache_control="max-age=60")).json()
        while not await metric(server, "tureen_stored_images_total"):
            pass
        while not (names := redis.client.keys("tureen:*")):
            pass
        (name,) = names
        make_trouble(redis, trouble, name)
        path = f"/v1/images/{answer['id']}"
        during = [(await client.post(photo(1), cache_control="max-age=60")).status for _ in range(3)]
        first = await client.request("DELETE", path)
        end_trouble(redis, trouble)
        while (last := await client.request("DELETE", path)).status == 503:
            pass
        return during, first, last, await client.request("GET", path)

    flags = (
        "--cache",
        redis.url,
        "--cache-timeout",
        "1s",
        "--store",
        str(tmp_path / "store"),
        "--records",
        "open",
        *ONE_WORKER,
    )
    try:
        with serving(*flags) as server:
            during, first, last, gone = server.run(work(server))
        left = redis.client.keys("tureen:*")
    finally:
        redis.client.close()
        redis.kill()

    assert ([200] * 3, 204) == (during, last.status)
    assert gone.status in (202, 404)  # an id as young as this one may be on its way
    assert [] == left
    if trouble != "wrong type":
        assert (503, "storage_unavailable") == (first.status, first.json()["code"])


def make_trouble(redis, trouble, name):
    match trouble:
        case "killed":
            redis.kill()
        case "hung":
            redis.signal(signal.SIGSTOP)
        case _:
            redis.client.delete(name)
            redis.client.lpush(name, "not a string")


def end_trouble(redis, trouble):
    match trouble:
        case "killed":
            redis.start()
        case "hung":
            redis.signal(signal.SIGCONT)
