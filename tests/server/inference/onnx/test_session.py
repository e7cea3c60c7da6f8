"""The model behind its slots: opened or refused, run with the sizes it should be, and each row its slot's."""

import gc
import weakref

import numpy as np
import pytest
from onnx import TensorProto

from server.inference.onnx.session import Session
from server.models.card import Card, find_model
from server.models.digest import digest
from server.models.errors import ModelError
from server.models.input_spec import Input
from server.models.output_spec import Output
from tests import models


def opened(path, max_batch=4, card=None, **how):
    located = find_model(path)
    return Session(located.model_file, card or located.card, max_batch, **how)


def filled(session):
    """The session, with another picture in each slot."""
    random = np.random.default_rng(8)
    session.slots[:] = random.random(session.slots.shape).astype(session.slots.dtype)
    return session


def alone(session, slot):
    return session.run([slot])[0][0]


# ---- Refused ----


def test_two_inputs_are_refused(tmp_path):
    """Which of them would be the image?"""
    with pytest.raises(ModelError, match=r"it has 2 inputs \(a \[.*, b \[.*\); expected one: the image"):
        opened(models.two_inputs(tmp_path / "m.onnx"))


@pytest.mark.parametrize(
    ("kind", "shape", "found"),
    [
        (TensorProto.FLOAT, ["N", 3, 4, 8, 8], r"tensor\(float\) \['N', 3, 4, 8, 8\]"),
        (TensorProto.FLOAT, ["N", 2, 8, 8], r"tensor\(float\) \['N', 2, 8, 8\]"),
        (TensorProto.FLOAT, ["N", 192], r"tensor\(float\) \['N', 192\]"),
        (TensorProto.FLOAT, [], r"tensor\(float\) \[\]"),
        (TensorProto.INT8, ["N", 3, 8, 8], r"tensor\(int8\) \['N', 3, 8, 8\]"),
        (TensorProto.STRING, ["N", 3, 8, 8], r"tensor\(string\) \['N', 3, 8, 8\]"),
        (TensorProto.BOOL, ["N", 3, 8, 8], r"tensor\(bool\) \['N', 3, 8, 8\]"),
    ],
)
def test_input_that_is_no_image_is_refused(tmp_path, kind, shape, found):
    """With what was found, and what is needed."""
    needed = r"tensor\(float\), tensor\(float16\), .*tensor\(int64\) of 4 dimensions, or 3 for one image, with 1 or 3"
    with pytest.raises(ModelError, match=f"the model's input is {found}; needed: {needed}"):
        opened(models.takes(tmp_path / "m.onnx", kind, shape))


def test_output_of_words_is_refused(tmp_path):
    """And which outputs the model has, since a card may choose others."""
    with pytest.raises(
        ModelError,
        match=r"the output 'words' is tensor\(string\); needed: a tensor of numbers .* has words, numbers",
    ):
        opened(models.says_words(tmp_path / "m.onnx"))


def test_output_of_words_may_be_left_out(tmp_path):
    """The card names the other."""
    card = Card(name="m", version="1", output=Output(names=("numbers",)))
    session = opened(models.says_words(tmp_path / "m.onnx"), card=card)

    assert ["numbers"] == [tensor.name for tensor in session.outputs]
    assert (1, 192) == session.run([0])[0].shape


