"""A queue as a way in, with real S3 and SQS servers, and the commands as a user starts them."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from tests.end_to_end.harness import serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

BUCKET = "incoming"
END_S = 60


@contextmanager
def consuming(cloud, url, store, *flags):
    """`tureen consume` in a session of its own."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "server", "consume", "--queue", url, "--store", str(store), "--workers", "1",
            "--threads", "1", "--s3-endpoint", cloud.endpoint, "--admin-port", "0", *flags,
        ],
        start_new_session=True, env={**os.environ, "XDG_CACHE_HOME": str(store)},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def bucket(cloud):
    cloud.s3.create_bucket(Bucket=BUCKET)
    return cloud


def put(cloud, key, body):
    cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    return json.dumps({"bucket": BUCKET, "key": key})


def wait_empty(cloud, url):
    """Until every message is finished."""
    deadline = time.monotonic() + END_S
    while cloud.left(url):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def records(store):
    return [json.loads(path.read_text()) for path in store.glob("2*/*.json")]


def sources(store):
    return sorted(record["source"].rpartition("/")[2] for record in records(store))


def test_every_kind_of_message_is_answered(bucket, tmp_path):
    """Once each, whatever is wrong with the others; what can never be answered is a dead letter with its reason."""
    url, dead = bucket.queue_with_dead_letters("kinds")
    results = bucket.queue("results")
    events = [{"QueueArn": bucket.arn(url), "Events": ["s3:ObjectCreated:*"]}]
    bucket.s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": events}
    )
    put(bucket, "by event+1 ä.jpg", photo(1))
    bucket.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    by_hand = put(bucket, "by-hand.png", photo(2, form="PNG"))
    put(bucket, "good.jpg", photo(3))
    put(bucket, "bad.jpg", b"no image")
    created = [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}}
        for key in ("good.jpg", "bad.jpg")
    ]
    detail = {"bucket": {"name": BUCKET}, "object": {"key": "by-hand.png"}}
    bridge = json.dumps({"detail-type": "Object Created", "detail": detail})
    bucket.send(
        url, by_hand, json.dumps({"Type": "Notification", "Message": by_hand}), bridge, "junk",
        json.dumps({"Records": created}), json.dumps({"bucket": BUCKET, "key": "nothing.jpg"}),
    )  # fmt: skip

    with consuming(bucket, url, tmp_path, "--results", results) as process:
        wait_empty(bucket, url)
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)

    buried = {
        message["MessageAttributes"]["reason"]["StringValue"]: message["Body"] for message in bucket.take_all(dead)
    }
    told = [json.loads(message["Body"]) for message in bucket.take_all(results)]
    assert 0 == code
    assert ["by event+1 ä.jpg", "by-hand.png", "good.jpg"] == sources(tmp_path)
    assert {"unreadable", "missing", "not_an_image"} == set(buried)
    assert created[1:] == json.loads(buried["not_an_image"])["Records"]
    assert {record["id"] for record in records(tmp_path)} == {answer["id"] for answer in told}
    assert [True] == list({answer["stored"] for answer in told})


