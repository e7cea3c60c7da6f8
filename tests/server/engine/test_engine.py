"""An engine without HTTP: one suite, which an engine in this process and one behind a socket pass alike."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager, contextmanager

import msgspec
import numpy as np
import onnxruntime as ort
import psutil
import pytest

from batcher import BatcherClosed, DeadlineExceeded, NoExecutor, QueueFull, WouldBeLate
from preprocess.header import Header, read_header
from preprocess.limits import Limits
from server.contract.answer import ImageAnswer, Timing, render
from server.contract.errors import EngineLost, ImageRejected, TensorRejected, UnknownModel
from server.contract.ids import content_hash
from server.contract.metadata import FREE, TensorSpec
from server.contract.task import ImageTask, TensorTask
from server.engine import Engine, EngineFailed, RemoteEngine, serve_engine
from server.settings import Settings, WorkerSettings
from tests.models import dense
from tests.photos import photo

TIMEOUT_S = 60


async def until(true):
    """Wait until a status says so: it is told, not signalled."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0)


class Host:
    """An event loop in a thread of its own, on which an engine lives while tests come and go."""

    def __init__(self, engine_made):
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(engine_made)))
        self._thread.start()
        assert self._ready.wait(TIMEOUT_S)

    async def _live(self, engine_made):
        self.loop = asyncio.get_running_loop()
        async with engine_made() as self.engine:
            self._ready.set()
            await self._end.wait()

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(TIMEOUT_S)

    def close(self):
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(TIMEOUT_S)


def settings(model, **others):
    return Settings(model=model, worker=WorkerSettings(workers=1, threads=1), **others)


@asynccontextmanager
async def remote(made, path, **options):
    """Give an engine in this process as one behind a socket."""
    async with Engine(made) as local, serve_engine(local, path), RemoteEngine(path, **options) as engine:
        yield engine


KINDS = ("local", "remote")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return dense(tmp_path_factory.mktemp("engine") / "m.onnx")


@pytest.fixture(scope="module", params=KINDS)
def host(request, model, tmp_path_factory):
    """An engine that serves the plain model on one worker."""
    path = tmp_path_factory.mktemp("socket") / "engine"
    made = settings(model)
    host = Host(lambda: Engine(made) if request.param == "local" else remote(made, path))
    yield host
    host.close()


def image(number, **others):
    body = photo(number)
    return ImageTask(body, read_header(body, Limits()), **others)


def tensors_of(answer):
    return {one.spec.name: np.frombuffer(one.data, "<f4").reshape(one.spec.shape) for one in answer.reply.tensors}


def test_an_image_is_answered(host):
    """By the model that is served, with what identifies the image."""
    answer = host.run(host.engine.submit(image(1)))
    document = render(answer, Timing(0, 0, 0, 0, 0))

    assert content_hash(photo(1)) == answer.hash
    assert ("m", "1", 1) == (answer.model.name, answer.model.version, answer.reply.batch)
    assert (answer.id, answer.hash) == (decoded(document).id, decoded(document).hash)


def decoded(document):
    return msgspec.json.decode(document, type=ImageAnswer)


def test_the_model_is_described_as_data(host):
    """Names, shapes and dtypes, with the batch as their first dimension."""
    metadata = host.run(host.engine.wait_ready())

    assert (TensorSpec("image", "FP32", (FREE, 3, 16, 16)),) == metadata.inputs
    assert [("FP32", FREE)] == [(one.dtype, one.shape[0]) for one in metadata.outputs]
    assert metadata == host.run(status(host)).model


async def status(host):
    return host.engine.status()


def test_a_prepared_tensor_gives_the_models_outputs(host, model):
    """What ONNX Runtime gives for it, by name."""
    x = np.random.default_rng(0).random((3, 16, 16), np.float32)
    answer = host.run(host.engine.submit(TensorTask(x.tobytes(), "FP32", x.shape)))
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = dict(zip((o.name for o in session.get_outputs()), session.run(None, {"image": x[None]}), strict=True))

    assert expected.keys() == tensors_of(answer).keys()
    for name, value in tensors_of(answer).items():
        np.testing.assert_allclose(value, expected[name][0], rtol=1e-5)


