"""The function in the real runtime client of Lambda, against a Runtime API of this test."""

import base64
import json
import os
import signal
import time

import psutil
import pytest

from tests.aws import aws
from tests.models import broken
from tests.photos import photo
from tests.server.aws_lambda import events
from tests.server.aws_lambda.runtime_api import function

pytestmark = pytest.mark.timeout(150)  # a function starts beside other tests
BUCKET = "photos"
SHAPES = (events.url, events.stage, events.rest, events.alb, events.alb_multi)


@pytest.fixture(scope="module")
def cloud():
    """S3 with a bucket, and SQS."""
    with aws() as cloud:
        cloud.s3.create_bucket(Bucket=BUCKET)
        yield cloud


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lambda")


@pytest.fixture(scope="module")
def tureen(cloud, folder):
    """The function, with the demo model and a folder as the store."""
    environment = {"TUREEN_STORE": str(folder / "store"), "TUREEN_S3_ENDPOINT": cloud.endpoint, "TUREEN_CACHE": "off"}
    with function(environment, folder) as tureen:
        yield tureen


def answers(folder):
    """The sources of all records in the store."""
    records = [json.loads(path.read_bytes()) for path in (folder / "store").rglob("*.json")]
    return sorted(record["source"] for record in records)


@pytest.mark.parametrize("shape", SHAPES)
def test_image_of_every_shape_is_answered(tureen, shape):
    """A function URL, API Gateway's two formats with and without a stage, a load balancer's two."""
    response = tureen.http(shape("POST", "/v1/images", photo(1), [("content-type", "image/jpeg")]))

    assert (200, "colourfulness") == (response["statusCode"], json.loads(response["body"])["model"]["name"])


def test_text_is_answered_as_text_and_the_page_whole(tureen):
    """Readiness, base64 in JSON, and the page."""
    ready = tureen.http(events.url("GET", "/readyz"))
    body = json.dumps({"image": base64.b64encode(photo(2)).decode()}).encode()
    text = tureen.http(events.url("POST", "/v1/images", body, [("content-type", "application/json")]))
    page = tureen.http(events.url("GET", "/", headers=[("accept", "text/html")]))

    assert (200, 200, 200) == (ready["statusCode"], text["statusCode"], page["statusCode"])
    assert b"</html>" in page["body"]


def test_problem_of_the_client_is_told(tureen):
    """No image: 415; no such resource: 404; the operator's resources are not there."""
    statuses = [
        tureen.http(event)["statusCode"]
        for event in (
            events.url("POST", "/v1/images", b"no image"),
            events.url("GET", "/nowhere"),
            events.url("GET", "/metrics"),
        )
    ]

    assert [415, 404, 404] == statuses


def test_standstill_between_invocations_costs_no_refusal(tureen):
    """Lambda freezes the environment: what then stood still is not taken for a late event loop."""
    tureen.http(events.url("POST", "/v1/images", photo(4)))
    time.sleep(0.7)  # the standstill

    assert 200 == tureen.http(events.url("POST", "/v1/images", photo(5)))["statusCode"]


def test_worker_that_is_killed_is_replaced_within_the_deadline(tureen):
    """The next image waits for its successor."""
    tureen.http(events.url("GET", "/readyz"))
    (worker,) = [
        child
        for child in psutil.Process(tureen.process.pid).children()
        if "inference.worker" in "".join(child.cmdline())
    ]
    os.kill(worker.pid, signal.SIGKILL)
    response = tureen.http(
        events.url("POST", "/v1/images", photo(6), [("x-request-timeout-ms", "40000")]), left_s=45
    )  # fmt: skip

    assert 200 == response["statusCode"]


