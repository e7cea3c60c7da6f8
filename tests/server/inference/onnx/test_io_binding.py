"""Over tensors that stay there, with the answers of the plain one. On a CPU it is the same code."""

from dataclasses import replace

import numpy as np
import pytest

from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.inference.model import open_model, warmed, with_batch
from server.inference.onnx.io_binding import BoundRun, Device
from server.inference.onnx.page_lock import page_lock
from server.inference.onnx.providers import Gpu
from server.inference.onnx.session import Session
from server.inference.onnx.slab import Slab
from server.inference.warmup import warm_up
from server.models.card import Card, find_model
from server.models.errors import ModelError, OutputError
from server.models.output_spec import Output
from server.process.gpus import may_have_gpu
from tests import models
from tests.photos import photo
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
WITHIN = {"cpu": 1e-4, "cuda": 1e-2}  # a GPU multiplies float32 in TF32
IN_HALF = 1e-2
IMAGES = [photo(n) for n in range(8)]


def opened(path, max_batch=4, provider="cpu", gpu=None, card=None, **how):
    located = find_model(path)
    return Session(located.model_file, card or located.card, max_batch, provider, gpu, **{"pipelined": True, **how})


def bound(path, max_batch=4, provider="cpu", gpu=None, card=None):
    return opened(path, max_batch, provider, gpu, card, bound=True)


def fill(session, first=0):
    """The session, with another photo in each slot."""
    for slot, row in enumerate(session.slots):
        prepare(IMAGES[(first + slot) % len(IMAGES)], session.slot_recipe, row, Limits())
    return session


def traffic(session):
    return session._run.traffic


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("form", FORMS)
def test_answers_are_those_of_the_plain_run(tmp_path, form, provider):
    """Of every form that is served, whatever the size that is run and wherever the slots lie, again and again."""
    path = form(tmp_path / "m.onnx")
    plain, device = fill(opened(path, bound=False)), fill(bound(path, provider=provider))
    within = IN_HALF if form is models.half else WITHIN[provider]

    for slots in ([0], [0, 1, 2], [3, 1], [4, 5, 6, 7], [6], [0, 1, 2]):
        for expected, got in zip(plain.run(slots), device.run(slots), strict=True):
            assert (expected.shape, expected.dtype) == (got.shape, got.dtype)
            np.testing.assert_allclose(got.astype(float), expected.astype(float), atol=within)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("batch", [1, 3])
def test_fixed_batch_is_filled_up(tmp_path, batch, provider):
    """As on the plain path."""
    path = models.dense(tmp_path / "m.onnx", batch=batch)
    plain, device = fill(opened(path, bound=False)), fill(bound(path, provider=provider))

    np.testing.assert_allclose(device.run([1])[0], plain.run([1])[0], atol=WITHIN[provider])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_answers_outlive_the_next_batch(tmp_path, provider):
    """They are read in another thread while it runs over the same tensors."""
    session = fill(bound(models.dense(tmp_path / "m.onnx"), provider=provider))

    first = session.run([0, 1])[0]
    kept = first.copy()
    session.run([2, 3])

    np.testing.assert_array_equal(kept, first)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_costs_one_copy_there_and_one_back_for_each_output(tmp_path, provider):
    """Of a byte a value on the way there. Filled up to 4, four rows go."""
    session = fill(bound(models.three_outputs(tmp_path / "m.onnx"), provider=provider))

    session.run([0, 1, 2])
    session.run([2, 0, 3])  # gathered on the host

    sent, rows = traffic(session), 2 * 4
    assert (2, 2, 6) == (sent.batches, sent.copies_in, sent.copies_out)
    assert rows * 24 * 40 * 3 == sent.bytes_in
    assert rows * (4 * 4 + 4 * 6 * 10 * 4 + 8) == sent.bytes_out


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tensors_are_made_once_for_each_size(tmp_path, provider):
    """And those of sizes that are run no more are given back."""
    session = fill(bound(models.dense(tmp_path / "m.onnx"), provider=provider))
    run = session._run
    assert isinstance(run, BoundRun)

    places = [run.addresses(len(slots)) for slots in ([0], [0, 1], [0], [1, 2]) if session.run(slots)]
    session.limit(1)

    assert places[:2] == places[2:]
    assert 6 == len({*places[0], *places[1]})
    assert (1,) == run.sizes