@pytest.mark.long
def test_killed_consumers_lose_nothing_and_repeat_nothing(bucket, tmp_path):
    """Whatever was in hand is delivered to another one; the store has each object once."""
    random.seed(2)
    count = 24
    url, dead = bucket.queue_with_dead_letters("killed")
    bucket.send(url, *(put(bucket, f"killed-{number}.jpg", photo(100 + number)) for number in range(count)), "junk")
    started = tmp_path.glob("2*/*.json")
    flags = ("--visibility", "2s", "--consume-in-flight", "8")

    with consuming(bucket, url, tmp_path, *flags) as process:
        while not next(started, None):
            time.sleep(0.01)
            started = tmp_path.glob("2*/*.json")
        time.sleep(random.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with consuming(bucket, url, tmp_path, *flags) as process:
        (consumer,) = running(process, "server.consume.process")
        time.sleep(random.uniform(2, 4))
        consumer.kill()  # its supervisor starts another one
        wait_empty(bucket, url)

    assert sorted(f"killed-{number}.jpg" for number in range(count)) == sources(tmp_path)
    assert 1 <= len(bucket.take_all(dead)), "a dead letter may be sent twice, and is never lost"


def running(process, module):
    """The processes below this one that run a module, as soon as there is one."""
    while True:
        try:
            below = psutil.Process(process.pid).children(recursive=True)
            if found := [one for one in below if module in " ".join(one.cmdline())]:
                return found
        except psutil.Error:
            pass


@pytest.mark.long
def test_beside_clients_a_queue_waits(bucket, tmp_path):
    """Both are answered by the same workers; when web dies, the consumer finds the next one."""
    url, _ = bucket.queue_with_dead_letters("beside")
    bucket.send(url, *(put(bucket, f"beside-{number}.jpg", photo(200 + number)) for number in range(20)))

    async def work(server):
        client = await server.connect()
        replies = [await client.post(photo(300 + number)) for number in range(20)]
        await asyncio.to_thread(wait_empty, bucket, url)
        while (await server.metrics())["tureen_consumer_finished_total"] < 20:
            pass
        server.web.kill()
        bucket.send(url, put(bucket, "beside-later.jpg", photo(299)))
        await asyncio.to_thread(wait_empty, bucket, url)
        return [reply.status for reply in replies]

    flags = ("--consume", url, "--store", str(tmp_path), "--s3-endpoint", bucket.endpoint)
    with serving(*flags, "--workers", "1") as server:
        assert [200] * 20 == server.run(work(server))
        server.process.terminate()
        assert 0 == server.wait()

    from_queue = [record for record in records(tmp_path) if "source" in record]
    assert 21 == len(from_queue)


def test_a_front_without_workers_passes_uploads_on(bucket, tmp_path):
    """It answers at once with an id; the answer comes from a consumer, and a damaged upload is refused at once."""
    url, _ = bucket.queue_with_dead_letters("forwarded")
    image = photo(400)

    async def work(server):
        client = await server.connect()
        bad = await client.post(b"no image")
        accepted = await client.post(image, x_request_id="mine")
        path = accepted.headers["location"]
        before = await client.request("GET", path)
        with consuming(bucket, url, tmp_path / "store"):
            while (record := await client.request("GET", path)).status != 200:
                pass
        return bad, accepted, before, record, await client.request("GET", f"{path}/original")

    store = ("--store", str(tmp_path / "store"), "--records", "open", "--spool-dir", str(tmp_path / "spool"))
    with serving("--workers", "0", "--forward", url, *store) as server:
        bad, accepted, before, record, original = server.run(work(server))

    assert (415, 202, 202, 200) == (bad.status, accepted.status, before.status, record.status)
    assert "score" in record.json()["answer"]
    assert (accepted.json()["id"], "mine") == (record.json()["id"], record.json()["request_id"])
    assert image == original.body


@pytest.mark.long
def test_an_image_that_is_deleted_while_a_consumer_works_on_it_leaves_no_byte(bucket, tmp_path):
    """The consumer has its bytes in hand, and writes them after the deletion: a canary is searched for."""
    url, dead = bucket.queue_with_dead_letters("deleted")
    canary = b"canary" + os.urandom(16)
    image = photo(500)
    image = image[:2] + b"\xff\xfe" + (len(canary) + 2).to_bytes(2, "big") + canary + image[2:]
    store, spool = tmp_path / "store", tmp_path / "spool"

    async def work(front, consumer):
        (worker,) = consumer.workers
        worker.suspend()
        client = await front.connect()
        path = (await client.post(image)).headers["location"]
        while (await consumer.metrics())["tureen_accepted_images_total"] < 1:
            pass
        before = holding(tmp_path, canary)
        deleted = await client.request("DELETE", path)
        worker.resume()
        await asyncio.to_thread(wait_empty, bucket, url)
        while (await consumer.metrics())["tureen_consumer_finished_total"] < 1:
            pass
        return before, deleted.status, (await client.request("GET", path)).status

    kept = ("--store", str(store), "--records", "open")
    at_work = ("--consume", url, "--s3-endpoint", bucket.endpoint, "--workers", "1", "--redact", "metadata")
    with (
        serving("--workers", "0", "--forward", url, *kept, "--spool-dir", str(spool)) as front,
        serving(*at_work, *kept, "--spool-dir", str(tmp_path / "other")) as consumer,
    ):
        before, deleted, after = front.run(consumer.closing(work(front, consumer)))

    assert (1, 204) == (len(before), deleted)
    assert after in (202, 404)  # an id as young as this one may be on its way
    assert [] == holding(tmp_path, canary)
    assert [b""] == [path.read_bytes() for path in store.glob("2*/*")], "only the mark, which is empty"
    assert [] == bucket.take_all(dead)
    assert 1 == consumer.final_log.count('"deleted_meanwhile"')


def holding(folder, canary):
    """The files that have these bytes."""
    return [path for path in folder.rglob("*") if path.is_file() and canary in path.read_bytes()]


def test_a_command_line_without_a_place_for_answers_is_refused():
    """Deleting messages then would lose them."""
    words = [sys.executable, "-m", "server", "consume", "--queue", "http://127.0.0.1:1/0/q"]
    ended = subprocess.run(words, capture_output=True, text=True)

    assert 2 == ended.returncode
    assert "needs --store or --results" in ended.stderr
