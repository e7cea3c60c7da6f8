"""Dead channels: which are removed, and that the answers stay the same."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from server.optimize.prune import remove_dead_channels
from tests.server.optimize.networks import convolutional


def answers(model):
    """What it makes of seeded noise."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": np.random.default_rng(1).standard_normal((2, 3, 32, 32), dtype=np.float32)})[0]


@pytest.mark.parametrize("dead", [0, 5, 15])
def test_channels_that_are_zero_go(tmp_path, dead):
    """With what the next convolution has for them, and nothing is answered otherwise."""
    model = onnx.load(str(convolutional(tmp_path / "model.onnx", dead=dead)))
    before = answers(model)

    assert dead == remove_dead_channels(model)

    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    assert ((16 - dead, 3, 3, 3), (16 - dead,), (16, 16 - dead, 3, 3)) == tuple(
        shapes[name] for name in ("w1", "b1", "w2")
    )
    np.testing.assert_allclose(answers(model), before, rtol=1e-5, atol=1e-5)


def test_a_channel_with_a_bias_stays(tmp_path):
    """It is not zero, and at the borders it is not constant for what reads it."""
    model = onnx.load(str(convolutional(tmp_path / "model.onnx", dead=3)))
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "b1")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.ones(16, np.float32), "b1"))

    assert 0 == remove_dead_channels(model)


def test_a_channel_that_something_else_reads_stays(tmp_path):
    """As an output of the model does."""
    model = onnx.load(str(convolutional(tmp_path / "model.onnx", dead=3)))
    model.graph.output.append(onnx.helper.make_tensor_value_info("r1", onnx.TensorProto.FLOAT, ["N", 16, 16, 16]))

    assert 0 == remove_dead_channels(model)
