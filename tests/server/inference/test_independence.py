"""Whether images can share a batch, as warming up finds out."""

from dataclasses import replace

import numpy as np
import pytest

from server.inference.independence import dependence
from server.inference.model import open_model, warmed, with_batch
from server.inference.onnx.session import Session
from server.models.card import find_model
from server.models.errors import ModelError
from tests import models, odd_models

WAYS = [{}, {"pipelined": True}, {"pipelined": True, "bound": True}]
DEPENDENT = [odd_models.every_row_is_the_first, odd_models.batch_norm_in_training, models.beside_others]


def opened(path, max_batch=8, **how):
    """Warmed, and asked for its largest batch, whatever pays."""
    located = find_model(path)
    return with_batch(warmed(located, Session(located.model_file, located.card, max_batch, **how)), max_batch)


@pytest.mark.parametrize("how", WAYS, ids=str)
@pytest.mark.parametrize("build", DEPENDENT, ids=lambda build: build.__name__)
def test_model_whose_rows_depend_on_each_other_is_run_one_image_at_a_time(tmp_path, build, how):
    """The first image's answer for all, a normalisation over the batch, a comparison within it."""
    model = opened(build(tmp_path / "m.onnx"), **how)

    assert (1, 1, [1]) == (model.warmth.batch, model.session.max_batch, list(model.warmth.profile.sizes))
    assert model.separate.startswith("in a batch of ")
    assert f"one image at a time: {model.separate}" in model.notes()
    assert any(model.separate in warning for warning in model.warnings)
    assert not model.session.slots.any()


@pytest.mark.parametrize("how", WAYS, ids=str)
@pytest.mark.parametrize(
    "build", [odd_models.plain, models.dense, models.bytes_last, models.half, models.three_outputs]
)
def test_model_whose_rows_are_independent_is_run_in_batches(tmp_path, build, how):
    """Of floats, bytes and whole numbers."""
    model = opened(build(tmp_path / "m.onnx"), **how)

    assert (8, "", ()) == (model.warmth.batch, model.separate, model.warnings)


def test_a_batch_that_fails_only_when_it_is_large_is_not_run(tmp_path):
    """The sizes below are."""
    model = opened(models.hungry(tmp_path / "m.onnx", 1.0))

    assert "" == model.separate


@pytest.mark.parametrize("pipelined", [False, True])
def test_fixed_batch_of_dependent_rows_is_filled_up_with_zeros(tmp_path, pipelined):
    """So that an image has one answer, whatever stands in the slots beside it."""
    path = odd_models.batch_norm_in_training(tmp_path / "m.onnx", 4)
    model = opened(path, pipelined=pipelined)
    model.session.slots[0] = np.random.default_rng(0).random(model.session.slots.shape[1:])
    before = model.session.run([0])[0]

    model.session.slots[1:] = 7

    assert 1 == model.warmth.batch == model.session.max_batch
    assert np.array_equal(before, model.session.run([0])[0])


@pytest.mark.parametrize(
    "build", [odd_models.dropout_in_training, odd_models.batch_norm_with_a_memory, models.by_chance]
)
def test_model_that_answers_one_picture_differently_each_time_is_refused(tmp_path, build):
    """With what to do about it; no way of running it would be right."""
    with pytest.raises(ModelError, match=r"it does not give one answer to one picture: .*call eval\(\) first"):
        open_model(find_model(build(tmp_path / "m.onnx")), 8)


def test_every_size_is_tried_that_will_be_used(tmp_path):
    """As far as a second goes; the smallest and the largest first."""

    class Counting(Session):
        sizes_run = ()

        def run(self, slots):
            self.sizes_run = (*self.sizes_run, len(slots))
            return super().run(slots)

    located = find_model(odd_models.plain(tmp_path / "m.onnx"))
    session = Counting(located.model_file, located.card, 8)
    model = warmed(located, session)
    session.sizes_run = ()

    assert "" == dependence(session, model.output, model.warmth.alone, 6)
    assert (2, 6, 3, 4, 5) == session.sizes_run


def test_whole_numbers_that_differ_in_few_places_are_no_dependence(tmp_path):
    """A map of classes may have a place where two are of equal rank; a class on its own may not."""
    model = opened(models.three_outputs(tmp_path / "m.onnx"))
    alone = [[*row[:2], np.where(np.arange(1000) == 3, 1, 0)] for row in model.warmth.alone]

    class Flipping:
        any_size, fixed, slot_recipe, slots = True, None, model.session.slot_recipe, model.session.slots

        def run(self, slots):
            rows = [alone[(len(slots) + slot) % len(alone)] for slot in slots]
            return *(np.stack([row[part] for row in rows]) for part in (0, 1)), np.zeros((len(slots), 1000), int)

    assert "" == dependence(Flipping(), replace(model.output), alone, 2)
