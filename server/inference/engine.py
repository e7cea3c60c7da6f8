"""Fill slots, run the batch, answer: the loop of a worker whose decoding and model share one core.

A batch stays open while its images are decoded, so what arrives meanwhile still joins it; it is closed
when it is as large as pays, or nothing more is there.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from preprocess.errors import ImageError
from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.dispatch.wire import AnyMessage, Broken, Done, Ran, Rejected, Skipped, frame
from server.inference.answer import Answerer
from server.inference.inbox import Inbox, Job
from server.inference.session import Rows, Session


@dataclass(frozen=True, slots=True)
class Filled:
    """A decoded image in its slot. Times in seconds, `begun` on CLOCK_MONOTONIC."""

    job: Job
    begun: float
    decode_s: float


class Engine:
    """Owns the session's slots. `send` takes finished frames, several at a time."""

    def __init__(
        self,
        session: Session,
        answerer: Answerer,
        limits: Limits,
        batch: int,
        inbox: Inbox,
        send: Callable[[bytes], None],
    ) -> None:
        self._session = session
        self._answerer = answerer
        self._limits = limits
        self._batch = batch
        self._inbox = inbox
        self._send = send

    def run_forever(self) -> None:
        """Serve until the process ends."""
        while True:
            self._inbox.wait()
            if filled := self.fill():
                self._send(self.run(filled))

    def fill(self) -> list[Filled]:
        """Decode what is there into the slots; what cannot be decoded is answered at once."""
        filled: list[Filled] = []
        while len(filled) < self._batch and (job := self._inbox.take()):
            begun = time.monotonic()
            if begun >= job.deadline:
                self._send(frame(Skipped(job.seq)))
                continue
            try:
                prepare(job.payload, self._session.recipe, self._session.slots[len(filled)], self._limits)
            except ImageError as error:
                self._send(frame(Rejected(job.seq, error.code)))
            else:
                filled.append(Filled(job, begun, time.monotonic() - begun))
        return filled

    def run(self, filled: list[Filled]) -> bytes:
        """Run the filled slots; the frames that answer them, in order."""
        started = time.monotonic()
        try:
            rows = self._session.run(len(filled))
        except Exception as error:  # noqa: BLE001 - whatever the model raises, this batch has no answer
            return b"".join(frame(Broken(one.job.seq, str(error))) for one in filled)
        seconds = time.monotonic() - started
        answers = (
            self._answer(one, row, seconds, len(filled)) for one, row in zip(filled, rows, strict=True)
        )
        return frame(Ran(len(filled), seconds)) + b"".join(answers)

    def _answer(self, one: Filled, row: Rows, infer_s: float, batch: int) -> bytes:
        if not np.isfinite(row).all():
            return frame(Broken(one.job.seq, "the model's output is not finite"))
        message: AnyMessage = Done(one.job.seq, one.begun, one.decode_s, infer_s, batch)
        return frame(message, self._answerer.members(row))
