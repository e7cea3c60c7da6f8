"""The engine: models, each with queue and workers of its own, and the way of a task to one of them. Knows no HTTP."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from batcher import BatcherClosed, NoExecutor, QueueFull, Refused
from batcher.policy import DEFAULT_URGENCY
from batcher.turns import Turns
from preprocess.cost import decode_seconds
from preprocess.header import Header
from preprocess.limits import Limits
from server import demo
from server.contract.answer import Answer, merged
from server.contract.ids import uuid7
from server.contract.metadata import ModelMetadata
from server.contract.owner import NOBODY, Owner
from server.contract.task import ImageTask, Reuse, Task
from server.engine.arrivals import Arrivals, GiveUp, Reservation
from server.engine.cache.memory import MemoryCache
from server.engine.cache.shared import Store
from server.engine.following import Following
from server.engine.groups import leaves
from server.engine.intake import ReuseStats, Status
from server.engine.lane import Common, Lane, LaneSpec
from server.engine.loop_delay import LoopDelay
from server.engine.models import Models
from server.engine.observing import Observing, Ways
from server.engine.routing import Observer, Router, Unobserved, by_default
from server.engine.shares import Shares
from server.engine.sharing import BEYOND_SHARE
from server.engine.submission import Submission
from server.engine.table import Entry, Table
from server.engine.together import Image, Together
from server.fleet.layout.placement import LayoutChoice, Placement, resolve_device
from server.fleet.pool import PoolFailed, WorkerActivity
from server.models.card import find_model
from server.models.errors import ModelError
from server.process import logs
from server.process.background import background
from server.process.cpus import usable_cpus
from server.process.memory import usable_memory
from server.repository.errors import RepositoryError
from server.repository.folder import Folder
from server.repository.state import ModelState
from server.repository.store import FileStates, StateStore
from server.settings import Settings, derived

_SAVED = 0.5  # of the SLO: what an owner may save up, in seconds of a worker
_POLL_S = 1.0  # between two looks at what is to be served
_RETRY_S = 1.0
_ON_A_GPU = 2  # workers that run at a time
_NOT_STARTED = "the engine is not started: use it as `async with Engine(settings) as engine`"
_NO_REPOSITORY = "this server has one model; start it with --models to change versions while it serves"


class EngineFailed(Exception):
    """No worker can be brought up; the message says why. Starting again would fail again."""


class Engine:
    """Answers tasks with the models of `settings`, in worker processes of its own. An `Intake`.

        async with Engine(settings) as engine:
            answer = await engine.submit(ImageTask(body, read_header(body, engine.limits)))

    Entering starts the workers and waits until the first is ready (`wait_ready=False`: returns at once; until then
    tasks are refused with `NoExecutor`). Leaving refuses new tasks, waits for the accepted ones, and ends the workers;
    leaving by an exception or by cancellation waits for nothing. `EngineFailed` is raised on either way, and cancels
    whoever is inside, if no model can be served any more.

    The whole state: `_table` (the lanes), `_tasks` (in which they live), `_arrivals`, and whether it is closing.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        wait_ready: bool = True,
        clock: Callable[[], float] = time.monotonic,
        router: Router = by_default,
        observer: Observer | None = None,
    ) -> None:
        """`clock`: seconds of CLOCK_MONOTONIC, on which deadlines are. `router`: which version answers a request.
        `observer`: told how each version does."""
        self.slo_s = settings.slo
        self.limits = Limits(max_pixels=settings.upload.max_pixels)
        self._memory = usable_memory()
        self.max_bytes = derived.queue_bytes(settings.upload, self._memory)
        self.delay = LoopDelay()
        self._settings = settings
        self._wait_ready = wait_ready
        self._clock = clock
        self._stack = AsyncExitStack()
        self._placement = Placement("cpu", 0, "")
        self._table = Table(router)
        self._beyond: Counter[str] = Counter()
        self._observing = Observing(observer or Unobserved(), clock)
        self._shadows: TaskGroup | None = None
        self._only: Lane | None = None  # where one model is served for good
        self._models: Models | None = None
        self._tasks: TaskGroup | None = None
        self._together = Together()
        self._ready = anyio.Event()
        self._closing = False
        self._cache = MemoryCache(settings.cache.memory_bytes, settings.cache.cache_ttl, clock)
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
        sticky: str = "",
    ) -> Answer:
        """As `Intake.submit`."""
        if self._closing:
            raise BatcherClosed("the engine is closing")
        submission = Submission(task, 0.0, urgency, reuse, owner)
        lane, route = self._table.find(task.model, task.version, lambda: sticky or owner.account or submission.digest)
        submission.deadline = self._clock() + lane.slo_s if deadline is None else deadline
        ways = Ways(route, self._table.ready_lanes(lane.spec.name))
        return await self._observing.submit(submission, ways, self._beside())

    async def submit_to_each(
        self,
        task: ImageTask,
        models: Sequence[str],
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
        reuse: Reuse = "allowed",
        owner: Owner = NOBODY,
        sticky: str = "",
    ) -> Answer:
        """As `Intake.submit_to_each`."""
        if self._closing:
            raise BatcherClosed("the engine is closing")
        digest = Submission(task, 0.0, urgency)
        lanes = [self._table.find(model, "", lambda: sticky or owner.account or digest.digest)[0] for model in models]
        due = self._clock() + min(lane.slo_s for lane in lanes) if deadline is None else deadline
        image = Image(task, due, urgency, reuse, owner)
        replies = await self._together.submit(image, lanes)
        return merged(uuid7(), digest.digest, replies)

    def slo_of(self, model: str) -> float:
        """As `Intake.slo_of`."""
        entry = self._table.entries.get(model) or self._table.default
        return entry.slo_s if entry else self.slo_s

    def reserve(self, size: int, give_up: GiveUp | None = None) -> Reservation:
        """As `Intake.reserve`."""
        return self._arrivals.reserve(size, give_up)

    def refusal(
        self, header: Header, size: int, deadline: float, urgency: int, coming: int, owner: Owner = NOBODY
    ) -> Refused | None:
        """As `Intake.refusal`."""
        lane = self._table.default_lane
        if lane is None:
            return None
        cost = decode_seconds(header, size)
        urgency = lane.sharing.urgency(owner, cost, urgency)
        beyond = urgency == BEYOND_SHARE
        refused: Refused | None = lane.sharing.full(size) if beyond else None
        refused = refused or lane.batcher.refusal(prep_s=cost, deadline=deadline, urgency=urgency, coming=coming)
        if beyond and refused:
            self._beyond["refused"] += 1
        return refused

    def note_refusals(self, reason: str, count: int) -> None:
        """Fronts refused so many images for the default model, by what was said here of others like them."""
        if lane := self._table.default_lane:
            lane.batcher.note_refusals(reason, count)

    def remembers(self, size: int, payload: bytes | None, owner: Owner = NOBODY) -> bool:
        """As `Intake.remembers`."""
        lane = self._table.default_lane
        return lane is not None and lane.remembering.remembers(size, payload, owner.account)

    async def forget(self, content: str, account: str = "") -> None:
        """As `Intake.forget`. Raises `StoreFailed` if a shared cache does not answer."""
        self._cache.forget(content, account)
        for lane in list(self._table.lanes()):
            await lane.remembering.forget(content, account)

    def status(self) -> Status:
        """As `Intake.status`."""
        self._running()
        lanes, default = self._table.statuses(), self._table.default_lane
        stats, restarts = self._table.sums(lanes)
        return Status(
            stats, sum(lane.workers for lane in lanes), restarts, self._arrivals.bytes,
            default.metadata if default else None, sum(lane.differences for lane in lanes),
            any(lane.separated for lane in lanes), self._reuse(), lanes=lanes,
            changes=dict(self._models.changes) if self._models else {}, shared_decodes=self._together.shared,
            started=self._only is not None or self._ready.is_set(), beyond_share=dict(self._beyond),
        )  # fmt: skip

    def workers(self) -> tuple[WorkerActivity, ...]:
        """What each worker does now."""
        return tuple(
            replace(worker, name=f"{lane.spec.name} {lane.spec.version} {worker.name}")
            for lane in self._table.lanes()
            for worker in lane.pool.activity()
        )

    async def wait_ready(self) -> ModelMetadata:
        """As `Intake.wait_ready`."""
        self._running()
        if self._only:
            return await asyncio.shield(self._only.pool.model)
        await self._ready.wait()
        lane = self._table.default_lane or next(lane for lane in self._table.lanes() if lane.metadata)
        assert lane.metadata, "what takes traffic has a worker that is ready"
        return lane.metadata

    async def drain(self) -> None:
        """As `Intake.drain`."""
        self._closing = True
        if self._models:
            self._models.stop()
        async with anyio.create_task_group() as tasks:
            for lane in self._table.lanes():
                tasks.start_soon(lane.drain)

    @property
    def models(self) -> Models:
        """The repository, to change what is served. Raises `RepositoryError` where there is none."""
        if self._models is None:
            raise RepositoryError(_NO_REPOSITORY)
        return self._models

    @property
    def placement(self) -> Placement:
        """On what the models are computed, and why."""
        return self._placement

    @property
    def layout(self) -> LayoutChoice:
        """How many workers of how many threads a model has, and why. For when the first is ready."""
        lane = self._table.default_lane or next(self._table.lanes())
        return lane.layout

    # -- for arrivals --------------------------------------------------------------------------------

    @property
    def longest_linger_s(self) -> float:
        """As `Room.longest_linger_s`. With several models, none waits: whose image is coming is not known yet."""
        return self._only.batcher.cost_model.fixed_s if self._only else 0.0

    @property
    def free_bytes(self) -> int:
        """As `Room.free_bytes`."""
        if self._only:
            return self.max_bytes - self._only.batcher.held_bytes
        return self.max_bytes - sum(lane.batcher.held_bytes for lane in self._table.lanes())

    def check_room(self, size: int) -> None:
        """As `Room.check_room`."""
        try:
            if self._only:
                self._only.batcher.check_open(size=size)
            else:
                self._check_any_ready(size)
        except (NoExecutor, QueueFull):
            # What is kept is answered without a worker, and without a place in the queue; bytes are held either way.
            if not len(self._cache) or size > self.free_bytes:
                raise

    def announce(self, count: int) -> None:
        """As `Room.announce`."""
        if self._only:
            self._only.batcher.announce(count)

    # -- inside --------------------------------------------------------------------------------------

    def _check_any_ready(self, size: int) -> None:
        """Raises `BatcherClosed`, `NoExecutor` or `QueueFull`."""
        if self._closing:
            raise BatcherClosed("the engine is closing")
        if not any(entry.ready for entry in self._table.entries.values()):
            raise NoExecutor("no worker is ready", _RETRY_S)
        if size > self.free_bytes:
            raise QueueFull(f"{self.max_bytes} bytes are held already", _RETRY_S)

    async def _start(self, stack: AsyncExitStack) -> None:
        logs.leave_to_host()
        settings = self._settings
        self._placement = await resolve_device(settings.provider_name, settings.devices)
        store = await self._store(stack)
        repository = self._repository(stack)
        self._tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(self._end)
        self._shadows = beside = await stack.enter_async_context(background())
        shares = Shares(_SAVED * self.slo_s)
        common = Common(
            settings,
            self._placement,
            self._memory,
            self.max_bytes,
            self._clock,
            self._cache,
            store,
            shares,
            self._beyond,
            self._turns(),
            beside,
        )
        if repository:
            self._open_repository(repository, common, beside)
        else:
            await self._open_only(common)
        beside.start_soon(self.delay.watch, self._allow_for_delay, name="loop delay")

    def _turns(self) -> Turns | None:
        """Of lanes at the cores; on a GPU as many workers run at a time as one model has."""
        if not self._settings.repository.models:
            return None
        place = self._placement
        on_gpus = self._settings.worker.workers or _ON_A_GPU * place.gpus
        cores = usable_cpus() if place.provider == "cpu" else on_gpus
        return Turns(cores, self._clock)

    async def _open_only(self, common: Common) -> None:
        """Serve the one model of the settings, for good. Raises `EngineFailed`."""
        path = self._settings.model or demo.FOLDER
        try:
            card = (await anyio.to_thread.run_sync(find_model, path)).card
        except ModelError as error:
            raise EngineFailed(str(error)) from error
        self.slo_s = card.serving.slo_s or self.slo_s
        entry = Entry(card.name, self.slo_s, True, ModelState(default=card.version))
        lane = self._only = Lane(LaneSpec(card.name, card.version, path, self.slo_s), common)
        await self._running().start(self._live, lane)
        entry.lanes[card.version] = lane
        entry.ready.add(card.version)
        self._table.entries[card.name] = entry

    async def _live(self, lane: Lane, *, task_status: TaskStatus[None]) -> None:
        """Raises `PoolFailed`: there is no other lane that could go on."""
        await lane.serve(task_status.started)
        lane.over.set()
        if lane.failure:
            raise PoolFailed(lane.failure)

    def _repository(self, stack: AsyncExitStack) -> tuple[Folder, StateStore] | None:
        """The models' folder, and where their states are; None where one model is served for good."""
        url = self._settings.repository.models
        if not url.startswith("s3://"):
            return (Folder(Path(url)), FileStates(Path(url))) if url else None
        from server.repository.s3 import S3Repository, copy_of  # its extra may be missing

        folder = copy_of(url, self._settings.worker.profile_folder)
        bucket = stack.enter_context(S3Repository(url, folder, self._settings.storage.s3_endpoint))
        return Folder(folder, bucket.sync), bucket

    def _open_repository(self, repository: tuple[Folder, StateStore], common: Common, beside: TaskGroup) -> None:
        folder, states = repository
        settings = self._settings.repository
        models = self._models = Models(self._table, common, self._running(), folder, states, settings, _wall_s)
        following = Following(models, beside, self._clock, watch=settings.watch)
        beside.start_soon(self._bring_up, following, name="models")

    async def _bring_up(self, following: Following) -> None:
        """Bring up the repository's models, then follow their states. Raises `EngineFailed`."""
        try:
            await following.start()
        except RepositoryError as error:
            raise EngineFailed(str(error)) from error
        self._ready.set()
        await following.run(_POLL_S)

    async def _store(self, stack: AsyncExitStack) -> Store | None:
        """The cache in Redis, if there is to be one."""
        cache = self._settings.cache
        if not cache.redis_url:
            return None
        from server.engine.cache.redis import RedisStore  # its extra may be missing

        return await stack.enter_async_context(RedisStore(cache.redis_url, cache.cache_timeout, cache.cache_ttl))

    def _allow_for_delay(self, delay_s: float) -> None:
        for lane in self._table.lanes():
            lane.batcher.allow_for_delay(delay_s)

    def _reuse(self) -> ReuseStats:
        lookups, errors = self._table.reuse()
        return ReuseStats(lookups, errors, len(self._cache), self._cache.nbytes)

    def _end(self) -> None:
        """Everything is answered, or to be left: the lanes end, and then the task group in which they live."""
        for lane in self._table.lanes():
            lane.end()

    def _beside(self) -> TaskGroup:
        """What goes on beside answers, and ends with them."""
        if self._shadows is None:
            raise RuntimeError(_NOT_STARTED)
        return self._shadows

    def _running(self) -> TaskGroup:
        if self._tasks is None:
            raise RuntimeError(_NOT_STARTED)
        return self._tasks


def _wall_s() -> float:
    """Seconds since 1970: replicas agree on it, as far as their clocks do."""
    return time.time_ns() / 1e9


def _reason(group: BaseExceptionGroup[BaseException], error: BaseException | None) -> BaseException:
    """What to raise for what the task groups in here raise: `EngineFailed`, or the `error` of whoever was inside, if
    that is all; else the group."""
    reasons = leaves(group)
    if all(isinstance(reason, PoolFailed | EngineFailed) for reason in reasons):
        return EngineFailed(str(reasons[0]))
    return error if error and all(reason is error for reason in reasons) else group
