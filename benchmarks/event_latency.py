"""From an object in S3 to its answer, beside an upload over HTTP: `python -m benchmarks.event_latency`.

The object is put, S3 tells SQS, a server with `--consume` fetches and answers it, and the answer comes from the queue
of results. S3 and SQS are stand-ins on this machine: there is no network in these figures.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks import stand_ins
from benchmarks.bursts import different
from benchmarks.served import Served, serving, tureen

_LAYOUT = ("--workers", "1", "--threads", "1")
_WARM = 5
_QUANTILES = (0.5, 0.95, 0.99)


def main() -> None:
    """Print a row for each way in."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends
    parser = argparse.ArgumentParser(prog="python -m benchmarks.event_latency", description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    given = parser.parse_args()
    with ExitStack() as stack:
        store = stack.enter_context(tempfile.TemporaryDirectory())
        aws = stack.enter_context(stand_ins.ministack()).url
        events, results = _queues(aws)
        flags = ("--consume", events, "--results", results, "--s3-endpoint", aws, "--store", store)
        served = stack.enter_context(serving(tureen([*_LAYOUT, *flags]), environ=stand_ins.AWS))
        _show("upload over HTTP", _timed(_upload(served), given.images))
        _show("object in S3, event by SQS", _timed(_put(aws, results), given.images))


def _queues(aws: str) -> tuple[str, str]:
    """The queue that S3 tells of its objects, and that of the results."""
    sqs = stand_ins.client("sqs", aws)
    events, results = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("events", "results"))
    arn = sqs.get_queue_attributes(QueueUrl=events, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    stand_ins.client("s3", aws).put_bucket_notification_configuration(
        Bucket=stand_ins.BUCKET, NotificationConfiguration=told
    )
    return events, results


def _timed(act: Callable[[bytes], None], count: int) -> list[float]:
    """Seconds of each, one after the other."""
    found = []
    for _ in range(count + _WARM):
        image = different()
        begun = time.perf_counter()
        act(image)
        found.append(time.perf_counter() - begun)
    return found[_WARM:]


def _upload(served: Served) -> Callable[[bytes], None]:
    connection = http.client.HTTPConnection(served.host, served.port)

    def act(image: bytes) -> None:
        connection.request("POST", "/v1/images", image)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        response.read()

    return act


def _put(aws: str, results: str) -> Callable[[bytes], None]:
    s3, sqs = stand_ins.client("s3", aws), stand_ins.client("sqs", aws)

    def act(image: bytes) -> None:
        key = f"in/{time.monotonic_ns()}.jpg"
        s3.put_object(Bucket=stand_ins.BUCKET, Key=key, Body=image)
        while not _answered(sqs, results, key):
            pass

    return act


def _answered(sqs: Any, results: str, key: str) -> bool:
    """Whether the answer to this object has come; waits for a while."""
    messages = sqs.receive_message(QueueUrl=results, WaitTimeSeconds=5, MaxNumberOfMessages=10).get("Messages", ())
    for message in messages:
        sqs.delete_message(QueueUrl=results, ReceiptHandle=message["ReceiptHandle"])
    return any(json.loads(message["Body"])["source"].endswith(key) for message in messages)


def _show(name: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    figures = (
        f"p{100 * q:.0f} {ordered[min(len(ordered) - 1, int(q * len(ordered)))] * 1e3:8.1f} ms" for q in _QUANTILES
    )
    print(f"{name:28} {'   '.join(figures)}", flush=True)


if __name__ == "__main__":
    main()