def test_file_that_is_no_model_is_refused(tmp_path):
    """ONNX Runtime's reason is passed on."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"not a model")

    with pytest.raises(ModelError, match="ONNX Runtime cannot load it"):
        opened(path)


@pytest.mark.parametrize(
    "change",
    [{"width": 17}, {"height": 15}, {"layout": "NHWC"}, {"colour": "grey"}, {"dtype": "float16"}],
    ids=lambda change: next(iter(change)),
)
def test_card_that_does_not_fit_the_input_is_refused(tmp_path, change):
    """Here already: ONNX Runtime would say it of every image."""
    card = Card(name="m", version="1", input=Input(**change))

    with pytest.raises(ModelError, match=r"tensor\(float\) \['N', 3, 16, 16\]; the \[input\] of model.toml makes"):
        opened(models.dense(tmp_path / "m.onnx"), card=card)


def test_card_decides_what_the_model_leaves_free(tmp_path):
    """Height and width of a fully convolutional model."""
    card = Card(name="m", version="1", input=Input(width=64, height=32))
    session = opened(models.everywhere(tmp_path / "m.onnx"), card=card)

    assert (3, 32, 64) == session.slots.shape[1:]
    assert (1, 5, 2, 4) == session.run([0])[0].shape


# ---- Served ----


def test_session_has_one_thread_and_the_cpu_provider(tmp_path):
    """One worker a core: more threads would only fight."""
    session = opened(models.dense(tmp_path / "m.onnx"))

    options = session._session.get_session_options()
    assert (1, 1) == (options.intra_op_num_threads, options.inter_op_num_threads)
    assert "0" == options.get_session_config_entry("session.intra_op.allow_spinning")
    assert "CPUExecutionProvider" == session.provider


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("batch", ["N", 1, 3, 16])
@pytest.mark.parametrize("slots", [[0], [0, 1, 2], [2, 0], [3], [1, 3]])
def test_each_row_is_its_slots(tmp_path, batch, slots, pipelined):
    """Whatever the size that is run, and wherever the slots lie."""
    session = filled(opened(models.dense(tmp_path / "m.onnx", batch=batch), pipelined=pipelined))
    slots = [slot % len(session.slots) for slot in slots][: session.max_batch]

    rows = session.run(slots)[0]

    assert len(slots) == len(rows)
    for row, slot in zip(rows, slots, strict=True):
        np.testing.assert_allclose(row, alone(session, slot), atol=1e-5)


@pytest.mark.parametrize(("pipelined", "sizes"), [(False, [1, 2, 3, 4, 5, 6, 7]), (True, [1, 2, 4, 4, 7, 7, 7])])
def test_batches_are_filled_up_to_a_few_sizes_where_decoding_runs_beside(tmp_path, pipelined, sizes):
    """1, 2, 4, ... and the largest; elsewhere none is filled up. The model itself says what was run."""
    session = opened(models.tells_size(tmp_path / "m.onnx"), 7, pipelined=pipelined)

    assert sizes == [int(session.run(range(count))[0][0]) for count in range(1, 8)]


@pytest.mark.parametrize(("batch", "most"), [(1, 1), (3, 3), (16, 4)])
def test_fixed_batch_bounds_what_is_run_together(tmp_path, batch, most):
    """A model for 16 takes 4 where no more may run together, and is filled up."""
    session = opened(models.dense(tmp_path / "m.onnx", batch=batch), 4)

    assert (most, (batch,)) == (session.max_batch, session.sizes)


def test_there_are_slots_for_the_next_batch_where_decoding_runs_beside(tmp_path):
    """One batch is filled while the other runs."""
    model = models.dense(tmp_path / "m.onnx")

    assert [4, 8] == [len(opened(model, pipelined=pipelined).slots) for pipelined in (False, True)]


def test_every_thread_has_a_slot_to_fill(tmp_path):
    """Also where one image at a time is run."""
    model = models.dense(tmp_path / "m.onnx", batch=1)

    assert 1 + 16 == len(opened(model, pipelined=True, decoders=16).slots)


def test_digest_is_of_the_files_bytes(tmp_path):
    """The same file has the same digest wherever it lies."""
    first, second = models.dense(tmp_path / "a.onnx"), models.dense(tmp_path / "b.onnx")

    assert digest(first) == digest(second)
    assert digest(first) != digest(models.dense(tmp_path / "c.onnx", hidden=(65,)))


@pytest.mark.parametrize("bound", [False, True])
def test_a_session_that_is_given_up_is_gone(tmp_path, bound):
    """At once, not when the collector comes: the next one needs its memory."""
    session = opened(models.everywhere(tmp_path / "m.onnx"), pipelined=True, bound=bound)
    gone = weakref.ref(session)
    gc.disable()
    try:
        del session
        assert gone() is None
    finally:
        gc.enable()
