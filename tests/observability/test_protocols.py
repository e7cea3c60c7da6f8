"""Inference requests over REST and gRPC are traced and logged as uploads are."""

import asyncio
import base64
import json

import pytest

from tests.end_to_end.harness import serving
from tests.observability.collector import attributes, http_collector
from tests.observability.test_tracing import names, parent
from tests.photos import photo
from tests.protocols.conftest import grpc_address
from tests.protocols.test_grpc import Client, failure, of_images

pytestmark = pytest.mark.timeout(120)

STAGES = {"upload", "admit", "queue", "decode", "infer"}
REST, GRPC = "POST /v2/models/{model}/infer", "inference.GRPCInferenceService/ModelInfer"
ROOTS = {1: REST, 2: GRPC, 3: REST, 4: GRPC}
"""By trace: the first two are answered with two images, the last two are refused."""


def in_json(*images):
    """Give an inference request for encoded images, as JSON."""
    data = [base64.b64encode(image).decode() for image in images]
    given = {"name": "image", "datatype": "BYTES", "shape": [len(images)], "data": data}
    return json.dumps({"inputs": [given]}).encode()


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Give the traces and the lines of four requests, two over REST and two over gRPC."""
    log = tmp_path_factory.mktemp("predictions") / "predictions.json"
    with http_collector() as (collector, url):
        flags = ["--otlp-endpoint", url, "--trace-share", "0", "--prediction-log", str(log), "--grpc-port", "0"]
        with serving(*flags, "--workers", "1", "--slo", "60s", "--cache", "off") as server:

            async def rest(number, *images):
                client = await server.connect()
                path = "/v2/models/colourfulness/infer"
                return await client.request("POST", path, in_json(*images), traceparent=parent(number))

            async def calls():
                async with Client(grpc_address(server)) as client:
                    good, bad = (of_images(*images, model="colourfulness") for images in ([photo(3), photo(4)], [b"x"]))
                    await client.call("ModelInfer", good, metadata=[("traceparent", parent(2))])
                    await failure(client.call("ModelInfer", bad, metadata=[("traceparent", parent(4))]))

            statuses = [server.run(rest(1, photo(1), photo(2))).status, server.run(rest(3, b"x")).status]
            asyncio.run(calls())
            traces = collector.wait(lambda traces: {f"{number:032x}" for number in ROOTS} <= traces.keys())
    assert [200, 415] == statuses
    return traces, [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("number", ROOTS)
def test_each_request_is_one_trace(seen, number):
    """It continues its caller's; one that was answered has all stages, and says how many images it had."""
    spans = seen[0][f"{number:032x}"]
    (root,) = [span for span in spans if span.name == ROOTS[number]]
    said = attributes(root)

    assert number.to_bytes(8, "big") == root.parent_span_id
    if number <= 2:
        assert STAGES | {root.name} == names(spans)
        assert 2 == said["tureen.images"]
        assert "ok" == said["tureen.outcome"]
    else:
        assert "not_an_image" == said["error.type"]


def test_spans_of_calls_follow_the_conventions_of_rpc(seen):
    """Not those of HTTP."""
    (root,) = [span for span in seen[0][f"{2:032x}"] if span.name == GRPC]
    said = attributes(root)

    assert ("grpc", "ModelInfer") == (said["rpc.system"], said["rpc.method"])
    assert not any(name.startswith("http.re") for name in said)


def test_each_image_has_a_line(seen):
    """With its id, model and times, and the path by which it came; a refused request has one as well."""
    lines = seen[1]
    answered = [line for line in lines if line["tureen"]["outcome"] == "ok"]
    paths = sorted(line["url"]["path"].rsplit("/", 1)[1] for line in lines)

    assert ["ModelInfer"] * 3 + ["infer"] * 3 == paths
    assert 4 == len({line["tureen"]["image"]["id"] for line in answered}) == len(answered)
    assert all(line["tureen"]["model"]["name"] == "colourfulness" for line in answered)
    assert ["not_an_image"] * 2 == [line["error"]["code"] for line in lines if line["tureen"]["outcome"] != "ok"]
