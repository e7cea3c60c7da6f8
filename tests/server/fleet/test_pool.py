"""Which workers there are where not every one of them can open the model."""

import asyncio
import os
import signal

import psutil
import pytest
import structlog

from batcher import Batcher, Policy
from preprocess.header import read_header
from preprocess.limits import Limits
from server.contract.task import ImageTask
from server.contract.wire import Load
from server.fleet.layout.choose import Layout
from server.fleet.layout.placement import LayoutChoice, LayoutPlan
from server.fleet.pool import Patience, Pool, PoolFailed
from server.models.digest import digest
from tests import models, odd_models
from tests.server.inference.bench import plain

pytestmark = pytest.mark.timeout(150)  # a hang guard: each worker is a process that loads a model


@pytest.fixture
def model(tmp_path):
    """A link to a model, that can be broken."""
    link = tmp_path / "m.onnx"
    link.symlink_to(models.dense(tmp_path / "good.onnx"))
    return link


def spoil(link):
    models.broken(link.with_name("bad.onnx"))
    link.unlink()
    link.symlink_to("bad.onnx")


def brought_up(model, workers, spare, until, devices=()):
    """The pool's size in the end, the events that were logged; or what it raised. The model is good for one worker."""

    async def run():
        async with Batcher() as batcher:
            plan = LayoutPlan(LayoutChoice(Layout(workers, 1), 0, "", in_turn=True, spare=spare), devices=devices)
            async with Pool(batcher, Load(str(model), 1, 1_000_000), plan, 1 << 30) as pool:
                pool.model.add_done_callback(lambda _: spoil(model))
                for _ in iter(lambda: until(pool), True):
                    await asyncio.sleep(0)
                return pool.size

    with structlog.testing.capture_logs() as logged:
        return asyncio.run(asyncio.wait_for(run(), 100)), logged


def failure(model, workers, spare, devices=()):
    """Why the pool gave up."""
    with pytest.raises(ExceptionGroup) as raised:
        brought_up(model, workers, spare, lambda pool: False, devices)
    (failed,) = flat(raised.value)
    assert isinstance(failed, PoolFailed)
    return str(failed)


def flat(error):
    """The errors in a group of groups."""
    return [each for one in error.exceptions for each in flat(one)] if isinstance(error, ExceptionGroup) else [error]


def test_workers_open_the_model_in_turn_and_a_spare_one_that_cannot_is_left_out(model):
    """The first had it as it was; by the time that the second begins it is spoilt, as a GPU's memory may be gone."""
    size, logged = brought_up(model, 2, 1, until=lambda pool: pool.size < 2)

    assert 1 == size
    said = [(event["event"], event["worker"]) for event in logged if "worker" in event]
    assert [("worker_ready", 0), ("worker_ended", 1), ("worker_skipped", 1)] == said[:3]
    assert "it does not run" in next(event["reason"] for event in logged if event["event"] == "worker_skipped")


def test_a_gpu_that_cannot_be_used_is_left_out_and_tried_again(model):
    """Each worker is told a GPU of its own; the model stands for the GPU's memory: gone for a while for the second."""
    mended = []

    def until(pool):
        if pool.model.done() and pool.size == 1:
            mended.append(mend(model))
        return mended and pool.size == 2

    size, logged = brought_up(model, 2, 1, until, devices=(0, 3))

    notes = [event["notes"][-1] for event in logged if event["event"] == "worker_ready"]
    assert (2, ["on GPU 0", "on GPU 3"]) == (size, notes)
    assert 1 in [event["worker"] for event in logged if event["event"] == "worker_cannot_load"]


def test_where_no_gpu_can_be_used_the_start_fails(model):
    """With the reason of the last."""
    spoil(model)

    assert failure(model, workers=2, spare=1, devices=(0, 1)).startswith("it does not run: ")


def mend(link):
    link.unlink()
    link.symlink_to("good.onnx")


def test_workers_that_were_asked_for_are_not_left_out(model):
    """The operator is told what to ask for instead."""
    said = failure(model, workers=3, spare=0)

    assert said.startswith("it does not run: ")
    assert said.endswith("; one worker has loaded it: start with fewer than --workers 3")


def test_not_even_a_spare_one_is_left_out_where_none_has_loaded_the_model(model):
    """Then it is the model's fault, which no number of workers mends."""
    spoil(model)

    said = failure(model, workers=2, spare=1)

    assert said.startswith("it does not run: ")
    assert "--workers" not in said


@pytest.mark.long
def test_a_model_that_is_fast_gets_more_workers_by_what_the_first_measured(model, monkeypatch):
    """As beside a GPU with CPUs enough: two, and when the first is ready it is told how many it takes to feed it."""
    monkeypatch.setattr("server.fleet.pool.usable_cpus", lambda: 16)

    async def run():
        async with Batcher() as batcher:
            plan = LayoutPlan(LayoutChoice(Layout(2, 1), 0, "two for a GPU", in_turn=True, spare=1))
            async with Pool(batcher, Load(str(model), 8, 1_000_000), plan, 1 << 30) as pool:
                decision = await pool.decision
                for _ in iter(lambda: batcher.stats().executors, 4):
                    await asyncio.sleep(0)
                return decision, pool.size

    decision, size = asyncio.run(asyncio.wait_for(run(), 30))

    assert (Layout(4, 1), 3, 4) == (decision.layout, decision.spare, size)
    assert decision.why.startswith("to feed a GPU that runs ")


