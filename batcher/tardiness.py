"""Which accepted jobs will be late after all, because something has changed for the worse.

More urgent jobs came, the machine slowed down, or an executor was lost. All waiting jobs are then looked at, but not
more often than every few milliseconds: a look takes longer the more jobs wait.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from batcher.executor import Slot
from batcher.isolation import Isolation
from batcher.job import Job
from batcher.predictor import Predictor
from batcher.queue import WaitingQueue
from batcher.scheduling.completion import Waiting, tardy
from batcher.scheduling.cost_model import CostModel

T = TypeVar("T")
R = TypeVar("R")

_LOOK_S = 2e-3  # at least between two looks at all waiting jobs ...
_LOOK_EACH_S = 50e-6  # ... and longer the more jobs wait, so that looks stay below a few percent of a core
_SLOWER = 1.1  # than at the last look: a reason for another


class TardinessCheck(Generic[T, R]):
    """Finds the tardy jobs of one batcher. Owns when to look again, and how strictly."""

    def __init__(
        self,
        queue: WaitingQueue[T, R],
        isolation: Isolation[T, R],
        slots: Sequence[Slot[T, R]],
        predictor: Predictor[T, R],
    ) -> None:
        self._queue = queue
        self._isolation = isolation
        self._slots = slots
        self._predictor = predictor
        self._pushed = False  # a job was put before others, or slots have changed
        self._worse = False  # the speed has changed, or a slot is gone: predictions count as they are
        self._speed_changes = 0
        self._slowdown = 1.0  # the least since the last look
        self._next_look = 0.0

    def jobs_pushed(self) -> None:
        """A job was put before others."""
        self._pushed = True

    def slots_changed(self, now: float, fewer: bool) -> None:
        """A slot has come or gone: look at once."""
        self._next_look = now
        self._pushed = True
        self._worse |= fewer

    def tardy(self, now: float) -> list[tuple[Job[T, R], float]]:
        """Jobs that will be late, each with its completion time in seconds from now: as predicted where the speed has
        just changed, or a slot is gone; otherwise even if all goes better than predicted. Empty while nothing has
        changed for the worse, or the last look was just now."""
        model, waiting = self._predictor.model, self._queue.count + self._isolation.retries.count
        self._slowdown = min(self._slowdown, model.slowdown)
        slower = model.slowdown > self._slowdown * _SLOWER
        trusted = model.best_slowdown and (self._slots or self._predictor.executor_expected)
        if not (self._pushed or slower) or not trusted or not waiting or now < self._next_look:
            return []
        self._pushed = False
        self._slowdown = model.slowdown
        self._next_look = now + _LOOK_S + _LOOK_EACH_S * waiting
        return self._look(now, model)

    def _look(self, now: float, model: CostModel) -> list[tuple[Job[T, R], float]]:
        wait_s = self._predictor.wait_s(now)
        found = self._tardy_retries(now, wait_s, model)
        retries = self._isolation.retries.count - len(found)
        free_s = [wait_s + done_s for done_s in self._predictor.all_done(now, retries)]
        jobs = list(self._queue)
        if self._worse or self._predictor.speed_changes != self._speed_changes:
            places = [Waiting(job.prep_s, job.deadline - now) for job in jobs]
        else:
            places = [Waiting(job.prep_s, self._predictor.latest_s(now, job)) for job in jobs]
        self._worse = False
        self._speed_changes = self._predictor.speed_changes
        return found + [(jobs[number], finish_s) for number, finish_s in tardy(free_s, places, model)]

    def _tardy_retries(self, now: float, wait_s: float, model: CostModel) -> list[tuple[Job[T, R], float]]:
        """The isolated retries that will be late. `wait_s`: until there is a slot."""
        found: list[tuple[Job[T, R], float]] = []
        finish_s = wait_s
        if self._slots:
            finish_s = self._slots[self._isolation.index(self._slots)].backlog(now, model).begun_s
        for job in self._isolation.retries:
            alone_s = model.response_s(job.prep_s, 0.0, 1)
            if finish_s + alone_s > self._predictor.latest_s(now, job):
                found.append((job, finish_s + alone_s))
            else:
                finish_s += alone_s
        return found
