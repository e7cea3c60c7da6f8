"""Triton's own Python clients, unmodified: HTTP and gRPC, and both on asyncio. All see the same."""

import json

import numpy as np
import pytest

from server import demo as demo_model
from tests.photos import photo
from tests.protocols.conftest import grpc_address, with_triton
from tests.protocols.test_rest import expected
from tests.reference import Reference

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(5)
TENSOR = np.random.default_rng(3).random((2, 3, 224, 224), dtype=np.float32)
KINDS = ("http", "http-aio", "grpc", "aio")
REFUSED = {
    "wrong name": ("400", "StatusCode.INVALID_ARGUMENT"),
    "wrong datatype": ("400", "StatusCode.INVALID_ARGUMENT"),
    "wrong shape": ("400", "StatusCode.INVALID_ARGUMENT"),
    "wrong model": ("404", "StatusCode.NOT_FOUND"),
}


@pytest.fixture(scope="module", params=KINDS)
def seen(request, demo, tmp_path_factory):
    """Give what a client saw, and whether it speaks HTTP."""
    folder = tmp_path_factory.mktemp("triton")
    (folder / "photo.jpg").write_bytes(PHOTO)
    np.save(folder / "tensor.npy", TENSOR)
    http = "http" in request.param
    address = f"{demo.host}:{demo.port}" if http else grpc_address(demo)
    printed = with_triton(
        "triton_client.py", request.param, address, "colourfulness", folder / "photo.jpg", folder / "tensor.npy"
    )
    return json.loads(printed), http


def test_it_finds_server_and_model(seen):
    """Live, ready, and with the shapes that the model has."""
    found, _ = seen

    assert found["live"] is found["ready"] is found["model ready"] is True
    assert ([-1, 3, 224, 224], 256) == (found["shape"], found["batch"])
    assert 0 < found["inferences"]


def test_it_gets_what_the_model_gives(seen):
    """For tensors, binary or in JSON, and for encoded images."""
    found, _ = seen
    values = expected(demo_model.FOLDER / "1" / "model.onnx", TENSOR)["probabilities"]
    row = Reference(demo_model.FOLDER).row(PHOTO)

    assert np.allclose(found["tensors"]["probabilities"], values, atol=1e-4)
    assert np.allclose(found.get("json tensors", found["tensors"])["probabilities"], values, atol=1e-4)
    assert np.allclose(found["images"], [row, row], atol=1e-4)


def test_it_gets_the_names_of_classes(seen):
    """The best first."""
    found, _ = seen
    scores = Reference(demo_model.FOLDER).scores(PHOTO)

    assert [sorted(scores, key=lambda label: -scores[label])[:2]] * 2 == [
        [text.split(":")[2] for text in row] for row in found["classes"]
    ]


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_told_what_is_wrong(seen, case):
    """With the status of its protocol, and words."""
    found, http = seen
    status, text = found[case]

    assert REFUSED[case][0 if http else 1] == status
    assert text


def test_a_timeout_is_a_deadline(seen):
    """A microsecond is not enough for anything."""
    found, http = seen

    late = ("422", "503") if http else ("StatusCode.DEADLINE_EXCEEDED", "StatusCode.UNAVAILABLE")
    assert found["no time"][0] in late