def test_an_image_gives_tensors_and_a_tensor_an_answer(host):
    """What comes in and what is wanted are chosen apart."""
    raw = host.run(host.engine.submit(image(1, want="tensors")))
    x = np.zeros((3, 16, 16), np.float32)
    answer = host.run(host.engine.submit(TensorTask(x.tobytes(), "FP32", x.shape, want="answer")))

    assert b"" == raw.reply.members
    assert tensors_of(raw)
    assert b'"predictions":' in answer.reply.members


@pytest.mark.parametrize(
    ("dtype", "shape", "length"), [("FP64", (3, 16, 16), 6144), ("FP32", (3, 8, 8), 768), ("FP32", (3, 16, 16), 12)]
)
def test_a_tensor_that_does_not_fit_is_rejected_alone(host, dtype, shape, length):
    """The message says what the model takes; the next one is answered."""
    with pytest.raises(TensorRejected, match=r"FP32 \[3, 16, 16\]"):
        host.run(host.engine.submit(TensorTask(bytes(length), dtype, shape)))
    host.run(host.engine.submit(image(2)))


def test_a_bad_image_is_rejected_alone(host):
    """By the code of what is wrong with it."""
    with pytest.raises(ImageRejected) as caught:
        host.run(host.engine.submit(ImageTask(photo(1)[:200], Header("png", 8, 8))))

    assert "image_truncated" == caught.value.code


@pytest.mark.parametrize(("model_name", "version"), [("n", ""), ("", "2"), ("m", "2")])
def test_another_model_is_unknown(host, model_name, version):
    """And the error says what is served."""
    with pytest.raises(UnknownModel, match="m/1"):
        host.run(host.engine.submit(image(1, model=model_name, version=version)))


def test_the_served_model_may_be_named(host):
    """By name, by version, or by both."""
    for name, version in (("m", ""), ("", "1"), ("m", "1")):
        assert "m" == host.run(host.engine.submit(image(1, model=name, version=version))).model.name


def test_a_deadline_that_cannot_be_met_is_refused(host):
    """At once, and the refusal says when to come back."""
    host.run(host.engine.submit(image(1)))
    with pytest.raises((WouldBeLate, DeadlineExceeded)):
        host.run(host.engine.submit(image(1), time.monotonic() - 1.0))


def test_counters_add_up(host):
    """Whatever was accepted has ended, one way or another."""

    async def work():
        deadline = time.monotonic() + TIMEOUT_S
        await asyncio.gather(*(host.engine.submit(image(number), deadline) for number in range(10)))
        await until(lambda: ended(host.engine.status().stats) >= 10)
        return host.engine.status()

    now = host.run(work())

    assert now.stats.accepted == ended(now.stats) + now.stats.waiting + now.stats.running
    assert (1, {}) == (now.workers, dict(now.restarts))


def ended(stats):
    return stats.answered + stats.failed + sum(stats.expired.values()) + sum(stats.cancelled.values())


def test_an_upload_is_counted_while_it_arrives(host):
    """From its first byte until it is submitted or given up; past the bound there is no room."""

    async def work():
        with host.engine.reserve(1000) as reservation:
            reservation.grow_to(3000)
            held = host.engine.status().arriving_bytes
            with pytest.raises(QueueFull), host.engine.reserve(1) as other:
                other.grow_to(host.engine.max_bytes)
        return held, host.engine.status().arriving_bytes

    assert (3000, 0) == host.run(work())


# -- engines of their own --------------------------------------------------------------------------------


@asynccontextmanager
async def engine_of(kind, made, tmp_path):
    if kind == "local":
        async with Engine(made) as engine:
            yield engine
    else:
        async with remote(made, tmp_path / "engine") as engine:
            yield engine


@contextmanager
def workers_stopped():
    """Have all workers of this process stand still."""
    children = psutil.Process().children()
    stopped = [child for child in children if "server.inference.worker" in child.cmdline()]
    assert stopped
    for worker in stopped:
        worker.suspend()
    try:
        yield
    finally:
        for worker in stopped:
            worker.resume()