@pytest.mark.parametrize("provider", PROVIDERS)
def test_output_whose_shape_changes_is_taken_as_it_comes(tmp_path, provider):
    """From batch to batch of one size."""
    card = Card(name="m", version="1", input=models.AS_IT_IS, output=Output(kind="raw"))
    session = bound(models.as_wide_as_bright(tmp_path / "m.onnx"), provider=provider, card=card)
    for slot, grey in enumerate((7, 100, 30)):
        session.slots[slot] = grey

    assert [(1, 7), (1, 100), (1, 30)] == [session.run([slot])[0].shape for slot in range(3)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_output_with_a_row_too_few_is_named(tmp_path, provider):
    """As on the plain path."""
    session = fill(bound(models.fussy(tmp_path / "m.onnx"), provider=provider))

    session.run([0])
    with pytest.raises(OutputError, match=r"2 images gave an output 'scores' of shape \(1, 2\)"):
        session.run([0, 1])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_warming_up_measures_it_and_leaves_the_slots_clean(tmp_path, provider):
    """Every size, through the same tensors that serve."""
    session = bound(models.everywhere(tmp_path / "m.onnx"), 6, provider)

    assert [1, 2, 4, 6] == list(warm_up(session).profile.sizes)
    assert (1, 2, 4, 6) == session._run.sizes
    assert not session.slots.any()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_size_that_does_not_fit_into_memory_is_not_run_later(tmp_path, provider):
    """And leaves no tensors on the device."""
    session = bound(models.hungry(tmp_path / "m.onnx"), 8, provider)

    warmth = warm_up(session)

    assert max(warmth.profile.sizes) == session.max_batch < 8
    assert session.max_batch == max(session._run.sizes)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("batch", "sizes"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 4)), (6, (1, 2, 4, 6)), (9, (1, 2, 4, 6))]
)
def test_what_larger_batches_than_the_one_that_pays_have_on_the_device_is_given_back(tmp_path, batch, sizes, provider):
    """None so large is ever run."""
    path = models.everywhere(tmp_path / "m.onnx")
    model = with_batch(warmed(find_model(path), bound(path, 6, provider)), batch)

    assert (min(batch, 6), sizes, sizes) == (model.warmth.batch, model.session.sizes, model.session._run.sizes)
    assert sizes[-1] == model.session.max_batch


def test_each_size_asks_for_its_session_once(tmp_path):
    """And keeps it: on a GPU it may be one of its own, whose convolutions are planned for this size alone."""
    session = bound(models.dense(tmp_path / "m.onnx"))
    given = session._run._graphs
    asked = []
    graphs = replace(given, model=lambda: asked.append(1) or given.model())
    run = BoundRun(graphs, Slab(8, 4, session.slot_recipe), Device("cpu"))

    for slots in ([0], [0, 1], [1], [1, 2], [0]):
        run.run(slots, len(slots))

    assert 2 == len(asked)


def test_it_is_said_how_pictures_get_to_the_model(tmp_path):
    """Memory that the driver would not lock is no secret: it is slower."""
    path = models.dense(tmp_path / "m.onnx")

    said = [opened(path, bound=device).way for device in (False, True)]
    assert ["", "on the device, from uint8 in memory that is not page-locked"] == said


# ---- What only a GPU has ----


@pytest.mark.gpu
@pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")
def test_slots_are_page_locked(tmp_path):  # pragma: no cover
    """A second time the driver refuses: they are so already."""
    session = bound(models.dense(tmp_path / "m.onnx", size=64), provider="cuda")

    assert session._run.page_locked
    assert not page_lock(session._run._slab.memory)


@pytest.mark.gpu
@pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")
@pytest.mark.parametrize("form", FORMS)
def test_a_replayed_graph_answers_for_the_batch_it_is_given(tmp_path, form):  # pragma: no cover
    """Not for the one it was recorded with; sizes in turn, many times each."""
    path = form(tmp_path / "m.onnx")
    plain, device = opened(path, 4, bound=False), bound(path, 4, "cuda", Gpu(graphs=True))
    warm_up(device)

    for first in range(8):
        for slots in ([0], [0, 1], [1, 2, 3], list(range(4))):
            expected = fill(plain, first).run(slots)
            for one, got in zip(expected, fill(device, first).run(slots), strict=True):
                np.testing.assert_allclose(got.astype(float), one.astype(float), atol=WITHIN["cuda"])


@pytest.mark.gpu
@pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")
def test_a_model_that_cannot_be_recorded_is_run_as_it_is(tmp_path):  # pragma: no cover
    """Its control flow goes by what is in the batch. Why it is so is said."""
    path = models.branches(tmp_path / "m.onnx")
    model = open_model(find_model(path), 4, "cuda", Gpu(graphs=True))
    plain = opened(path, bound=False)

    assert "control flow" in model.fallback_reason
    assert model.fallback_reason in str(model.notes())
    for first in range(8):
        for slots in ([0], [1, 2], [0, 1, 2, 3], [2]):
            expected, got = fill(plain, first).run(slots)[0], fill(model.session, first).run(slots)[0]
            np.testing.assert_allclose(got, expected, atol=WITHIN["cuda"])


@pytest.mark.gpu
@pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")
def test_a_model_that_draws_is_refused(tmp_path):  # pragma: no cover
    """A graph draws the same each time, and a plain run each time another."""
    with pytest.raises(ModelError, match="it does not give one answer to one picture"):
        open_model(find_model(models.by_chance(tmp_path / "m.onnx")), 4, "cuda", Gpu(graphs=True))


@pytest.mark.gpu
@pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")
def test_memory_limit_is_kept(tmp_path):  # pragma: no cover
    """48 MB of weights do not fit into 8, and do into 256."""
    path = models.dense(tmp_path / "m.onnx", size=64, hidden=(1024,))

    with pytest.raises(ModelError):
        warm_up(bound(path, provider="cuda", gpu=Gpu(memory_limit=8_000_000)))
    assert 1 == len(fill(bound(path, provider="cuda", gpu=Gpu(memory_limit=256_000_000))).run([0])[0])


@pytest.mark.gpu
@pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")
def test_memory_limit_is_not_shared_out_where_there_is_one_session(tmp_path):  # pragma: no cover
    """A model of one batch size has all of it: a fourth would not hold its 48 MB."""
    path = models.dense(tmp_path / "m.onnx", size=64, hidden=(1024,), batch=4)

    assert [1, 4] == list(warm_up(bound(path, 8, "cuda", Gpu(memory_limit=160_000_000))).profile.sizes)
