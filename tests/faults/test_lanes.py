"""Two models, one of which kills its workers: it costs its own lane, and the other one not a request."""

import asyncio

import psutil
import pytest

from tests import models
from tests.end_to_end.harness import before_all, serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(150)  # a hang guard: each model is a process that loads it

MARK = b"deadly nightshade"  # after the end of the picture: decoders do not look there
CLIENTS = 4

DEADLY = f"""
import os, signal, sys
if 'server.inference.worker' in sys.orig_argv:
    import preprocess.tensor as tensor
    prepare = tensor.prepare
    def deadly(data, *args):
        if bytes(data[-{len(MARK)}:]) == {MARK!r}:
            os.kill(os.getpid(), signal.SIGSEGV)
        return prepare(data, *args)
    tensor.prepare = deadly
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with two models of one worker each; marked images kill the worker that prepares them."""
    folder, models_folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("models")
    (folder / "sitecustomize.py").write_text(DEADLY)
    for name in ("food", "safety"):
        models.dense(models_folder / name / "1" / "model.onnx")
        (models_folder / name / "model.toml").write_text('slo = "30s"\nworkers = 1\n')
    with serving("--models", str(models_folder), environ={"PYTHONPATH": before_all(folder)}) as server:
        yield server


async def post(client, model, body):
    return await client.request("POST", f"/v1/models/{model}/images", body, cache_control="no-store")


async def beside(server, work):
    """The statuses of `safety` while `work` runs, and what `work` gives."""
    statuses, done = [], asyncio.Event()

    async def send(number):
        client = await server.connect()
        while not done.is_set():
            statuses.append((await post(client, "safety", photo(number))).status)

    sending = [asyncio.ensure_future(send(number)) for number in range(CLIENTS)]
    try:
        found = await work
    finally:
        done.set()
        await asyncio.gather(*sending)
    return found, statuses


async def workers_of_safety(server, client):
    """The process ids that are left when `food` has lost its worker."""
    before = {worker.pid for worker in server.workers}
    await post(client, "food", photo(77) + MARK)
    assert 200 == (await post(client, "food", photo(78))).status  # by the next one
    return before & {worker.pid for worker in server.workers}


def test_a_model_whose_worker_is_killed_costs_its_own_lane_only(server):
    """The other one answers every request meanwhile, by the same process; the first one answers again afterwards."""

    async def work():
        client, before = await server.connect(), {worker.pid for worker in server.workers}
        lost = await post(client, "food", photo(1) + MARK)
        again = await post(client, "food", photo(9))
        return before, lost.status, again.status, {worker.pid for worker in server.workers}

    (before, lost, again, after), statuses = server.run(beside(server, work()))

    assert (500, 200) == (lost, again)
    assert {200} == set(statuses)
    assert 1 == len(before & after), "the worker of the other model lives on"


def test_a_model_that_cannot_keep_a_worker_alive_ends_alone(server):
    """Its lane is given up, with a line in the log; its requests are refused, and the other model serves on."""

    async def work():
        client = await server.connect()
        kept = await workers_of_safety(server, client)
        while '"model_failed"' not in server.log:
            for worker in server.workers:
                if worker.pid not in kept:
                    try:
                        worker.kill()
                    except psutil.NoSuchProcess:
                        pass
            await asyncio.sleep(0.01)  # it is the nemesis
        refused = await post(client, "food", photo(1))
        return kept, refused, {worker.pid for worker in server.workers}

    (kept, refused, after), statuses = server.run(beside(server, work()))

    assert refused.status in (404, 503), refused.body
    assert {200} == set(statuses)
    assert kept <= after