def test_batch_of_messages_fails_in_part(tureen, cloud, folder):
    """What is answered is deleted; what is missing, or cannot be read, goes the way of the queue's redrive policy."""
    cloud.s3.put_object(Bucket=BUCKET, Key="in/a photo+1.jpg", Body=photo(7))
    test = {"Event": "s3:TestEvent"}
    batch = events.batch(events.put(BUCKET, "in/a photo+1.jpg"), events.put(BUCKET, "gone.jpg"), test, "junk")

    outcome = tureen.invoke(batch)

    assert ("response", {"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "3"}]}) == outcome
    assert f"s3://{BUCKET}/in/a photo+1.jpg" in answers(folder)


def test_second_delivery_is_answered_once(tureen, cloud, folder):
    """The id follows from the object."""
    cloud.s3.put_object(Bucket=BUCKET, Key="twice.jpg", Body=photo(8))
    for receives in (1, 2):
        batch = events.batch({"bucket": BUCKET, "key": "twice.jpg"}, receives=receives)
        assert ("response", {"batchItemFailures": []}) == tureen.invoke(batch)

    assert 1 == answers(folder).count(f"s3://{BUCKET}/twice.jpg")


def test_messages_without_time_are_delivered_again(tureen, cloud):
    """They are taken back before Lambda ends the function."""
    cloud.s3.put_object(Bucket=BUCKET, Key="late.jpg", Body=photo(9))

    outcome = tureen.invoke(events.batch({"bucket": BUCKET, "key": "late.jpg"}), left_s=1)

    assert ("response", {"batchItemFailures": [{"itemIdentifier": "0"}]}) == outcome


def test_event_of_s3_is_answered_or_fails(tureen, cloud, folder):
    """A function that fails is tried again by Lambda, and then its destination gets the event."""
    cloud.s3.put_object(Bucket=BUCKET, Key="direct.jpg", Body=photo(10))
    answered = tureen.invoke(events.put(BUCKET, "direct.jpg"))
    bridge = {"detail-type": "Object Created", "detail": {"bucket": {"name": BUCKET}, "object": {"key": "direct.jpg"}}}
    again = tureen.invoke(bridge)
    failed = tureen.invoke(events.put(BUCKET, "gone.jpg"))

    assert [("response", None)] * 2 == [answered, again]
    assert ("error", "NotAnswered") == (failed.kind, failed.value["errorType"])
    assert 1 == answers(folder).count(f"s3://{BUCKET}/direct.jpg")


@pytest.fixture(scope="module")
def limited(cloud, tmp_path_factory):
    """A function that takes one image per client in 100 s, and names its dead letters."""
    named = {"TUREEN_DEAD_LETTERS": cloud.queue("dead"), "TUREEN_RESULTS": cloud.queue("results")}
    limits = {"TUREEN_CLIENT_RATE": "0.01", "TUREEN_S3_ENDPOINT": cloud.endpoint}
    with function(named | limits, tmp_path_factory.mktemp("limited")) as limited:
        yield limited


def test_refusal_says_when_to_come_back(limited):
    """Retry-After passes through every shape."""
    limited.http(events.url("POST", "/v1/images", photo(3)))
    refused = [limited.http(shape("POST", "/v1/images", photo(3))) for shape in SHAPES]
    waits = [
        int(one["headers"]["retry-after"] if "headers" in one else one["multiValueHeaders"]["retry-after"][0])
        for one in refused
    ]

    assert [429] * 5 == [one["statusCode"] for one in refused]
    assert all(wait_s >= 1 for wait_s in waits)


def test_what_cannot_be_answered_goes_to_the_dead_letters(limited, cloud):
    """Where they are named, such a message is done."""
    outcome = limited.invoke(events.batch("junk"))

    assert ("response", {"batchItemFailures": []}) == outcome
    assert ["junk"] == [message["Body"] for message in cloud.take_all(cloud.queue("dead"))]


def test_model_that_cannot_be_served_ends_the_start(tmp_path):
    """Lambda is told the reason."""
    with function({"TUREEN_MODEL": str(broken(tmp_path / "model.onnx"))}, tmp_path) as tureen:
        kind, error = tureen.outcome()

    assert ("init", "EngineFailed") == (kind, error["errorType"])
