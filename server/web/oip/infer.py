"""Answering an inference request: its entries go to the engine together, and come back as tensors in their order."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

import anyio

from server.access.principal import Principal
from server.contract.answer import Answer
from server.contract.metadata import ModelMetadata
from server.contract.task import ImageTask, Task
from server.engine.arrivals import Reservation
from server.telemetry.record import Progress
from server.web.gate import Gate
from server.web.metrics import Metrics
from server.web.oip.inference import EntryFailed, Inference, OutputTensor, urgency_of
from server.web.oip.tasks import outputs_of, tasks_for
from server.web.runtime import Runtime, owner_of
from server.web.terms import Terms


class Asked(NamedTuple):
    """Who asks, and on which terms; the parameters of an inference may add to them. `received` and `uploaded`: seconds
    on the monotonic clock, of the request's head and of its last byte."""

    principal: Principal
    terms: Terms
    received: float
    uploaded: float
    progress: Progress
    """Told how far the request has come."""
    within_s: float | None = None
    """Of a call, seconds from its head to its own deadline."""

    def deadline(self, inference: Inference, slo_s: float) -> float:
        """The earliest of all that were given; without any, the SLO counts from the last byte."""
        given = (self.within_s, self.terms.timeout_s, inference.timeout_s)
        wished = [seconds for seconds in given if seconds is not None]
        return self.received + min(wished) if wished else self.uploaded + slo_s

    def urgency(self, inference: Inference) -> int:
        """The urgency that the request gets."""
        return self.terms._replace(urgency=urgency_of(inference, self.terms.urgency)).urgency_for(self.principal)


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
        engine, progress, terms = self._runtime.engine, asked.progress, asked.terms
        deadline, urgency = asked.deadline(inference, engine.slo_of(target.model.name)), asked.urgency(inference)
        submit = partial(
            engine.submit, deadline=deadline, urgency=urgency, reuse=terms.reuse, owner=owner_of(asked.principal),
            sticky=terms.sticky,
        )  # fmt: skip
        progress.uploaded, progress.urgency = asked.uploaded, urgency
        tasks = tasks_for(inference, target.model, target.version, engine.limits)
        progress.header = next((task.header for task in tasks if isinstance(task, ImageTask)), None)
        with self._gate.more(asked.principal, len(tasks) - 1, self._runtime.now()):
            answers = await _submit(tasks, submit, reservation)
        now = progress.answered = self._runtime.now()
        progress.answer, *progress.also = answers
        for answer in answers:
            queue_s = max(0.0, answer.reply.begun - asked.uploaded)
            self._metrics.observe(answer, queue_s, now - asked.received)
        return answers[0].model, outputs_of(inference, answers[0].model, answers)


async def _submit(
    tasks: Sequence[Task], submit: Callable[[Task], Awaitable[Answer]], reservation: Reservation
) -> list[Answer]:
    if len(tasks) == 1:
        reservation.release()  # CORRECTNESS: no await before submit has queued the bytes
        return [await submit(tasks[0])]
    answers: dict[int, Answer] = {}
    failures: dict[int, Exception] = {}

    async def answer(index: int, task: Task) -> None:
        reservation.release()  # CORRECTNESS: by the first; those that start with it queue their bytes at once
        try:
            answers[index] = await submit(task)
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
