"""Several models in one engine, without HTTP: what goes wrong with one costs no other."""

import asyncio

import psutil
import pytest

from batcher import BatcherError
from preprocess.header import read_header
from preprocess.limits import Limits
from server.contract.errors import UnknownModel
from server.contract.task import ImageTask
from server.engine import Engine, EngineFailed
from server.settings import Settings
from server.settings.topics import RepositorySettings, WorkerSettings
from tests import models
from tests.photos import photo

pytestmark = pytest.mark.timeout(150)  # a hang guard: each version is a process that loads a model


def run(work):
    asyncio.run(asyncio.wait_for(work(), 120))


def settings(folder):
    return Settings(
        slo=30.0, worker=WorkerSettings(workers=1, threads=1), repository=RepositorySettings(models=str(folder))
    )


def image(number, model=""):
    body = photo(number)
    return ImageTask(body, read_header(body, Limits()), model=model)


@pytest.fixture
def folder(tmp_path):
    for name in ("food", "safety"):
        models.dense(tmp_path / name / "1" / "model.onnx")
    return tmp_path


def test_each_model_replaces_its_own_workers(folder):
    """Whichever of them dies, each model answers again."""

    async def work():
        async with Engine(settings(folder)) as engine:
            for child in psutil.Process().children():
                if "server.inference.worker" in child.cmdline():  # not the servers that other tests share
                    child.kill()
            for model in ("food", "safety"):
                assert model == (await engine.submit(image(1, model))).model.name
            assert 2 == engine.status().restarts["crash"]

    run(work)


def test_without_a_default_a_request_has_to_name_a_model(folder):
    """It is told which there are."""

    async def work():
        async with Engine(settings(folder)) as engine:
            with pytest.raises(UnknownModel) as raised:
                await engine.submit(image(1))
            assert ("food/1", "safety/1") == raised.value.served

    run(work)


def test_several_models_answer_one_image_by_one_decode(folder):
    """Where they prepare images alike; the same bytes again are answered from the cache."""

    async def work():
        async with Engine(settings(folder)) as engine:
            answer = await engine.submit_to_each(image(1), ["food", "safety"])
            assert ["food", "safety"] == [part.model.name for part in answer.parts]
            assert 1 == engine.status().shared_decodes
            with pytest.raises(UnknownModel):
                await engine.submit_to_each(image(1), ["food", "drinks"])
            with pytest.raises(BatcherError):
                await engine.submit_to_each(image(2), ["food", "safety"], deadline=0.0)

    run(work)


def test_a_model_that_cannot_be_loaded_is_left_out(folder):
    """The others are served; its failure is shown with its step."""
    models.broken(folder / "bad" / "1" / "model.onnx")

    async def work():
        async with Engine(settings(folder)) as engine:
            assert "food" == (await engine.submit(image(1, "food"))).model.name
            (bad,) = (await engine.models.view_of("bad")).versions
            assert ("failed", "open") == (bad.status, bad.step)

    run(work)


def test_a_repository_of_which_nothing_can_be_served_ends_the_engine(tmp_path):
    """With the reasons."""
    models.broken(tmp_path / "bad" / "1" / "model.onnx")

    async def work():
        with pytest.raises(EngineFailed, match=r"bad 1: .*does not run"):
            async with Engine(settings(tmp_path)):
                pass

    run(work)
