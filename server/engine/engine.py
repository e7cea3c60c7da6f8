"""The engine: worker processes, a queue before them, and the stages a task passes. Knows no HTTP."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import msgspec
from anyio.abc import TaskGroup

from batcher import Batcher, NoExecutor, Policy, QueueFull, Refused
from batcher.policy import DEFAULT_URGENCY
from preprocess.cost import decode_seconds
from preprocess.header import Header
from preprocess.limits import Limits
from server import demo
from server.contract.answer import Answer, Reply
from server.contract.errors import UnknownModel
from server.contract.ids import uuid7
from server.contract.metadata import ModelMetadata
from server.contract.owner import NOBODY, Owner
from server.contract.task import Reuse, Task
from server.contract.wire import Load
from server.engine.arrivals import Arrivals, GiveUp, Reservation
from server.engine.cache.memory import MemoryCache
from server.engine.cache.remembering import Remembering
from server.engine.cache.shared import SharedCache
from server.engine.flights import Flights
from server.engine.groups import leaves
from server.engine.intake import Status
from server.engine.loop_delay import LoopDelay
from server.engine.quarantine import Quarantine
from server.engine.shares import Shares
from server.engine.sharing import BEYOND_SHARE, Room, Sharing
from server.engine.submission import Stage, Submission
from server.fleet.layout.choose import LayoutRequest
from server.fleet.layout.placement import (
    LayoutChoice,
    LayoutPlan,
    LayoutSettings,
    Placement,
    decoders,
    lay_out,
    resolve_device,
)
from server.fleet.pool import Pool, PoolFailed, WorkerActivity
from server.models.card import find_model
from server.models.digest import digest
from server.models.errors import ModelError
from server.process import logs
from server.process.memory import usable_memory
from server.settings import Settings, derived

_SAVED = 0.5  # of the SLO: what an owner may save up, in seconds of a worker
_LEAST_S = 1e-4  # that an image costs its owner, whatever was measured
_NOT_STARTED = "the engine is not started: use it as `async with Engine(settings) as engine`"


class EngineFailed(Exception):
    """No worker can be brought up; the message says why. Starting again would fail again."""


class Engine:
    """Answers tasks with the model of `settings`, in worker processes of its own. An `Intake`.

        async with Engine(settings) as engine:
            answer = await engine.submit(ImageTask(body, read_header(body, engine.limits)))

    Entering starts the workers and waits until the first is ready (`wait_ready=False`: returns at once; until then
    tasks are refused with `NoExecutor`). Leaving refuses new tasks, waits for the accepted ones, and ends the workers;
    leaving by an exception or by cancellation waits for nothing. `EngineFailed` is raised on either way, and cancels
    whoever is inside, if the model cannot be served any more.

    The whole state: `_batcher`, `_sharing` and `_pool` (set once, on entering), `_arrivals`.
    """

    def __init__(
        self, settings: Settings, *, wait_ready: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: seconds of CLOCK_MONOTONIC, on which deadlines are."""
        self.slo_s = settings.slo
        self.limits = Limits(max_pixels=settings.upload.max_pixels)
        self._memory = usable_memory()
        self.max_bytes = derived.queue_bytes(settings.upload, self._memory)
        self.delay = LoopDelay()
        self._settings = settings
        self._wait_ready = wait_ready
        self._clock = clock
        self._stack = AsyncExitStack()
        self._batcher: Batcher[Task, Reply]
        self._pool: Pool | None = None
        self._placement = Placement("cpu", 0, "")
        self._first: Stage
        self._remembering: Remembering
        self._sharing: Sharing
        self._arrivals = Arrivals(self)

    async def __aenter__(self) -> Self:
        try:
            async with AsyncExitStack() as stack:
                await self._start(stack)
                if self._wait_ready:
                    await self.wait_ready()
                self._stack = stack.pop_all()
        except BaseExceptionGroup as group:
            raise _reason(group, None) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            async with self._stack:
                if error:
                    raise error
                await self.drain()
        except BaseExceptionGroup as group:
            raise _reason(group, error) from None

    async def submit(
        self,
        task: Task,
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
        reuse: Reuse = "allowed",
        owner: Owner = NOBODY,
    ) -> Answer:
        """As `Intake.submit`."""
        self._check_model(task)
        due = self._clock() + self.slo_s if deadline is None else deadline
        submission = Submission(task, due, urgency, reuse, owner)
        reply = await self._first.submit(submission)
        return Answer(uuid7(), submission.digest, reply, submission.queued)

    def reserve(self, size: int, give_up: GiveUp | None = None) -> Reservation:
        """As `Intake.reserve`."""
        return self._arrivals.reserve(size, give_up)

    def refusal(
        self, header: Header, size: int, deadline: float, urgency: int, coming: int, owner: Owner = NOBODY
    ) -> Refused | None:
        """As `Intake.refusal`."""
        cost = decode_seconds(header, size)
        urgency = self._sharing.urgency(owner, cost, urgency)
        if urgency == BEYOND_SHARE and (full := self._sharing.full(size)):
            return full
        return self._batcher.refusal(prep_s=cost, deadline=deadline, urgency=urgency, coming=coming)

    def remembers(self, size: int, payload: bytes | None) -> bool:
        """As `Intake.remembers`."""
        return self._remembering.remembers(size, payload)

    async def forget(self, content: str) -> None:
        """As `Intake.forget`. Raises `StoreFailed` if a shared cache does not answer."""
        await self._remembering.forget(content)

    def status(self) -> Status:
        """As `Intake.status`."""
        pool = self._running()
        stats, restarts = self._batcher.stats(), dict(pool.restarts)
        return Status(
            stats, pool.size, restarts, self._arrivals.bytes, self._model(), pool.differences, pool.separated,
            self._remembering.stats(),
        )  # fmt: skip

    def workers(self) -> tuple[WorkerActivity, ...]:
        """What each worker does now."""
        return self._running().activity()

    async def wait_ready(self) -> ModelMetadata:
        """As `Intake.wait_ready`."""
        return await asyncio.shield(self._running().model)

    async def drain(self) -> None:
        """As `Intake.drain`."""
        await self._batcher.drain()

    @property
    def placement(self) -> Placement:
        """On what the model is computed, and why."""
        return self._placement

    @property
    def layout(self) -> LayoutChoice:
        """How many workers of how many threads there are, and why. For when the first is ready."""
        return self._running().decision.result()

    # -- for arrivals --------------------------------------------------------------------------------

    @property
    def longest_linger_s(self) -> float:
        """As `Room.longest_linger_s`."""
        return self._batcher.cost_model.fixed_s

    @property
    def free_bytes(self) -> int:
        """As `Room.free_bytes`."""
        return self.max_bytes - self._batcher.held_bytes

    def check_room(self, size: int) -> None:
        """As `Room.check_room`."""
        try:
            self._batcher.check_open(size=size)
        except (NoExecutor, QueueFull):
            # What is kept is answered without a worker, and without a place in the queue; bytes are held either way.
            if not self._remembering.any or size > self.free_bytes:
                raise

    def announce(self, count: int) -> None:
        """As `Room.announce`."""
        self._batcher.announce(count)

    # -- inside --------------------------------------------------------------------------------------

    async def _start(self, stack: AsyncExitStack) -> None:
        logs.leave_to_host()
        settings = self._settings
        self._placement = await resolve_device(settings.provider_name, settings.device)
        plan = await lay_out(_layout_settings(settings), self._placement)
        policy = Policy(settings.queue.max_batch, settings.slo, settings.queue.max_queue, self.max_bytes)
        self._batcher = await stack.enter_async_context(Batcher(policy=policy, clock=self._clock))
        load = load_for(settings, self._placement, plan)
        load = msgspec.structs.replace(load, digest=await asyncio.to_thread(_digest, Path(load.model)))
        growth = derived.worker_growth(settings.worker, settings.upload, self._memory, plan.workers)
        quarantine = await self._stages(stack)
        self._pool = await stack.enter_async_context(Pool(self._batcher, load, plan, growth, quarantine.lost))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        tasks.start_soon(self.delay.watch, self._batcher.allow_for_delay, name="loop delay")

    async def _stages(self, stack: AsyncExitStack) -> Quarantine:
        """Make the stages that a task passes. Gives the first."""
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        settings, beside = self._settings.cache, await self._shared_cache(stack, tasks)
        flights = Flights(self._batcher, self._clock, beside)
        room = Room(max(1, self._settings.queue.max_queue // 2), max(1, self.max_bytes // 2))
        self._sharing = Sharing(flights, Shares(_SAVED * self.slo_s), self._cost_s, self._clock, room)
        cache = MemoryCache(settings.memory_bytes, settings.cache_ttl, self._clock)
        self._remembering = Remembering(self._sharing, cache, self._model, beside, self._clock)
        self._first = quarantine = Quarantine(self._remembering)
        return quarantine

    async def _shared_cache(self, stack: AsyncExitStack, tasks: TaskGroup) -> SharedCache | None:
        """The cache in Redis, if there is to be one."""
        cache = self._settings.cache
        if not cache.redis_url:
            return None
        from server.engine.cache.redis import RedisStore  # its extra may be missing

        store = await stack.enter_async_context(RedisStore(cache.redis_url, cache.cache_timeout, cache.cache_ttl))
        return SharedCache(store, tasks, self._model)

    def _cost_s(self, prepare_s: float) -> float:
        """Seconds of a worker that an image takes in a batch that pays."""
        model = self._batcher.cost_model
        return max(_LEAST_S, model.slowdown * (prepare_s * model.prep_factor + model.batch_run_s / model.batch))

    def _running(self) -> Pool:
        if self._pool is None:
            raise RuntimeError(_NOT_STARTED)
        return self._pool

    def _model(self) -> ModelMetadata | None:
        """The model that answers; None until the first worker is ready."""
        model = self._running().model
        return model.result() if model.done() else None

    def _check_model(self, task: Task) -> None:
        """Raises `UnknownModel` for a task that asks for another model or version than the one that is served."""
        if not (task.model or task.version):
            return
        served = self._model()
        if served and (task.model or served.name, task.version or served.version) != (served.name, served.version):
            raise UnknownModel(f"served here: {served.name}, version {served.version}")


def load_for(settings: Settings, place: Placement, plan: LayoutPlan) -> Load:
    """What each worker is told to serve."""
    return Load(
        model=str(settings.model or demo.FOLDER),
        max_batch=settings.queue.max_batch,
        max_pixels=settings.upload.max_pixels,
        provider=place.provider,
        device=place.device,
        decoders=decoders(plan.workers),
        cuda_graphs=settings.worker.cuda_graphs and place.provider == "cuda",
        gpu_memory_limit=settings.worker.gpu_memory_limit or 0,
        precision=settings.worker.precision if place.provider == "cuda" else "model",  # CPUs only lose by float16
    )


def _layout_settings(settings: Settings) -> LayoutSettings:
    asked = LayoutRequest(settings.worker.workers, settings.worker.threads)
    return LayoutSettings(
        asked, settings.model or demo.FOLDER, settings.worker.profile_folder, settings.slo, settings.queue.max_batch
    )


def _digest(model: Path) -> str:
    """Of the model as it is now, which all workers are to serve; empty if it cannot be read: they will say why."""
    try:
        return digest(find_model(model).model_file)
    except (ModelError, OSError):
        return ""


def _reason(group: BaseExceptionGroup[BaseException], error: BaseException | None) -> BaseException:
    """What to raise for what the task groups in here raise: `EngineFailed`, or the `error` of whoever was inside, if
    that is all; else the group."""
    reasons = leaves(group)
    if all(isinstance(reason, PoolFailed) for reason in reasons):
        return EngineFailed(str(reasons[0]))
    return error if error and all(reason is error for reason in reasons) else group
