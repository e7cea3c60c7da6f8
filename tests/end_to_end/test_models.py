"""Models of every form, served from the bare file by the real server: the answers are a plain session's."""

import asyncio
import re
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from benchmarks.models import build
from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.commands import inspect as inspection
from server.models.signature import recipe_from_input
from server.process.gpus import may_have_gpu
from tests import models, odd_models
from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.reference import Reference

pytestmark = pytest.mark.timeout(180)

PHOTOS = [photo(n, 90, 70) for n in range(12)]


@pytest.fixture(scope="session")
def resnet50(tmp_path_factory):
    path = tmp_path_factory.mktemp("resnet50") / "resnet50.onnx"
    build("resnet50", path)
    return path


def answers(model, images=PHOTOS, *flags):
    """Each image's answer, all sent at a time."""
    with serving("--workers", "1", "--model", str(model), "--slo", "60s", *flags) as server:

        async def one(image):
            client = await server.connect()
            return await client.post(image)

        async def every():
            return await asyncio.gather(*map(one, images))

        replies = server.run(every())
    assert [200] * len(images) == [reply.status for reply in replies]
    return [reply.json() for reply in replies]


def check_classes(model, images=PHOTOS):
    reference = Reference(model)
    for image, answer in zip(images, answers(model, images), strict=True):
        assert reference.agrees(image, answer, within=1e-4)
        assert not {"score", "tip", "outputs"} & answer.keys()


def check_raw(model):
    reference = Reference(model)
    for image, answer in zip(PHOTOS, answers(model), strict=True):
        expected = reference.outputs(image)
        assert expected.keys() == answer["outputs"].keys()
        for name, values in expected.items():
            got = np.array(answer["outputs"][name], values.dtype)
            assert values.shape == got.shape
            np.testing.assert_allclose(got, values, atol=1e-4)
        assert not {"score", "tip", "predictions"} & answer.keys()


@pytest.mark.long
def test_resnet50(resnet50):
    """float32, NCHW, 3 channels of 224 x 224, batch free: what most exports are."""
    check_classes(resnet50, PHOTOS[:4])


@pytest.mark.parametrize(
    "model",
    [models.bytes_last, models.half, models.grey_last, models.digits],
    ids=["uint8 NHWC", "float16", "grey NHWC", "grey 28 x 28"],
)
def test_classes(tmp_path, model):
    """Bytes and floats of both sizes, channels first and last, three and one."""
    check_classes(model(tmp_path / "m.onnx"))


@pytest.mark.parametrize("batch", [1, 5])
def test_fixed_batch(tmp_path, batch):
    """One at a time, or so many and no others: twelve images are two batches of five and one of two."""
    check_classes(models.dense(tmp_path / "m.onnx", batch=batch))


def test_three_outputs_of_an_input_that_is_not_square(tmp_path):
    """All of them, by name."""
    check_raw(models.three_outputs(tmp_path / "m.onnx"))


def test_fully_convolutional(tmp_path):
    """Height and width are free: 224 each."""
    check_raw(models.everywhere(tmp_path / "m.onnx"))


def test_one_score(tmp_path):
    """A number, and nothing else."""
    model = models.one_score(tmp_path / "m.onnx")
    reference = Reference(model)

    for image, answer in zip(PHOTOS, answers(model), strict=True):
        assert float(reference.row(image)[0]) == pytest.approx(answer["score"], abs=1e-4)
        assert {"id", "hash", "model", "score", "timing", "batch"} == answer.keys()


def test_card_that_inspect_wrote_serves_the_same_answers(tmp_path):
    """The bare file and the folder, to the last digit."""
    bare = models.one_score(tmp_path / "m.onnx")
    text = inspection.inspect(bare)
    before = [answer["score"] for answer in answers(bare)]
    (tmp_path / "saved" / "1").mkdir(parents=True)
    bare.rename(tmp_path / "saved" / "1" / "model.onnx")
    levels = 'labels = ["low", "high"]\nthresholds = [0.0]\ntips = ["Up!", "Well done."]\n'
    (tmp_path / "saved" / "model.toml").write_text(text + levels)

    after = answers(tmp_path / "saved")

    assert before == [answer["score"] for answer in after]
    assert {("low", "Up!"), ("high", "Well done.")} == {(answer["label"], answer["tip"]) for answer in after}
    assert all((answer["score"] >= 0) == (answer["label"] == "high") for answer in after)


