"""The Open Inference Protocol over REST: what is on the wire, on both HTTP servers."""

import base64
import json

import numpy as np
import onnxruntime as ort
import pytest

from server import demo as demo_model
from tests.photos import photo
from tests.reference import Reference

pytestmark = pytest.mark.timeout(120)

RNG = np.random.default_rng(7)
PHOTO = photo(1)
INFER = "/v2/models/several/infer"
IMAGE = {"name": "image", "datatype": "FP32", "shape": [1, 3, 24, 40]}


def send(server, method, path, body=b"", **headers):
    """Give the reply to one request."""

    async def run():
        client = await server.connect()
        return await client.request(method, path, body, **headers)

    return server.run(run())


def infer(server, document, *tensors, path=INFER, **headers):
    """Give the reply to an inference request; `tensors` go behind the document."""
    text = json.dumps(document).encode()
    if tensors:
        headers["inference_header_content_length"] = str(len(text))
    return send(server, "POST", path, b"".join((text, *tensors)), **headers)


def expected(path, tensor):
    """Give what the model itself makes of a tensor, by output."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = [one.name for one in session.get_outputs()]
    return dict(zip(outputs, session.run(None, {"image": tensor}), strict=True))


@pytest.fixture(params=[1, 3])
def tensor(request):
    """Give a batch of prepared images."""
    return RNG.random((request.param, 3, 24, 40), dtype=np.float32)


def described(tensor, **parameters):
    """Give an input that has a tensor's shape."""
    return IMAGE | {"shape": list(tensor.shape), "parameters": parameters}


# ---- Answers ----


def test_tensors_in_json_are_answered_as_the_model_does(several, tensor):
    """Every output, each with all rows in the order of the batch."""
    server, path = several
    body = {"id": "a1", "inputs": [described(tensor) | {"data": tensor.tolist()}]}

    answer = infer(server, body).json()

    assert ("several", "1", "a1") == (answer["model_name"], answer["model_version"], answer["id"])
    for output, (name, values) in zip(answer["outputs"], expected(path, tensor).items(), strict=True):
        assert (name, list(values.shape)) == (output["name"], output["shape"])
        assert np.allclose(np.reshape(output["data"], values.shape), values, atol=1e-4)


def test_binary_tensors_are_answered_as_the_model_does(several, tensor):
    """Behind the JSON, inputs and outputs alike; only what is asked for, in that order."""
    server, path = several
    size = tensor.nbytes
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in ("best", "means")]
    body = {"inputs": [described(tensor, binary_data_size=size)], "outputs": outputs}

    reply = infer(server, body, tensor.tobytes())

    length = int(reply.headers["inference-header-content-length"])
    answer, rest = json.loads(reply.body[:length]), reply.body[length:]
    values = expected(path, tensor)
    assert ["best", "means"] == [one["name"] for one in answer["outputs"]]
    assert np.array_equal(np.frombuffer(rest, np.int64, len(tensor)), values["best"])
    assert np.allclose(np.frombuffer(rest[8 * len(tensor) :], np.float32).reshape(-1, 4), values["means"], atol=1e-4)


def test_a_large_tensor_in_json_is_answered(demo):
    """Three million characters of numbers, which are not decoded on the event loop."""
    tensor = RNG.random((1, 3, 224, 224), dtype=np.float32)
    body = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 3, 224, 224], "data": tensor.tolist()}]}

    answer = infer(demo, body, path="/v2/models/colourfulness/versions/1/infer").json()

    values = expected(demo_model.FOLDER / "1" / "model.onnx", tensor)["probabilities"]
    assert np.allclose(answer["outputs"][0]["data"], values.ravel(), atol=1e-4)


def test_images_are_decoded_as_uploads_are(demo):
    """Elements of a BYTES tensor, binary or in base64."""
    row = Reference(demo_model.FOLDER).row(PHOTO)
    packed = len(PHOTO).to_bytes(4, "little") + PHOTO
    base = {"name": "image", "datatype": "BYTES", "shape": [1]}
    path = "/v2/models/colourfulness/infer"
    binary = base | {"parameters": {"binary_data_size": len(packed)}}

    answers = [
        infer(demo, {"inputs": [binary]}, packed, path=path).json(),
        infer(demo, {"inputs": [base | {"data": [base64.b64encode(PHOTO).decode()]}]}, path=path).json(),
    ]

    for answer in answers:
        assert np.allclose(answer["outputs"][0]["data"], row, atol=1e-4)


def test_classes_have_names(demo):
    """The best first, as `value:index:label`."""
    body = {
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(PHOTO).decode()]}],
        "outputs": [{"name": "probabilities", "parameters": {"classification": 2}}],
    }

    (output,) = infer(demo, body, path="/v2/models/colourfulness/infer").json()["outputs"]

    scores = Reference(demo_model.FOLDER).scores(PHOTO)
    assert ("BYTES", [1, 2]) == (output["datatype"], output["shape"])
    for text, (label, score) in zip(output["data"], sorted(scores.items(), key=lambda one: -one[1]), strict=False):
        value, _, name = text.split(":")
        assert label == name
        assert abs(float(value) - score) < 1e-4


# ---- What is refused ----


def _small(**changes):
    data = {"data": [0.0] * 2880}
    return {"inputs": [IMAGE | data | changes]}


