"""Takes messages from a queue and sees each through: answered and durable, put back, or among the dead letters.

A message is finished only after its answers are durable, so whatever is killed whenever, each object is answered at
least once; its id follows from the object, so the store has it once.
"""

import random
import time
from collections.abc import Sequence

import anyio
import structlog
from anyio.abc import TaskGroup

from server.consume.answering import Answering
from server.consume.errors import Later, Spoiled
from server.consume.ledger import Progress, State
from server.consume.patience import Patience
from server.queues.notification import Asked, Unreadable, read
from server.queues.source import Delivery, QueueFailed, Source
from server.settings.topics import QueuesSettings

_EXTEND = 3  # times within the visibility
_AT_A_TIME = 10
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 900.0  # before a message that failed is delivered again
_QUEUE_PAUSE_S = 1.0  # after the queue failed
_REPORT_S = 10.0
_LOOK_S = 1.0

log = structlog.stdlib.get_logger("tureen.consumer")


class Consumer:
    """The whole state: what is in hand by its handle, `state`, `told`, and whether the queue failed at the last try."""

    def __init__(self, source: Source, answering: Answering, patience: Patience, settings: QueuesSettings) -> None:
        self.state = State()
        self.told = False
        """Whether it was told to stop; an engine that has gone stops it, too."""
        self._source = source
        self._answering = answering
        self._stopping = patience.stopping
        self._settings = settings
        self._in_hand: dict[str, Delivery] = {}
        self._changed = anyio.Event()
        self._failing = False

    def stop(self) -> None:
        """Take no more messages, and end when those in hand have ended."""
        self.told = True
        self._stopping.set()

    async def run(self) -> None:
        """Consume until `stop`. Cancellation: what is in hand is delivered again when its visibility ends."""
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._extend)
            beside.start_soon(self._report)
            async with anyio.create_task_group() as tasks:
                await self._receive(tasks)
            beside.cancel_scope.cancel()

    # -- inside ------------------------------------------------------------------------------------

    async def _receive(self, tasks: TaskGroup) -> None:
        while not self._stopping.is_set():
            room = self._settings.consume_in_flight - len(self._in_hand)
            if room <= 0:
                await self._changed.wait()
                continue
            for delivery in await self._next(min(room, _AT_A_TIME)):
                self._in_hand[delivery.handle] = delivery
                tasks.start_soon(self._see_through, delivery)

    async def _next(self, most: int) -> Sequence[Delivery]:
        try:
            deliveries = await self._source.receive(most)
        except QueueFailed as error:
            self._on_failure(error)
            with anyio.move_on_after(_QUEUE_PAUSE_S):
                await self._stopping.wait()
            return ()
        if deliveries:
            self._on_well()
        return deliveries

    async def _see_through(self, delivery: Delivery) -> None:
        try:
            await self._end(delivery)
        except QueueFailed as error:  # it is delivered again, and then found to be answered
            self._on_failure(error)
        finally:
            del self._in_hand[delivery.handle]
            self._changed.set()
            self._changed = anyio.Event()

    async def _end(self, delivery: Delivery) -> None:
        """Answer what a message asks for, and finish it, bury it or put it back. Raises `QueueFailed`."""
        if self._stopping.is_set():  # it came with the last poll
            await self._put_back(delivery, Later("stopping", at_fault=False))
            return
        spoiled: list[tuple[str, str]] = []  # reason, body
        try:
            for asked in read(delivery.body):
                try:
                    await self._answer(asked, delivery)
                except Spoiled as error:
                    spoiled.append((error.reason, asked.part))
        except Unreadable:
            spoiled.append(("unreadable", delivery.body))
        except Later as error:
            await self._put_back(delivery, error)
            return
        for reason, body in spoiled:
            if not await self._bury(delivery, reason, body):
                await self._put_back(delivery, Later("no_dead_letters", at_fault=True))
                return
        await self._source.finish(delivery)
        self.state.finished += 1

    async def _answer(self, asked: Asked, delivery: Delivery) -> None:
        try:
            await self._answering.answer(asked, delivered_before=delivery.receives > 1)
        except Later as error:
            raise self._final(error, delivery) from None
        except Spoiled:
            raise
        except Exception as error:
            log.exception("consumer_bug")
            raise self._final(Later("internal_error", at_fault=True), delivery) from error
        self.state.answered += 1

    def _final(self, error: Later, delivery: Delivery) -> Later | Spoiled:
        """The error, or the end of a message that has failed often enough."""
        last = error.at_fault and delivery.receives >= self._settings.consume_tries
        return Spoiled(error.reason) if last else error

    async def _put_back(self, delivery: Delivery, later: Later) -> None:
        after_s = pause_s(delivery.receives, random.uniform(0.5, 1.0)) if later.at_fault else 0.0
        await self._source.put_back(delivery, after_s)
        self.state.count(self.state.again, later.reason)

    async def _bury(self, delivery: Delivery, reason: str, body: str) -> bool:
        log.warning("message_spoiled", reason=reason, receives=delivery.receives)
        if not await self._source.bury(delivery, body, reason):
            log.error("no_dead_letters", advice="give the queue a redrive policy, or --dead-letters")
            return False
        self.state.count(self.state.buried, reason)
        return True

    async def _extend(self) -> None:
        while True:
            await anyio.sleep(self._settings.visibility / _EXTEND)
            if in_hand := list(self._in_hand.values()):
                try:
                    await self._source.extend(in_hand)
                except QueueFailed as error:
                    self._on_failure(error)

    async def _report(self) -> None:
        progress = Progress()
        while True:
            for _ in range(int(_REPORT_S / _LOOK_S)):
                await self._look()
                await anyio.sleep(_LOOK_S)
            log.info("consuming", **progress.line(self.state))

    async def _look(self) -> None:
        """Bring the gauges up to date."""
        now_s = time.time_ns() / 1e9
        sent = [delivery.sent_s for delivery in self._in_hand.values() if delivery.sent_s]
        self.state.in_flight = len(self._in_hand)
        self.state.oldest_s = max(0.0, now_s - min(sent)) if sent else 0.0
        try:
            self.state.waiting = await self._source.depth()
        except QueueFailed as error:
            self._on_failure(error)
        else:
            self._on_well()

    def _on_well(self) -> None:
        if self._failing:
            self._failing = False
            log.info("queue_well")

    def _on_failure(self, error: QueueFailed) -> None:
        self.state.count(self.state.failures, error.reason)
        if not self._failing:
            self._failing = True
            log.error("queue_failing", reason=error.reason, error=str(error))


def pause_s(receives: int, jitter: float) -> float:
    """Seconds until a message is tried again after so many deliveries; `jitter`: 0.5 to 1."""
    return min(_FIRST_PAUSE_S * float(1 << min(receives, 12)), _LONGEST_PAUSE_S) * jitter