def overwrite(path):
    odd_models.every_row_is_the_first(path)


@pytest.mark.parametrize("change", [overwrite, Path.unlink], ids=["overwritten", "removed"])
def test_a_worker_that_is_replaced_serves_the_model_of_the_start(tmp_path, change):
    """Whatever has become of its file: one picture has one answer, from every worker."""
    path = odd_models.plain(tmp_path / "m.onnx")
    with serving("--workers", "2", str(path)) as server:

        async def every():
            clients = [await server.connect() for _ in range(12)]
            return [reply.json() for reply in await asyncio.gather(*(client.post(PHOTOS[0]) for client in clients))]

        before = server.run(every())
        change(path)
        server.workers[0].kill()
        server.run(server.restarted("crash", 1))
        server.run(server.all_ready())
        after = server.run(every())

    assert 1 == len({str(answer["predictions"]) for answer in before + after})


@pytest.mark.parametrize("model", [odd_models.every_row_is_the_first, odd_models.batch_norm_in_training])
def test_what_else_is_sent_does_not_change_an_answer(tmp_path, model):
    """A model whose rows depend on each other is found out, and the operator told so."""
    with serving("--workers", "1", str(model(tmp_path / "m.onnx")), "--slo", "60s") as server:

        async def ask(image):
            return (await (await server.connect()).post(image)).json()["predictions"]

        async def burst():
            return await asyncio.gather(*(ask(image) for image in PHOTOS[:2] * 8))

        alone = [server.run(ask(image)) for image in PHOTOS[:2]]
        together = server.run(burst())

    assert alone * 8 == together
    assert "images are run one at a time" in server.final_log


def test_detector_whose_outputs_no_batch_leads(tmp_path):
    """Each image's boxes, whatever their number, as a plain session gives them."""
    model = odd_models.torchvision(tmp_path / "m.onnx")
    session = ort.InferenceSession(str(model))

    for image, answer in zip(PHOTOS[:3], answers(model, PHOTOS[:3]), strict=True):
        given = session.get_inputs()[0]
        recipe = recipe_from_input([1, *given.shape], given.type)
        tensor = np.empty(recipe.shape, recipe.dtype)
        prepare(image, recipe, tensor, Limits())
        boxes, labels = session.run(None, {given.name: tensor})
        assert {"boxes": boxes.tolist(), "labels": labels.tolist()} == answer["outputs"]


def refused(*flags):
    """What standard error ends with when a server with these flags does not start."""
    with pytest.raises(AssertionError, match="the server did not start: exit 1") as caught, serving(*flags):
        pass
    return str(caught.value).splitlines()[-1]


def test_model_that_cannot_be_served_ends_the_start(tmp_path):
    """Its last line says what was found and what is needed."""
    last = refused("--model", str(models.two_inputs(tmp_path / "m.onnx")))

    assert "it has 2 inputs" in last
    assert "expected one: the image" in last


def test_cuda_that_cannot_be_used_ends_the_start():
    """There is no silent CPU. No machine has a GPU of this number."""
    last = refused("--provider", "cuda:999")

    assert "cannot_serve" in last
    assert re.search("cuda was asked for, but ONNX Runtime would use CPU|ONNX Runtime cannot load it", last)


@pytest.mark.gpu
@pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")
@pytest.mark.parametrize("flags", [[], ["--cuda-graphs", "off"], ["--gpu-memory-limit", "1GB"]], ids=str)
def test_gpu(tmp_path, flags):  # pragma: no cover
    """The whole server on it: decoding beside the model, batches filled up."""
    model = models.dense(tmp_path / "m.onnx", size=64, hidden=(512,))
    reference = Reference(model)

    for image, answer in zip(PHOTOS, answers(model, PHOTOS, "--provider", "cuda", *flags), strict=True):
        assert reference.agrees(image, answer, within=1e-3)
