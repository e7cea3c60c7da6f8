"""Converted to float16, and served only if it answers the same."""

import subprocess
import sys

import numpy as np
import onnx
import pytest

from server.inference.model import open_model
from server.inference.warmup import look
from server.models.card import find_model
from server.models.errors import ModelError
from server.models.fp16 import in_half_precision
from tests import models
from tests.server.inference.providers import PROVIDERS

FORMS = [
    models.dense,
    models.bytes_last,
    models.half,
    models.grey_last,
    models.one_score,
    models.digits,
    models.three_outputs,
    models.everywhere,
]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_answers_the_same(tmp_path, form, provider):
    """Its input and outputs keep their types, so that its card still fits it."""
    located = find_model(form(tmp_path / "m.onnx"))

    full, half = open_model(located, 4), open_model(located, 4, provider, precision="fp16")

    assert (full.output, full.session.signature) == (half.output, half.session.signature)
    assert half.deviation < 0.01
    for one, other in zip(look(full.session), look(half.session), strict=True):
        for expected, got in zip(one, other, strict=True):
            np.testing.assert_allclose(got.astype(float), expected.astype(float), atol=0.01 * np.abs(expected).max())


def test_weights_are_in_float16(tmp_path):
    """Half the bytes, and what a GPU's tensor cores are for."""
    data = in_half_precision(models.dense(tmp_path / "m.onnx"))

    kinds = [weights.data_type for weights in onnx.load_from_string(data).graph.initializer]
    assert [onnx.TensorProto.FLOAT16] * len(kinds) == kinds


def test_it_is_said_that_it_is_computed_in_float16(tmp_path):
    """And how far from float32 it was, on the warm-up's pictures."""
    located = find_model(models.dense(tmp_path / "m.onnx"))

    said = open_model(located, 1, precision="fp16").notes()

    assert said[0].startswith("computed in float16, 0.")
    assert said[0].endswith("% from float32")
    assert () == open_model(located, 1).notes()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_model_that_float16_cannot_hold_is_refused(tmp_path, provider):
    """With the output, how far it is off, and what to do."""
    located = find_model(models.beyond_half(tmp_path / "m.onnx"))

    assert open_model(located, 1, provider).deviation is None
    with pytest.raises(ModelError, match=r"in float16 its output 'score' is .*: start with --precision model"):
        open_model(located, 1, provider, precision="fp16")


def test_a_model_is_judged_by_larger_batches_too(tmp_path):
    """Here it answers otherwise in company, in float16 as in float32: it is run one image at a time."""
    located = find_model(models.beside_others(tmp_path / "m.onnx"))

    model = open_model(located, 8, precision="fp16")

    assert (0.0, 1, 1) == (model.deviation, model.session.max_batch, model.warmth.batch)
    assert model.separate


def test_what_is_read_off_the_outputs_is_read_in_float32(tmp_path):
    """Here they sum to 1 within a thousandth, and in float16 they do not, which alone would mean softmax."""
    path = models.probabilities_in_full(tmp_path / "m.onnx")
    located, alone = find_model(path), tmp_path / "half.onnx"
    alone.write_bytes(in_half_precision(path))

    activations = [
        open_model(located, 1, precision="fp16").output.activation,
        open_model(find_model(alone), 1).output.activation,
    ]
    assert ["none", "softmax"] == activations


def test_a_file_that_cannot_be_converted_is_refused(tmp_path):
    """As of a file that ONNX Runtime would read, and the converter does not."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"not a model")

    with pytest.raises(ModelError, match="it cannot be converted to float16: "):
        in_half_precision(path)


def test_without_its_extra_it_is_said_what_to_install(tmp_path):
    """Serving needs no `onnx`, but for this."""
    program = f"""if True:
        import sys
        from pathlib import Path
        from server.models.errors import ModelError
        from server.models.fp16 import in_half_precision
        sys.modules["onnx"] = None
        try:
            in_half_precision(Path({str(tmp_path)!r}))
        except ModelError as error:
            print(error)
    """
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert asked.stdout.startswith("float16 needs an extra (pip install 'tureen[fp16]'): ")
