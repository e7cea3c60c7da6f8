"""The models to measure with are what they are called, the same each time, and answer sensibly."""

import hashlib
import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from benchmarks import models


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def parameters(path):
    """The number of weights and biases; the two bounds of ReLU6 are neither."""
    return sum(math.prod(one.dims) for one in onnx.load(path).graph.initializer if one.dims)


def pictures(count):
    """Normalised pictures that differ as photos do: in their large shapes."""
    coarse = np.random.default_rng(1).standard_normal((count, 3, 7, 7)).astype(np.float32)
    return coarse.repeat(32, axis=2).repeat(32, axis=3)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Each model's file, by name; built once, for the largest have 100 MB."""
    folder = tmp_path_factory.mktemp("models")
    for name in models.MODELS:
        models.build(name, folder / f"{name}.onnx")
    return {name: folder / f"{name}.onnx" for name in models.MODELS}


def test_the_same_bytes_each_time(built, tmp_path):
    """A model made today is the one that was measured yesterday."""
    again = tmp_path / "again.onnx"

    models.build("tiny", again)

    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (built["tiny"], again)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # The published counts, less one value a channel of each batch normalisation, which is folded in.
        ("resnet50", 25_557_032 - 26_560),
        ("resnet152", 60_192_808 - 75_712),
        ("mobilenet_v2", 3_504_872 - 17_056),
    ],
)
def test_the_architecture_is_the_published_one(built, name, count):
    """As many parameters as the paper's network has."""
    assert count == parameters(built[name])


@pytest.mark.parametrize("name", models.MODELS)
def test_input_and_output_are_what_is_promised(built, name):
    """Float32 pictures of 224x224 in any number, a row of logits for each."""
    (given,), (output,) = session(built[name]).get_inputs(), session(built[name]).get_outputs()

    assert ("image", "tensor(float)", ["N", 3, 224, 224]) == (given.name, given.type, given.shape)
    assert ("logits", "tensor(float)", ["N", 10 if name == "tiny" else 1000]) == (
        output.name,
        output.type,
        output.shape,
    )


@pytest.mark.parametrize("name", models.MODELS)
def test_different_pictures_get_different_answers(built, name):
    """Nothing overflows or dies out on the way, so nothing measured is a special case of arithmetic."""
    (rows,) = session(built[name]).run(None, {"image": pictures(3)})

    assert np.isfinite(rows).all()
    assert rows.std(axis=0).mean() > 0.02 * rows.std()
    assert 0.01 < rows.std() < 100


@pytest.mark.parametrize("name", models.MODELS)
def test_a_batch_answers_as_its_images_alone(built, name):
    """The batch dimension is a batch dimension."""
    run, given = session(built[name]).run, pictures(2)

    alone = np.concatenate([run(None, {"image": given[at : at + 1]})[0] for at in range(2)])

    np.testing.assert_allclose(run(None, {"image": given})[0], alone, rtol=1e-3, atol=1e-3)


def test_wide_is_small_enough_to_be_made_on_the_fly(built):
    """A file that stays under 120 MB."""
    assert built["wide"].stat().st_size < 120e6


def test_the_command_writes_a_model(tmp_path):
    """`python -m benchmarks.models tiny OUT.onnx --side 96`."""
    path = tmp_path / "out.onnx"

    assert models.main(["tiny", str(path), "--side", "96"]) == 0

    onnx.checker.check_model(onnx.load(path))
    assert ["N", 3, 96, 96] == session(path).get_inputs()[0].shape
