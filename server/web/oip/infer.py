"""Answering an inference request: its entries go to the engine together, and come back as tensors in their order."""

from collections.abc import Sequence
from typing import NamedTuple

import anyio

from server.access.principal import Principal
from server.contract.answer import Answer
from server.contract.metadata import ModelMetadata
from server.contract.task import ImageTask, Reuse, Task
from server.engine.arrivals import Reservation
from server.telemetry.record import Progress
from server.web.gate import Gate
from server.web.metrics import Metrics
from server.web.oip.inference import EntryFailed, Inference, OutputTensor
from server.web.oip.tasks import outputs_of, tasks_for
from server.web.runtime import Runtime, owner_of


class Asked(NamedTuple):
    """Who asks, and for when. Times in seconds on the monotonic clock: of the request's head, of its last byte, and by
    when it is to be answered."""

    principal: Principal
    received: float
    uploaded: float
    deadline: float
    urgency: int
    reuse: Reuse
    sticky: str
    progress: Progress
    """Told how far the request has come."""


class Target(NamedTuple):
    """The model that is asked, and the version; empty where the request names none."""

    model: ModelMetadata
    version: str


class Inferrer:
    """Stands between both protocols and the engine."""

    def __init__(self, runtime: Runtime, gate: Gate, metrics: Metrics) -> None:
        self._runtime = runtime
        self._gate = gate
        self._metrics = metrics

    async def infer(
        self, inference: Inference, target: Target, asked: Asked, reservation: Reservation
    ) -> tuple[ModelMetadata, list[OutputTensor]]:
        """The model that answered, and the outputs asked for.

        `reservation`: of the request's bytes; it is given back once they are queued. Raises what `server.web.errors`
        has a row for; `EntryFailed` where one image of several is at fault. Cancellation: takes all images back.
        """
        engine = self._runtime.engine
        progress = asked.progress
        progress.uploaded, progress.urgency = asked.uploaded, asked.urgency
        tasks = tasks_for(inference, target.model, target.version, engine.limits)
        progress.header = next((task.header for task in tasks if isinstance(task, ImageTask)), None)
        with self._gate.more(asked.principal, len(tasks) - 1, self._runtime.now()):
            answers = await self._submit(tasks, asked, reservation)
        now = progress.answered = self._runtime.now()
        progress.answer, *progress.also = answers
        for answer in answers:
            queue_s = max(0.0, answer.reply.begun - asked.uploaded)
            self._metrics.observe(answer, queue_s, now - asked.received)
        return answers[0].model, outputs_of(inference, answers[0].model, answers)

    async def _submit(self, tasks: Sequence[Task], asked: Asked, reservation: Reservation) -> list[Answer]:
        if len(tasks) == 1:
            reservation.release()  # CORRECTNESS: no await before submit has queued the bytes
            return [await self._submit_one(tasks[0], asked)]
        answers: dict[int, Answer] = {}
        failures: dict[int, Exception] = {}

        async def answer(index: int, task: Task) -> None:
            reservation.release()  # CORRECTNESS: by the first; those that start with it queue their bytes at once
            try:
                answers[index] = await self._submit_one(task, asked)
            except Exception as error:  # noqa: BLE001 - whatever it is, the request fails with it
                failures[index] = error
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for index, task in enumerate(tasks):
                group.start_soon(answer, index, task)
        if failures:
            index = min(failures)
            raise EntryFailed(index, failures[index])
        return [answers[index] for index in range(len(tasks))]

    async def _submit_one(self, task: Task, asked: Asked) -> Answer:
        owner = owner_of(asked.principal)
        return await self._runtime.engine.submit(task, asked.deadline, asked.urgency, asked.reuse, owner, asked.sticky)
