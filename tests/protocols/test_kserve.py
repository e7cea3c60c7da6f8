"""KServe's own Python client, unmodified, over REST and gRPC. Both see the same."""

import json

import numpy as np
import pytest

from server import demo as demo_model
from tests.photos import photo
from tests.protocols.conftest import grpc_address, with_client
from tests.protocols.test_rest import expected
from tests.reference import Reference

pytestmark = [pytest.mark.timeout(120), pytest.mark.long]  # for what its client brings: 300 MB, 70 packages

PHOTO = photo(5)
TENSOR = np.random.default_rng(3).random((2, 3, 224, 224), dtype=np.float32)
REFUSED = {
    "wrong name": (400, "INVALID_ARGUMENT"),
    "wrong datatype": (400, "INVALID_ARGUMENT"),
    "wrong shape": (400, "INVALID_ARGUMENT"),
    "wrong model": (404, "NOT_FOUND"),
    "no image": (415, "INVALID_ARGUMENT"),
}
LATE = ({422, 503, 504}, {"DEADLINE_EXCEEDED", "INVALID_ARGUMENT", "UNAVAILABLE"})


@pytest.fixture(scope="module", params=["rest", "grpc"])
def seen(request, demo, tmp_path_factory):
    """Give what a client saw, and 0 for REST or 1 for gRPC."""
    folder = tmp_path_factory.mktemp("kserve")
    (folder / "photo.jpg").write_bytes(PHOTO)
    np.save(folder / "tensor.npy", TENSOR)
    rest = request.param == "rest"
    address = f"{demo.host}:{demo.port}" if rest else grpc_address(demo)
    printed = with_client(
        "kserve", "kserve_client.py", request.param, address, "colourfulness", folder / "photo.jpg",
        folder / "tensor.npy",
    )  # fmt: skip
    return json.loads(printed), 0 if rest else 1


def test_it_finds_server_and_model(seen):
    """Live, ready, and with the shape that the model has."""
    found, _ = seen

    assert found["live"] is found["ready"] is found["model ready"] is True
    assert ("onnxruntime_onnx", [-1, 3, 224, 224]) == (found["platform"], found["shape"])


def test_it_gets_what_the_model_gives(seen):
    """For tensors, as bytes or as numbers, and for encoded images."""
    found, _ = seen
    values = expected(demo_model.FOLDER / "1" / "model.onnx", TENSOR)["probabilities"]
    row = Reference(demo_model.FOLDER).row(PHOTO)

    assert np.allclose(found["tensors"]["probabilities"], values, atol=1e-4)
    assert np.allclose(found["plain tensors"]["probabilities"], values, atol=1e-4)
    assert np.allclose(found["images"]["probabilities"], [row, row], atol=1e-4)
    assert ("r1", "colourfulness") == (found["id"], found["model"])


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_told_what_is_wrong(seen, what):
    """By the protocol's own code."""
    found, protocol = seen

    assert REFUSED[what][protocol] == found[what]


def test_a_deadline_that_cannot_be_met_ends_the_call(seen):
    """At once, or when it passes."""
    found, protocol = seen

    assert found["no time"] in LATE[protocol]