def test_all_workers_run_one_image_at_a_time_when_one_has_found_out(tmp_path):
    """That the answers of a batch depend on each other. Warming up saw nothing; a look at a live batch does."""
    path = odd_models.wrong_with_red_company(tmp_path / "m" / "1" / "model.onnx", 1024)
    (tmp_path / "m" / "model.toml").write_text("[input]\nscale = 1.0\nmean = [0.0]\nstd = [1.0]\n")
    images = [plain(colour, 32) for colour in ("black", "red")] * 8

    async def run():
        async with Batcher(policy=Policy(slo_s=30.0)) as batcher:
            plan = LayoutPlan(LayoutChoice(Layout(2, 1), 8, ""))
            async with Pool(batcher, Load(str(path.parents[1]), 8, 1_000_000), plan, 1 << 30) as pool:
                await pool.decision

                async def answers():
                    tasks = [ImageTask(image, read_header(image, Limits())) for image in images]
                    tickets = [batcher.enqueue_nowait(task, size=len(task.payload)) for task in tasks]
                    return [await ticket.wait() for ticket in tickets]

                before = await answers()
                while not pool.separated:
                    await answers()
                await answers()  # those that were under way
                return before, await answers(), pool.differences, batcher.policy.max_batch

    with structlog.testing.capture_logs() as logged:
        before, after, differences, most = asyncio.run(asyncio.wait_for(run(), 120))

    assert max(reply.batch for reply in before) > 1
    assert ({1}, 1) == ({reply.batch for reply in after}, most)
    assert 1 == len({reply.members for reply in after[::2]})
    assert differences >= 2
    assert {"answer_differs_in_batch", "one_image_at_a_time"} <= {event["event"] for event in logged}


def kill_one(pool):
    """The first of the workers."""
    next(iter(pool._workers)).hang_up()


def after_a_death(model, load, change, until):
    """The events that were logged when one of two workers was replaced after `change`."""

    async def run():
        async with Batcher() as batcher:
            plan = LayoutPlan(LayoutChoice(Layout(2, 1), 0, ""))
            async with Pool(batcher, load, plan, 1 << 30) as pool:
                for _ in iter(lambda: batcher.stats().executors, 2):
                    await asyncio.sleep(0.02)  # the workers need the CPU
                change()
                kill_one(pool)
                for _ in iter(lambda: until(logged, batcher), True):
                    await asyncio.sleep(0.02)
                return batcher.stats().executors

    with structlog.testing.capture_logs() as logged:
        return asyncio.run(asyncio.wait_for(run(), 120)), logged


def cannot_load(logged):
    return [event["reason"] for event in logged if event["event"] == "worker_cannot_load"]


def test_a_successor_that_cannot_load_is_tried_again_while_another_worker_serves(model):
    """And when the model is there again, it serves."""

    def until(logged, batcher):
        if len(cannot_load(logged)) == 2 and not model.exists():
            model.symlink_to("good.onnx")
        return len(cannot_load(logged)) >= 2 and batcher.stats().executors == 2

    executors, logged = after_a_death(model, Load(str(model), 1, 1_000_000), model.unlink, until)

    assert 2 == executors
    assert "there is no such file or folder" in cannot_load(logged)[0]


def test_a_successor_of_another_digest_is_not_seated(model):
    """It would answer with another model under the old one's name."""
    load = Load(str(model), 1, 1_000_000, digest=digest(model))

    def change():
        models.dense(model.with_name("good.onnx"), hidden=(32,))

    executors, logged = after_a_death(model, load, change, lambda logged, batcher: len(cannot_load(logged)) > 0)

    assert 1 == executors
    assert cannot_load(logged)[0].startswith(f"its files have changed: what was started has the digest {load.digest}")


def candidate_failure(model, patience, act=lambda pid: None):
    """Why a pool gives up whose first worker must succeed. `act` is done to that worker as soon as it runs."""

    async def run():
        async with Batcher() as batcher:
            plan = LayoutPlan(LayoutChoice(Layout(1, 1), 0, "", in_turn=True))
            before = {child.pid for child in psutil.Process().children()}
            async with Pool(batcher, Load(str(model), 1, 1_000_000), plan, 1 << 30, patience=patience):
                while not (new := {child.pid for child in psutil.Process().children()} - before):  # noqa: ASYNC110
                    await asyncio.sleep(0)
                act(new.pop())
                await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(asyncio.wait_for(run(), 60))
    (failed,) = flat(raised.value)
    return str(failed)


def test_a_candidate_that_hangs_is_given_up_after_its_time(model):
    """A worker that is stopped while it loads is as good as one whose model never loads."""
    said = candidate_failure(model, Patience(0.2, True), lambda pid: os.kill(pid, signal.SIGSTOP))

    assert "its worker was not ready within 0.2 s" == said


def test_a_candidate_that_crashes_is_given_up_at_once(model):
    """With the signal: another try would crash as well."""
    said = candidate_failure(model, Patience(None, True), lambda pid: os.kill(pid, signal.SIGSEGV))

    assert "its worker crashed while it loaded the model (SIGSEGV)" == said
