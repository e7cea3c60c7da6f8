"""A thousand messages through consumers that are killed at random (SQS), and through rebalances (Kafka)."""

import asyncio
import json
import random
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from server.queues.kafka import kafka_publisher
from tests.aws import aws
from tests.end_to_end.test_consume import BUCKET, consuming, put, records, running
from tests.kafka import broker
from tests.photos import photo
from tests.soak.phase import Findings, Job

_MESSAGES, _KILLS, _SPOILED = 1000, 10, 10
_END_S = 600.0
_PICTURES = [photo(seed) for seed in range(50)]


def run(job: Job) -> Findings:
    found = Findings()
    with aws() as cloud:
        cloud.s3.create_bucket(Bucket=BUCKET)
        count = job.count(_MESSAGES, 50)
        job.say("putting objects", 0.05)
        bodies = [put(cloud, f"{number}.jpg", _PICTURES[number % len(_PICTURES)]) for number in range(count)]
        _sqs(job, found, cloud, bodies)
        _kafka(job, found, cloud, bodies)
    return found


def _sqs(job: Job, found: Findings, cloud, bodies: list[str]) -> None:
    url, dead = cloud.queue_with_dead_letters("soak")
    cloud.send(url, *bodies, *[f"junk {number}" for number in range(_SPOILED)])
    chance, kills = random.Random(job.seed), job.count(_KILLS)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        store, began = Path(folder), time.monotonic()
        flags = ("--visibility", "5s")
        consumers = [stack.enter_context(consuming(cloud, url, store, *flags)) for _ in range(2)]
        for number in range(kills):
            job.say(f"SQS: kill {number + 1} of {kills}", 0.1 + 0.4 * number / kills)
            time.sleep(chance.uniform(1.0, 3.0))  # it is the nemesis
            running(chance.choice(consumers), "server.consume.process")[0].kill()
        while cloud.left(url) and time.monotonic() - began < _END_S:
            time.sleep(0.2)
        took_s = time.monotonic() - began
        _judge(found, f"SQS, {kills} kills", len(bodies), store, took_s)
    buried = {message["Body"] for message in cloud.take_all(dead)}
    found.none("SQS: spoiled messages that are not dead letters", _SPOILED - len(buried))


def _kafka(job: Job, found: Findings, cloud, bodies: list[str]) -> None:
    with broker() as server, tempfile.TemporaryDirectory() as folder:
        url = asyncio.run(_published(server, bodies))
        store, began = Path(folder), time.monotonic()
        with consuming(cloud, url, store) as first:
            _wait(store, len(bodies) // 5)
            with consuming(cloud, url, store) as second:  # the first rebalance
                job.say("Kafka: a second consumer has joined", 0.7)
                time.sleep(5)
                _end(second)  # and the second one
            _wait(store, len(bodies))
            _judge(found, "Kafka, two rebalances", len(bodies), store, time.monotonic() - began)
            _end(first)


async def _published(server, bodies: list[str]) -> str:
    url = await server.topic("soak", 2)
    async with kafka_publisher(url) as publisher:
        for body in bodies:
            await publisher.publish(body)
    return url


def _wait(store: Path, count: int) -> None:
    began = time.monotonic()
    while len([*store.glob("2*/*.json")]) < count and time.monotonic() - began < _END_S:
        time.sleep(0.2)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    process.wait(60)


def _judge(found: Findings, what: str, count: int, store: Path, took_s: float) -> None:
    times = Counter(json.dumps(record["source"]) for record in records(store))
    found.none(f"{what}: objects without an answer, of {count:,}", count - len(times))
    found.none(f"{what}: objects answered under two ids", sum(number > 1 for number in times.values()))
    found.figure(f"{what}: messages per second", f"{count / took_s:.0f}")
