"""A worker's start-up benchmark: before it serves, it shows how fast it is, with one number of threads or another.

It gets one order at a time (`Prepare`, `Trial`), until `Begin`. A trial does what serving does: it decodes a photo into
each slot, then runs the model.
"""

import time
from collections.abc import Callable

from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.contract.wire import (
    AnyMessage,
    Begin,
    Load,
    Loaded,
    Order,
    Prepare,
    Prepared,
    Trial,
    TrialFailed,
    TrialResult,
    frame,
)
from server.inference.model import Model, warmed
from server.inference.onnx.session import Session
from server.inference.pictures import photo
from server.models.card import Located
from server.models.errors import in_one_line

_LEAST_BATCHES = 2  # however long one takes

Send = Callable[[bytes], None]


class StartUpBenchmark:
    """The model opened with one number of threads after another. Owns their sessions' slots."""

    def __init__(self, located: Located, load: Load, model: Model) -> None:
        """`model`: as it was opened by `load`."""
        self._located = located
        self._load = load
        self._model = model
        self._photo = photo()
        self._sessions: dict[int, Session] = {load.threads: model.session}

    def run(self, next_order: Callable[[], Order], send: Send) -> Model:
        """Follow orders until one says with which model to serve. Raises `ModelError` if that cannot be."""
        warmth = self._model.warmth
        batch_s = warmth.profile.seconds(warmth.batch) or 0.0
        send(frame(Loaded(warmth.batch, batch_s, self._model.session.open_s)))
        while not isinstance(order := next_order(), Begin):
            send(frame(self._follow(order)))
        return self._chosen(order.threads)

    def _follow(self, order: Prepare | Trial) -> AnyMessage:
        try:
            match order:
                case Prepare(threads):
                    return self._prepare(threads)
                case Trial(threads, size, begin, seconds):
                    return time_batches(self._sessions[threads], self._photo, size, begin, seconds)
        except Exception as error:  # noqa: BLE001 - whatever it is, such a model is not the one to serve with
            return TrialFailed(in_one_line(error))

    def _prepare(self, threads: int) -> Prepared:
        if threads not in self._sessions:
            session = self._opened(threads)
            session.run([0])
            self._sessions[threads] = session
        return Prepared()

    def _opened(self, threads: int) -> Session:
        load, located = self._load, self._located
        session = Session(located.model_file, located.card, load.max_batch, load.provider, threads=threads)
        if self._model.session.whole:
            session.take_whole()
        elif self._model.separate:
            session.run_one_at_a_time()
        return session

    def _chosen(self, threads: int) -> Model:
        """The model with this number of threads; the others are closed."""
        session = self._sessions.get(threads) or self._opened(threads)
        self._sessions.clear()
        session.slots[:] = 0
        return self._model if session is self._model.session else warmed(self._located, session)


def time_batches(session: Session, image: bytes, size: int, begin: float, seconds: float) -> TrialResult:
    """Decode and run batches from `begin` (on CLOCK_MONOTONIC) on, for `seconds`. Raises what the model raises.

    The lower quartile counts: other work on the machine makes a batch longer, and a moment in which the other workers
    stand still makes one shorter.
    """
    limits = Limits()
    times: list[float] = []
    time.sleep(max(0.0, begin - time.monotonic()))
    end, cpu = begin + seconds, time.process_time()
    while len(times) < _LEAST_BATCHES or time.monotonic() < end:
        started = time.monotonic()
        for slot in range(size):
            prepare(image, session.slot_recipe, session.slots[slot], limits)
        session.run(range(size))
        times.append(time.monotonic() - started)
    spent = time.process_time() - cpu
    return TrialResult(sorted(times)[len(times) // 4], spent / len(times), len(times))
