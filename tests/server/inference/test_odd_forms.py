"""Models of the forms that detectors and other converters write: opened, warmed, and run."""

from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto

from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.inference.model import open_model
from server.inference.onnx.session import Session
from server.inference.warmup import look, warm_up
from server.models.card import find_model
from server.models.errors import ModelError
from server.models.input_spec import Input
from tests import models, odd_models
from tests.photos import photo


def opened(path, max_batch=4, **given):
    located = find_model(path)
    return open_model(replace(located, card=replace(located.card, input=Input(**given))), max_batch)


def run(model, image, slot=0):
    prepare(image, model.session.slot_recipe, model.session.slots[slot], Limits())
    return model.session.run([slot])


def plainly(path, model, image, **others):
    """What a session of its own makes of the tensor."""
    recipe = model.session.recipe
    tensor = np.zeros((1, *recipe.shape), recipe.dtype)
    prepare(image, recipe, tensor[0], Limits())
    session = ort.InferenceSession(str(path))
    rank = len(model.session.input.shape)
    return session.run(None, {model.session.input.name: tensor if rank == 4 else tensor[0], **others})


@pytest.mark.parametrize("threshold", [99.0, 1.0])
def test_detector_that_may_find_nothing_is_served(tmp_path, threshold):
    """Nothing in black, white, gradients and noise, or something in most."""
    model = opened(odd_models.finds(tmp_path / "m.onnx", threshold))

    assert "raw" == model.output.kind
    assert model.describe().endswith(", 2] (varies)")


def test_output_that_is_always_empty_is_refused(tmp_path):
    """Where the model itself says so, no picture would ever get an answer."""
    path = models.gives_nothing(tmp_path / "m.onnx", 0)

    with pytest.raises(ModelError, match=r"the output 'nothing' is empty: its shape for one image is \[0\]"):
        opened(path)


def test_image_without_a_batch_and_outputs_led_by_none(tmp_path):
    """One image at a time, each output whole, as a session of its own gives it."""
    path = odd_models.torchvision(tmp_path / "m.onnx")
    model = opened(path)

    boxes, labels = run(model, photo(1))

    expected = plainly(path, model, photo(1))
    assert len(expected[0]) > 1
    assert np.array_equal(expected[0], boxes[0])
    assert np.array_equal(expected[1], labels[0])
    assert (1, 1, "raw") == (model.warmth.batch, model.session.max_batch, model.output.kind)
    assert "one image at a time: its outputs are not led by the batch" in model.notes()


def test_boxes_of_a_whole_batch_are_one_images(tmp_path):
    """With a constant beside the image: the batch is free, and never used."""
    path = odd_models.paddle(tmp_path / "m.onnx")
    model = opened(path, constants={"scale_factor": [0.5, 2.0]})

    boxes, count = run(model, photo(1))

    expected = plainly(path, model, photo(1), scale_factor=np.array([[0.5, 2]], np.float32))
    assert np.array_equal(expected[0], boxes[0])
    assert [[len(expected[0])]] == count.tolist()


@pytest.mark.parametrize("bound", [False, True])
def test_constants_are_repeated_for_each_image_of_a_batch(tmp_path, bound):
    """Over bound tensors as well."""
    located = find_model(odd_models.scaled_by(tmp_path / "m.onnx"))
    card = replace(located.card, input=replace(models.AS_IT_IS, constants={"factor": 2.0, "shift": 1000}))
    session = Session(located.model_file, card, 3, bound=bound)
    session.slots[:] = np.arange(1, 4).reshape(3, 1, 1, 1)

    assert [1002, 1004, 1006] == session.run([0, 1, 2])[0].tolist()
    assert [1006] == session.run([2])[0].tolist()


def test_outputs_led_by_no_batch_over_bound_tensors(tmp_path):
    """As on a GPU: no place is kept for an output whose length changes."""
    located = find_model(odd_models.paddle(tmp_path / "m.onnx"))
    card = replace(located.card, input=replace(models.AS_IT_IS, constants={"scale_factor": [1, 1]}))
    session = Session(located.model_file, card, 4, bound=True)

    lengths = [len(boxes[0]) for boxes, _ in look(session)]

    assert session.whole
    assert [0, 1024] == lengths[:2]
    assert 0 < lengths[3] <= 1024


def test_classes_without_a_batch_are_classes(tmp_path):
    """An export that has dropped the dimension of 1."""
    model = opened(odd_models.squeezed(tmp_path / "m.onnx"))

    assert ("classes", 3) == (model.output.kind, model.warmth.seen[0].values)


def test_fixed_batch_with_outputs_led_by_none_is_refused(tmp_path):
    """Whose boxes would be whose?"""
    nodes = [odd_models.node("ReduceMean", ["image"], ["score"], axes=[0, 2, 3], keepdims=0)]
    image = ("image", odd_models.FLOAT, [4, 3, 8, 8])
    path = models.save(tmp_path / "m.onnx", nodes, {}, [image], [("score", odd_models.FLOAT, [3])])

    with pytest.raises(ModelError, match=r"4 images gave an output 'score' of shape \(3,\)"):
        opened(path)


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize(
    ("kind", "dtype"), [(TensorProto.INT32, "int32"), (TensorProto.INT64, "int64"), (TensorProto.DOUBLE, "float64")]
)
def test_whole_numbers_and_doubles(tmp_path, kind, dtype, bound):
    """Whole numbers are the bytes as they are; doubles are normalised as floats are."""
    located = find_model(odd_models.numbers_of(tmp_path / "m.onnx", kind))
    session = Session(located.model_file, located.card, 2, bound=bound)
    prepare(photo(3), session.slot_recipe, session.slots[0], Limits())

    (means,) = session.run([0])

    slot = np.zeros(session.recipe.shape, session.recipe.dtype)
    prepare(photo(3), session.recipe, slot, Limits())
    assert dtype == session.recipe.dtype
    np.testing.assert_allclose(means[0], slot.mean(axis=(1, 2)), rtol=1e-5)


def test_yolo_without_suppression_is_answered(tmp_path):
    """705,600 values: within the default bound of bytes."""
    model = opened(odd_models.many_values(tmp_path / "m.onnx"), 1)

    assert "raw: output0 [84, 8400]" == model.describe()
    assert 5_000_000 < model.warmth.seen[0].json_bytes < 16_777_216


def test_warming_up_takes_whole_outputs_before_it_measures(tmp_path):
    """Only one size is left to be run."""
    located = find_model(odd_models.torchvision(tmp_path / "m.onnx"))
    session = Session(located.model_file, located.card, 8)

    assert [1] == list(warm_up(session).profile.sizes)