def run(work):
    asyncio.run(asyncio.wait_for(work(), TIMEOUT_S))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancelled_task_frees_its_place(kind, tmp_path):
    """Nothing is waiting or running for a caller that has left."""
    made = settings(dense(tmp_path / "m.onnx"), slo=30.0)

    async def work():
        async with engine_of(kind, made, tmp_path) as engine:
            with workers_stopped():
                leaving = [asyncio.ensure_future(engine.submit(image(number))) for number in range(4)]
                await until(lambda: engine.status().stats.accepted == 4)
                for one in leaving:
                    one.cancel()
                await until(lambda: sum(engine.status().stats.cancelled.values()) == 4)
                assert (0, 0) == (engine.status().stats.waiting, engine.status().stats.running)

    run(work)


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_answers_what_was_accepted(kind, tmp_path, model):
    """Nothing accepted is lost."""

    async def work():
        async with engine_of(kind, settings(model, slo=30.0), tmp_path) as engine:
            waiting = [asyncio.ensure_future(engine.submit(image(number))) for number in range(20)]
            await until(lambda: engine.status().stats.accepted == 20)
        assert ["m"] * 20 == [(await one).model.name for one in waiting]

    run(work)


def test_a_model_that_cannot_be_served_is_told(tmp_path):
    """Entering raises, with the reason."""
    (tmp_path / "bad.onnx").write_bytes(b"no model")

    async def work():
        with pytest.raises(EngineFailed, match="bad"):
            async with Engine(settings(tmp_path / "bad.onnx")):
                pass

    run(work)


def test_before_the_first_worker_is_ready_tasks_are_refused(model):
    """An engine that does not wait for its model says so to those who come early."""

    async def work():
        async with Engine(settings(model), wait_ready=False) as engine:
            with pytest.raises(NoExecutor):
                await engine.submit(image(1))
            await engine.wait_ready()
            await engine.submit(image(1))

    run(work)


def test_an_engine_that_drains_refuses(model):
    """New tasks, from then on."""

    async def work():
        async with Engine(settings(model)) as engine:
            await engine.drain()
            with pytest.raises(BatcherClosed):
                await engine.submit(image(1))

    run(work)


def test_a_front_end_that_goes_takes_its_tasks_with_it(tmp_path):
    """And no other's."""
    made = settings(dense(tmp_path / "m.onnx"), slo=30.0)
    path = tmp_path / "engine"

    async def work():
        async with Engine(made) as local, serve_engine(local, path), RemoteEngine(path) as staying:
            with workers_stopped():
                kept = asyncio.ensure_future(staying.submit(image(1)))
                with pytest.raises(RuntimeError, match="leaving"):  # noqa: PT012 - the end of the context is the test
                    async with RemoteEngine(path) as leaving:
                        lost = asyncio.ensure_future(leaving.submit(image(2)))
                        await until(lambda: local.status().stats.accepted == 2)
                        raise RuntimeError("leaving")
                with pytest.raises(EngineLost):
                    await lost
                await until(lambda: local.status().stats.cancelled)
            assert "m" == (await kept).model.name
            assert 1 == sum(local.status().stats.cancelled.values())

    run(work)


def test_an_engine_that_goes_fails_what_waits_for_it(tmp_path):
    """At once, and all that comes later."""
    made, path = settings(dense(tmp_path / "m.onnx"), slo=30.0), tmp_path / "engine"
    serving, gone = asyncio.Event(), asyncio.Event()

    async def serve():
        async with Engine(made) as local:
            async with serve_engine(local, path):
                serving.set()
                await until(lambda: local.status().stats.accepted)
            gone.set()

    async def work():
        there = asyncio.ensure_future(serve())
        await serving.wait()
        async with RemoteEngine(path) as engine:
            with workers_stopped():
                with pytest.raises(EngineLost):
                    await engine.submit(image(1))
                await gone.wait()
            with pytest.raises(EngineLost):
                await engine.submit(image(1))
        await there

    run(work)


def test_an_engine_that_is_not_there_is_an_error_of_the_system(tmp_path):
    """As it is, and not within a group: whoever waits for the engine tries again."""

    async def work():
        async with RemoteEngine(tmp_path / "nothing"):
            pass

    with pytest.raises(FileNotFoundError):
        asyncio.run(work())
