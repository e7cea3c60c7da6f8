"""Decoding beside the model, on the CPU: the engine of devices in all but the device."""

import subprocess
import sys
import threading
import time

import pytest

from server.contract.wire import Broken, Done, Ran, Rejected, Skipped
from server.inference.inbox import Job
from server.inference.model import open_model
from server.inference.onnx.providers import Gpu
from server.inference.pipeline import Pipeline
from server.inference.stages import Runner
from server.inference.warmup import warm_up
from server.models.card import find_model
from server.models.output_spec import Output
from server.models.render import answerer
from server.process.gpus import may_have_gpu
from tests import models
from tests.photos import photo
from tests.server.inference.bench import CLASSES, FAR, Bench, grey, kinds, members
from tests.server.inference.providers import PROVIDERS


class PipelineBench(Bench):
    """A pipeline, warmed; driven step by step, or started."""

    def __init__(self, model, batch=None, decoders=1, max_batch=8, output=None, **session):
        super().__init__(model, max_batch, output=output, pipelined=True, decoders=decoders, **session)
        self.warmth = warm_up(self.session)
        self.pipeline = Pipeline(
            self.filler, self.runner, self.sampler, batch or max_batch, self.inbox, self.sent, decoders=decoders
        )

    def start(self):
        """Let it run until the tests end."""
        threading.Thread(target=self.pipeline.run_forever, daemon=True).start()

    def step(self, fills, runs):
        """Fill so many, run so many batches, answer them; the messages sent."""
        for _ in range(fills):
            self.pipeline.fill_one()
        for _ in range(runs):
            self.pipeline.run_one()
            self.pipeline.answer_one()
        return self.sent.take()


SIZE = Output(kind="score", activation="none")


@pytest.fixture
def plain(tmp_path):
    return PipelineBench(models.dense(tmp_path / "m.onnx"))


# ---- Step by step ----


def test_device_runs_what_is_filled_when_it_falls_free(plain):
    """It waits for no more; what is filled meanwhile is the next batch."""
    plain.put(*(photo(n) for n in range(5)))

    assert [Ran, Done, Done] == kinds(plain.step(fills=2, runs=1))
    assert [Ran, Done, Done, Done] == kinds(plain.step(fills=3, runs=1))


def test_batch_is_no_larger_than_pays(tmp_path):
    """The rest is the next one."""
    bench = PipelineBench(models.dense(tmp_path / "m.onnx"), batch=2)
    bench.put(*(photo(n) for n in range(3)))

    frames = bench.step(fills=3, runs=2)

    assert [Ran, Done, Done, Ran, Done] == kinds(frames)


def test_no_size_is_run_that_was_not_warmed(tmp_path):
    """Whatever is there is filled up to a bucket. The model itself says how large a batch was run."""
    bench = PipelineBench(models.tells_size(tmp_path / "m.onnx"), output=SIZE)
    ran = {}
    for count in range(1, 9):
        bench.put(*(grey(n) for n in range(count)))
        frames = bench.step(fills=count, runs=1)
        assert count == frames[0][0].size
        (ran[count],) = {members(payload)["score"] for _, payload in frames[1:]}

    assert [1, 2, 4, 4, 8, 8, 8, 8] == list(ran.values())
    assert {*ran.values()} <= bench.warmth.profile.sizes.keys()


def test_bad_and_late_images_give_their_slots_back(tmp_path):
    """They are answered at once, and three times as many as there are slots pass."""
    bench = PipelineBench(models.dense(tmp_path / "m.onnx"), batch=2)

    for _ in range(6):
        bench.put(b"nonsense", photo(1))
        assert [Rejected, Ran, Done] == kinds(bench.step(fills=2, runs=1))
        bench.put(photo(1), deadline=time.monotonic())
        assert [Skipped] == kinds(bench.step(fills=1, runs=0))


def test_failed_batch_gives_its_slots_back(tmp_path):
    """And each of its images is answered."""
    bench = PipelineBench(models.fussy(tmp_path / "m.onnx"), batch=2, max_batch=1)
    bench.session.sizes = (1, 2)  # past what warming up would have allowed

    for _ in range(5):
        bench.put(grey(9), grey(99))
        assert [Broken, Broken] == kinds(bench.step(fills=2, runs=1))


def test_fixed_batch_is_filled_up(tmp_path):
    """Three images through a model for four, beside each other as they would be alone."""
    bench = PipelineBench(models.dense(tmp_path / "m.onnx", batch=4))
    images = [photo(n) for n in range(3)]
    bench.put(*images)
    together = [members(payload) for _, payload in bench.step(fills=3, runs=1)[1:]]

    for image, answer in zip(images, together, strict=True):
        bench.put(image)
        assert answer == members(bench.step(fills=1, runs=1)[1][1])


# ---- With its threads ----