REFUSED = {
    "no JSON": (b"{", 400, "bad_inference"),
    "a list": ([], 400, "bad_inference"),
    "no input": ({"inputs": []}, 400, "bad_inference"),
    "another name": (_small(name="x"), 400, "bad_inference"),
    "another datatype": (_small(datatype="FP64"), 400, "bad_inference"),
    "an unknown datatype": (_small(datatype="COMPLEX"), 400, "bad_inference"),
    "another shape": (_small(shape=[1, 3, 40, 24]), 400, "bad_inference"),
    "a batch of none": (_small(shape=[0, 3, 24, 40], data=[]), 400, "bad_inference"),
    "a batch too large": (_small(shape=[257, 3, 24, 40]), 400, "bad_inference"),
    "a negative side": (_small(shape=[-1, 3, 24, 40]), 400, "bad_inference"),
    "an endless side": (_small(shape=[2**70]), 400, "bad_inference"),
    "too few numbers": (_small(data=[1.0]), 400, "bad_inference"),
    "no numbers": (_small(data=["a"] * 2880), 400, "bad_inference"),
    "an object": (_small(data={"a": 1}), 400, "bad_inference"),
    "an output that is not there": (_small() | {"outputs": [{"name": "x"}]}, 400, "bad_inference"),
    "shared memory": (_small(parameters={"shared_memory_region": "r"}), 400, "bad_inference"),
    "a sequence": (_small() | {"parameters": {"sequence_id": 1}}, 400, "bad_inference"),
    "a timeout that is none": (_small() | {"parameters": {"timeout": "soon"}}, 400, "bad_inference"),
    "binary data past the end": (_small(parameters={"binary_data_size": 10**9}), 400, "bad_inference"),
    "no image": (_small(datatype="BYTES", shape=[1], data=["bm8gaW1hZ2U="]), 415, "not_an_image"),
    "no base64": (_small(datatype="BYTES", shape=[1], data=["%"]), 400, "bad_inference"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_said(several, name):
    """With the protocol's body and this server's code."""
    document, status, code = REFUSED[name]
    server, _ = several

    reply = send(server, "POST", INFER, document if isinstance(document, bytes) else json.dumps(document).encode())

    assert (status, code) == (reply.status, reply.json()["code"]), reply.body
    assert isinstance(reply.json()["error"], str)


def test_the_image_at_fault_is_named(demo):
    """One image of a batch that cannot be answered fails the request, which says which it was."""
    data = [base64.b64encode(one).decode() for one in (PHOTO, b"no image")]
    body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": data}]}

    reply = infer(demo, body, path="/v2/models/colourfulness/infer")

    assert 415 == reply.status
    assert reply.json()["error"].endswith("(image 1 of the batch)")


@pytest.mark.parametrize("path", ["/v2/models/x/infer", "/v2/models/several/versions/9/infer"])
def test_an_unknown_model_is_not_found(several, path):
    """Whatever the request asks of it, and before its body is looked at."""
    reply = infer(several[0], {}, path=path)

    assert (404, "unknown_model") == (reply.status, reply.json()["code"])


def test_a_body_past_the_limit_is_refused(several):
    """It may have four times what one image may."""
    reply = send(several[0], "POST", INFER, b"", content_length=str(80_000_001))

    assert (413, "body_too_large") == (reply.status, reply.json()["code"])


# ---- What it says about itself ----


def test_model_and_server_describe_themselves(several):
    """Names, shapes and datatypes as data."""
    server, _ = several

    model = send(server, "GET", "/v2/models/several").json()

    assert "binary_tensor_data" in send(server, "GET", "/v2").json()["extensions"]
    assert {"models": ["several"]} == send(server, "GET", "/v2/models").json()
    assert [{"name": "image", "datatype": "FP32", "shape": [-1, 3, 24, 40]}] == model["inputs"]
    assert {"means": [-1, 4], "grid": [-1, 4, 6, 10], "best": [-1]} == {
        one["name"]: one["shape"] for one in model["outputs"]
    }
    assert ["1"] == model["versions"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
        ("/v2/models/several/ready", 200),
        ("/v2/models/several/versions/1/ready", 200),
        ("/v2/models/x/ready", 404),
        ("/v2/models/several/versions/2", 404),
        ("/v2/nothing", 404),
    ],
)
def test_health_and_readiness(several, path, status):
    """Of the server and of each model."""
    assert status == send(several[0], "GET", path).status


def test_a_repeated_image_counts_as_a_hit(demo):
    """As Triton counts: it waits and succeeds, and computes nothing. The three parts of computing count alike."""
    names = ("success", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit")

    def counts():
        (stats,) = send(demo, "GET", "/v2/models/colourfulness/stats").json()["model_stats"]
        return [stats["inference_stats"][name]["count"] for name in names]

    before = counts()
    for _ in range(2):
        assert 200 == send(demo, "POST", "/v1/images", photo(77), cache_control="max-age=60").status

    assert [2, 2, 1, 1, 1, 1] == [after - old for after, old in zip(counts(), before, strict=True)]


def test_statistics_count_images(several):
    """A batch of two is two inferences."""
    server, _ = several

    def count():
        (stats,) = send(server, "GET", "/v2/models/several/stats").json()["model_stats"]
        return stats["inference_count"], stats["inference_stats"]["success"]["count"]

    before = count()
    tensor = RNG.random((2, 3, 24, 40), dtype=np.float32)
    infer(server, {"inputs": [described(tensor, binary_data_size=tensor.nbytes)]}, tensor.tobytes())

    assert (2, 2) == tuple(after - old for after, old in zip(count(), before, strict=True))
