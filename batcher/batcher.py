"""The public face of the batcher."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from types import TracebackType
from typing import Generic, Self, TypedDict, TypeVar, Unpack

from batcher.admission import Request
from batcher.dispatcher import Dispatcher
from batcher.errors import BatcherClosed, Refused
from batcher.executor import CallableExecutor, Executor, RunBatch, Slot
from batcher.job import Handle, Job, Oneshot
from batcher.policy import DEFAULT_URGENCY, LEAST_URGENT, Policy
from batcher.predictor import Prediction
from batcher.scheduling.cost_model import CostModel
from batcher.scheduling.service_time import ServiceTimes
from batcher.stats import Stats
from batcher.turns import Turns

T = TypeVar("T")
R = TypeVar("R")


class JobSpec(TypedDict, total=False):
    """What is said of an item beside the item itself."""

    prep_s: float
    """Expected preprocessing time in seconds: what the item takes besides its share of a batch. Default 0."""
    size: int
    """Bytes it holds in memory. Default 0."""
    deadline: float | None
    """Seconds on the batcher's clock. Default: `Policy.slo_s` from now."""
    urgency: int
    """0 (first) to 7 (RFC 9218). Default 3."""


class Batcher(Generic[T, R]):
    """Groups submitted items into batches and answers each item on its own.

    Give it `run_batch`, an async callable that takes a list of items and returns as many results in the same order; or
    none, and `attach` your own executors. Use it as an async context manager: on exit it refuses new items, waits until
    the accepted ones have ended, lets a running batch finish, and settles what is left. `clock` gives monotonic
    seconds; deadlines are on it. Bound to one event loop, not thread-safe.
    """

    def __init__(
        self,
        run_batch: RunBatch[T, R] | None = None,
        policy: Policy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        turns: Turns | None = None,
        share: float = 1.0,
        cores: int = 1,
    ) -> None:
        """`turns`: cores shared with other batchers, by `share`; each executor uses so many `cores` of them."""
        self.policy = policy or Policy()
        self._run_batch = run_batch
        self._clock = clock
        self._service_times = ServiceTimes(self.policy.max_batch)
        self._dispatcher: Dispatcher[T, R] = Dispatcher(self.policy, clock, self._service_times)
        self._seat = turns.join(self._dispatcher, share, cores) if turns else None
        if self._seat:
            self._dispatcher.share_cores(self._seat)
        self._closing = False
        self._sequence = count()
        self._tasks = asyncio.TaskGroup()

    def __repr__(self) -> str:
        live, slots = self._dispatcher.in_flight.live, self._dispatcher.slots
        return f"Batcher(waiting={self._dispatcher.waiting}, live={live}, slots={slots})"

    # -- items -------------------------------------------------------------------------------------

    async def submit(self, item: T, **spec: Unpack[JobSpec]) -> R:
        """Queue an item and wait for its answer. Arguments and refusals as for `enqueue_nowait`.

        Raises `DeadlineExceeded` at the deadline, wherever the item is; `BatchFailed`, or what the executor reported,
        if it could not be run; `RetriesExhausted`; `BatcherClosed`.
        Cancellation: the item is taken back; a batch it already runs in goes on for the others.
        """
        return await self.enqueue_nowait(item, **spec).wait()

    def enqueue_nowait(
        self,
        item: T,
        *,
        prep_s: float = 0.0,
        size: int = 0,
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
        losses: int = 0,
    ) -> Handle[T, R]:
        """Queue an item, or refuse it at once. For the arguments see `JobSpec`. `losses`: how many executors were lost
        with the same item before; if any, it runs alone.

        Raises `QueueFull`, `WouldBeLate` or `NoExecutor`, each with `retry_after_s`; `BatcherClosed`.
        """
        now = self._clock()
        due = now + self.policy.slo_s if deadline is None else deadline
        order = (urgency, due, next(self._sequence))
        answer = self._ask(now, Request(order, prep_s, size, 0))
        if isinstance(answer, Refused):
            try:
                raise answer
            finally:
                # CORRECTNESS: what is raised holds this frame. Held by it in turn, it would be garbage that only the
                # collector finds, thousands of them under overload; and the event loop stands still meanwhile.
                del answer
        job: Job[T, R] = Job(item, Oneshot(), now, due, urgency, prep_s, size, order, losses=losses)
        self._dispatcher.accept(job, answer)
        return Handle(self._dispatcher, job)

    def refusal(
        self,
        *,
        prep_s: float = 0.0,
        size: int = 0,
        deadline: float | None = None,
        urgency: int = LEAST_URGENT,
        coming: int = 0,
    ) -> Refused | None:
        """What would refuse an item now, so that no work is done for it in vain; counted as refused. `coming`: items
        like it that will be queued before it, and are not yet. Returning costs a fraction of raising: under overload
        most items end here. Without a deadline the item is never late.

        Raises `BatcherClosed`.
        """
        due = float("inf") if deadline is None else deadline
        answer = self._ask(self._clock(), Request((urgency, due, 0), prep_s, size, coming))
        return answer if isinstance(answer, Refused) else None

    def note_refusals(self, reason: str, count: int) -> None:
        """So many items were refused elsewhere, by what was said here of others like them; `reason`: as in `Stats`."""
        self._dispatcher.admission.refused[reason] += count

    def check_open(self, *, coming: int = 0, **spec: Unpack[JobSpec]) -> None:
        """As `refusal`, but raises it."""
        refusal = self.refusal(coming=coming, **spec)
        try:
            if refusal:
                raise refusal
        finally:
            del refusal  # CORRECTNESS: as above

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Announce an item that is on its way: a batch that gains by it may wait, for its fixed cost at most."""
        self.announce(1)
        try:
            yield
        finally:
            self.announce(-1)

    def announce(self, count: int) -> None:
        """As `arriving`, without a context: so many items more, or fewer, are on their way."""
        self._dispatcher.announce(count)

    @property
    def held_bytes(self) -> int:
        """Bytes of the items that are not answered yet, by the sizes they were queued with."""
        return self._dispatcher.in_flight.held_bytes

    # -- executors ---------------------------------------------------------------------------------

    def attach(self, executor: Executor[T, R], *, parallel_preprocessing: int = 0) -> Slot[T, R]:
        """Give an executor its slot. It is sent nothing before it grants credits.

        `parallel_preprocessing`: how many items it preprocesses at a time beside its batches, the same for all
        executors of a batcher; 0: one after the other, before the batch.
        """
        slot = Slot(self._dispatcher, executor, self._service_times)
        self._service_times.set_overlap(parallel_preprocessing)
        self._dispatcher.attach(slot)
        return slot

    def expect_executor(self, at: float | None) -> None:
        """Say when, on the batcher's clock, an executor will be ready while none is; None: that is not known, and
        items are refused with `NoExecutor`. Waiting items that cannot wait for a later time are refused at once."""
        self._dispatcher.expect_executor(at)

    def observe_batch(self, size: int, seconds: float) -> None:
        """Report a batch that ran outside a slot, as in a warm-up: `size` items took `seconds`, preprocessing aside."""
        self._service_times.observe_batch(size, seconds)

    def limit_batch(self, most: int) -> None:
        """Executors run at most `most` items at once from now on. Predictions follow, and waiting items that will be
        late for it are refused at once."""
        self.policy = replace(self.policy, max_batch=most)
        self._service_times.limit_batch(most)
        self._dispatcher.limit_batch(self.policy)

    def allow_for_delay(self, delay_s: float) -> None:
        """From now on the event loop may deliver an answer so many seconds late. They come off what a new item may
        take, up to half of that, and executors are sent as much more to do at once."""
        self._dispatcher.predictor.learn(self._clock())
        self._dispatcher.admission.allow_for_delay(delay_s)
        each_s = self._service_times.seconds_per_job
        for slot in self._dispatcher.slots:
            slot.overcommit(int(delay_s / each_s) if each_s else 0)
        self._dispatcher.wake()

    # -- state -------------------------------------------------------------------------------------

    @property
    def cost_model(self) -> CostModel:
        """What work costs, as learned so far: an immutable snapshot."""
        return self._service_times.model

    @property
    def executors(self) -> int:
        """How many executors take jobs."""
        return len(self._dispatcher.slots)

    def stats(self) -> Stats:
        """A snapshot of the state and the counters."""
        now, inside = self._clock(), self._dispatcher
        inside.predictor.learn(now)
        arrivals = (inside.queue.oldest_arrival(), inside.isolation.retries.oldest_arrival())
        oldest = min((arrival for arrival in arrivals if arrival is not None), default=None)
        return Stats(
            waiting=inside.waiting,
            running=inside.in_flight.live - inside.waiting,
            held_bytes=inside.in_flight.held_bytes,
            executors=len(inside.slots),
            free_credits=sum(slot.free_credits for slot in inside.slots),
            oldest_s=0.0 if oldest is None else now - oldest,
            seconds_per_job=self._service_times.seconds_per_job,
            accepted=inside.in_flight.accepted,
            answered=inside.in_flight.answered,
            failed=inside.in_flight.failed,
            retried=inside.retried,
            expired=dict(inside.in_flight.expired),
            cancelled=dict(inside.in_flight.cancelled),
            refused=dict(inside.admission.refused),
            dropped=dict(inside.in_flight.dropped),
            slowdown=self._service_times.model.slowdown,
            prep_factor=self._service_times.model.prep_factor,
            prediction_errors=inside.predictor.errors,
        )

    # -- life --------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Refuse new items from now on, and wait until every accepted one has ended.

        Cancellation: stops waiting; the batcher stays closed to new items.
        """
        self._closing = True
        await self._dispatcher.in_flight.wait_empty()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._loop = self._tasks.create_task(self._run(), name="batcher")
        if self._run_batch:
            CallableExecutor(self._run_batch, self.policy.max_batch, self._tasks, self._clock, self.attach)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.drain()
        finally:
            self._end()  # CORRECTNESS: here too, since a run loop cancelled before its first step never ran
            self._loop.cancel()
            await self._tasks.__aexit__(kind, error, trace)

    async def _run(self) -> None:
        try:
            await self._dispatcher.run()
        finally:
            self._end()

    def _end(self) -> None:
        # CORRECTNESS: refuse first, then settle, so that no item slips in between
        self._closing = True
        self._dispatcher.in_flight.abort()
        if self._seat:
            self._seat.leave()

    def _ask(self, now: float, request: Request) -> Prediction | Refused:
        """The prediction of an item, or its refusal. Raises `BatcherClosed`."""
        inside = self._dispatcher
        if self._closing:
            inside.admission.refused["closed"] += 1
            raise BatcherClosed("the batcher is closing")
        inside.predictor.learn(now)
        return inside.admission.ask(now, request, inside.queue.count + inside.isolation.retries.count)
