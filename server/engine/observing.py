"""Answering by a route, and telling an observer how each version did; and running shadows beside.

A shadow is begun after its image was answered, at the lowest urgency, only while nothing waits for a worker, and is
dropped for any reason. So it never delays or fails an answer, beyond the time of the cores that it uses.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from anyio.abc import TaskGroup

from batcher import BatchFailed, Refused, RetriesExhausted
from batcher.policy import LEAST_URGENT
from server.contract.answer import Answer, Reply
from server.contract.errors import ModelFailed
from server.contract.ids import uuid7
from server.contract.task import ImageTask
from server.engine.lane import Lane
from server.engine.routing import Observed, Observer, Route
from server.engine.submission import Submission

_MOST_SHADOWS = 16  # under way at a time; each holds its image

_OF_ITS_OWN = (ModelFailed, BatchFailed, RetriesExhausted, Refused)
"""What a version fails with that another one may not."""


class Ways(NamedTuple):
    """Where a request goes, and the lanes that may take traffic, by version."""

    route: Route
    lanes: Mapping[str, Lane]


class Observing:
    """Its state: how many shadows are under way, and how many were not begun."""

    def __init__(self, observer: Observer, clock: Callable[[], float]) -> None:
        """`clock`: seconds of CLOCK_MONOTONIC."""
        self.shadows = 0
        self._observer = observer
        self._clock = clock

    async def submit(self, submission: Submission, ways: Ways, tasks: TaskGroup) -> Answer:
        """The answer by the route; by its fallback, where the version fails of its own. `tasks`: for shadows.

        Raises the errors of `batcher` and of `server.contract.errors`. Cancellation: the submission is taken back.
        """
        route, lanes = ways
        try:
            return await self._by(route.version, submission, ways, tasks)
        except _OF_ITS_OWN:
            if route.fallback not in lanes or route.fallback == route.version:
                raise
        # CORRECTNESS: no await since it failed: its bytes are counted again at once.
        other = Ways(Route(route.fallback), lanes)
        return await self._by(route.fallback, submission, other, tasks)

    async def _by(self, version: str, submission: Submission, ways: Ways, tasks: TaskGroup) -> Answer:
        lane, begun = ways.lanes[version], self._clock()
        try:
            reply = await lane.first.submit(submission)
        except Exception as error:
            self._observer.observed(self._seen(lane, ways.route, submission, begun, error=error))
            raise
        answer = Answer(
            uuid7(), submission.digest, reply, arm=ways.route.arm, unit=ways.route.unit, queued=submission.queued
        )
        seen = self._seen(lane, ways.route, submission, begun, reply, answer.id)
        self._observer.observed(seen)
        if ways.route.shadows and reply.source == "inference":
            self._begin_shadows(submission, ways, seen, tasks)
        return answer

    def _begin_shadows(self, submission: Submission, ways: Ways, primary: Observed, tasks: TaskGroup) -> None:
        busy = any(lane.batcher.stats().waiting for lane in ways.lanes.values())
        for version in ways.route.shadows:
            lane = ways.lanes.get(version)
            if lane and not busy and self.shadows < _MOST_SHADOWS:
                self.shadows += 1
                tasks.start_soon(self._shadow, lane, submission, primary, name="shadow")

    async def _shadow(self, lane: Lane, submission: Submission, primary: Observed) -> None:
        begun = self._clock()
        again = Submission(submission.task, begun + lane.slo_s, LEAST_URGENT, "never")
        route = Route(lane.spec.version)
        try:
            reply = await lane.first.submit(again)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and harms nobody
            self._observer.observed(self._seen(lane, route, again, begun, error=error, shadow=True))
        else:
            seen = self._seen(lane, route, again, begun, reply, shadow=True)
            self._observer.observed(seen)
            self._observer.compared(primary, seen)
        finally:
            self.shadows -= 1

    def _seen(
        self,
        lane: Lane,
        route: Route,
        submission: Submission,
        begun: float,
        reply: Reply | None = None,
        id_: str = "",
        *,
        error: Exception | None = None,
        shadow: bool = False,
    ) -> Observed:
        task = submission.task
        return Observed(
            lane.spec.name, lane.spec.version, route.arm, shadow, id_, submission.digest if reply else "",
            self._clock() - begun, submission.deadline - begun, type(error).__name__ if error else "",
            str(error) if error else "", reply, task.header if isinstance(task, ImageTask) else None,
        )  # fmt: skip