def test_every_image_gets_its_own_answer_whichever_thread_decoded_it(tmp_path):
    """Four hundred of all kinds through four fillers: slots are reused, batches lie across them."""
    bench = PipelineBench(models.dense(tmp_path / "m.onnx", size=32, hidden=(512,)), decoders=4)
    images = [photo(n, 40, 30) for n in range(400)]
    images[::10] = [b"nonsense"] * 40
    bench.start()
    for seq, image in enumerate(images):
        bench.inbox.put(Job(seq, FAR, image, large=seq % 7 == 0))
    frames = bench.sent.wait_for((Done, Rejected, Broken), 400)

    answers = {message.seq: members(payload) for message, payload in frames if isinstance(message, Done)}
    refused = {message.seq for message, _ in frames if isinstance(message, Rejected)}
    alone = Bench(tmp_path / "m.onnx", 1)
    assert set(range(0, 400, 10)) == refused
    assert 360 == len(answers)
    for seq, answer in answers.items():
        assert expected(alone, images[seq]) == pytest.approx(scores(answer), abs=1e-4)
    assert max(message.batch for message, _ in frames if isinstance(message, Done)) > 1


def expected(bench, image):
    filled = bench.filler.fill(Job(0, FAR, image), 0)
    (ended,) = bench.runner.run([filled])
    (_, payload) = next(pair for pair in frames_of(bench.runner.answer(ended)) if isinstance(pair[0], Done))
    return scores(members(payload))


def frames_of(data):
    from server.contract.wire import FrameReader

    return FrameReader().feed(data)


def scores(answer):
    return {one["label"]: one["score"] for one in answer["predictions"]}


def test_threads_are_named(tmp_path):
    """So that a profiler's output can be read."""
    bench = PipelineBench(models.dense(tmp_path / "m.onnx"), decoders=2)
    bench.pipeline.start()

    assert {"filler 0", "filler 1", "answers"} <= {thread.name for thread in threading.enumerate()}


class TellsThread(Runner):
    """Remembers in which threads the model was run."""

    threads = frozenset()

    def run(self, batch):
        self.threads |= {threading.current_thread().name}
        return super().run(batch)


def test_the_thread_that_serves_is_the_one_that_runs_the_model(tmp_path):
    """It has warmed it, and what CUDA set up meanwhile is that thread's own."""
    bench = PipelineBench(models.dense(tmp_path / "m.onnx"))
    runner = TellsThread(bench.session, answerer(CLASSES))
    pipeline = Pipeline(bench.filler, runner, bench.sampler, 8, bench.inbox, bench.sent, decoders=1)
    threading.Thread(target=pipeline.run_forever, name="warm", daemon=True).start()
    bench.put(*(photo(n) for n in range(5)))
    bench.sent.wait_for(Done, 5)

    assert {"warm"} == runner.threads


def test_step_that_fails_ends_the_process():
    """Its parent sees it, and another worker answers what it held; a thread that ended alone would hang all."""
    program = """if True:
        import threading
        from server.inference.pipeline import _repeat
        threading.Thread(target=_repeat, args=(lambda: 1 / 0,), daemon=True).start()
        threading.Event().wait()
    """
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)

    assert 1 == ended.returncode
    assert "ZeroDivisionError" in ended.stderr


# ---- On a GPU, and over its tensors on the CPU ----


@pytest.mark.parametrize("provider", PROVIDERS)
def test_device_answers_as_the_cpu_does(tmp_path, provider):
    """Through the same pieces, with its sizes warmed, pictures as bytes and many threads that decode."""
    model = models.dense(tmp_path / "m.onnx", size=64, hidden=(256,))
    images = [photo(n) for n in range(24)]
    answers = []
    for how in ({}, {"provider": provider, "bound": True}):
        bench = PipelineBench(model, decoders=4, **how)
        bench.start()
        bench.put(*images)
        frames = bench.sent.wait_for((Done, Rejected, Broken), len(images))
        answers.append({message.seq: scores(members(payload)) for message, payload in frames if payload})

    assert provider in bench.session.provider.lower()
    assert [1, 2, 4, 8] == list(bench.warmth.profile.sizes)
    for seq in range(len(images)):
        assert answers[0][seq] == pytest.approx(answers[1][seq], abs=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not may_have_gpu(), reason="there is no GPU")
@pytest.mark.parametrize("graphs", [True, False])
def test_convolutions_are_planned_before_ready(tmp_path, graphs):  # pragma: no cover
    """Sizes in turn take what each took by itself: none is planned anew for the last one's was another."""
    model = open_model(find_model(models.convolutions(tmp_path / "m.onnx")), 8, "cuda", Gpu(graphs=graphs))
    before = model.warmth.profile.sizes

    assert graphs == model.session.recorded
    for count in [8, 1, 4, 2] * 5:
        started = time.monotonic()
        model.session.run(range(count))
        assert time.monotonic() - started < 5 * before[count] + 5e-3
