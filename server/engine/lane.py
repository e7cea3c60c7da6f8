"""One version of one model: its queue, its workers, and the stages that a task passes on the way to them.

A lane lives in a task of its own. What goes wrong in it, a model that brings its workers down again and again, ends
this lane and no other.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskGroup

from batcher import Batcher, Policy
from batcher.turns import Turns
from server.contract.answer import Reply
from server.contract.metadata import ModelMetadata
from server.contract.task import Task
from server.contract.wire import Load
from server.engine.cache.memory import MemoryCache
from server.engine.cache.remembering import Remembering
from server.engine.cache.shared import SharedCache, Store
from server.engine.flights import Flights
from server.engine.groups import leaves
from server.engine.intake import LaneStatus
from server.engine.quarantine import Quarantine
from server.engine.shares import Shares
from server.engine.sharing import Room, Sharing
from server.engine.submission import Stage
from server.fleet.layout.choose import LayoutRequest
from server.fleet.layout.placement import LayoutChoice, LayoutPlan, LayoutSettings, Placement, decoders, lay_out
from server.fleet.pool import Patience, Pool, PoolFailed
from server.models.card import find_model
from server.models.digest import digest
from server.models.errors import ModelError
from server.models.kept import kept
from server.settings import Settings, derived

_LEAST_S = 1e-4  # that an image costs its owner, whatever was measured


class Common(NamedTuple):
    """What all lanes of an engine share."""

    settings: Settings
    placement: Placement
    memory: int
    """Bytes that this process and its workers may use."""
    max_bytes: int
    clock: Callable[[], float]
    cache: MemoryCache
    store: Store | None
    shares: Shares
    beyond: Counter[str]
    """Images beyond their owner's share, by outcome, as `Status.beyond_share`."""
    turns: Turns | None
    """At the cores; None where there is one lane for good."""
    tasks: TaskGroup
    """For what goes on beside."""


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """What a lane serves, and how."""

    name: str
    version: str
    path: Path
    slo_s: float
    share: float = 1.0
    """Its part of the cores, relative to the others'."""
    workers: int | None = None
    """Processes; None is what the settings say, or measurement."""
    candidate: bool = False
    """Loaded beside others: from a copy of its own, by one worker after the other, and given up at the first failure.
    It measures no layout, which would disturb what is served meanwhile."""
    patience_s: float | None = None
    """For a worker to be ready; None is the pool's own."""


class Lane:
    """Serves one version while its task runs. `failure`: why it could not go on; empty while it can.

    The whole state: what `serve` opens, set once; whether it drains or is to end; and why it has failed.
    """

    def __init__(self, spec: LaneSpec, common: Common) -> None:
        self.spec = spec
        self.slo_s = spec.slo_s
        self.failure = ""
        self.over = anyio.Event()
        """Set when everything of it has ended, by whoever serves it."""
        self.draining = False
        self.batcher: Batcher[Task, Reply]
        self.pool: Pool
        self.first: Stage
        self.sharing: Sharing
        self.remembering: Remembering
        self._common = common
        self._ending = anyio.Event()
        self._scope = anyio.CancelScope()

    def __repr__(self) -> str:
        return f"Lane({self.spec.name}, {self.spec.version})"

    def now(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return self._common.clock()

    async def serve(self, started: Callable[[], None]) -> None:
        """Serve until told to end; `started` is called once tasks can be submitted. Sets `failure` where its workers
        cannot be kept alive. Raises `ModelError`, before it has started.

        Cancellation: ends its workers at once; what they had is failed.
        """
        try:
            with self._scope:
                async with AsyncExitStack() as stack:
                    await self._open(stack)
                    started()
                    await self._ending.wait()
        except* PoolFailed as group:
            self.failure = str(leaves(group)[0])

    async def drain(self) -> None:
        """Refuse new tasks from now on; wait until the accepted ones have ended."""
        self.draining = True
        await self.batcher.drain()

    def end(self) -> None:
        """End, once what is accepted has been answered."""
        self._ending.set()

    def abort(self) -> None:
        """End now."""
        self._scope.cancel()

    @property
    def metadata(self) -> ModelMetadata | None:
        """What answers; None until the first worker is ready."""
        model = self.pool.model
        return model.result() if model.done() and not model.cancelled() else None

    @property
    def ready(self) -> bool:
        """Whether a worker could take a task now."""
        return not self.failure and bool(self.batcher.stats().executors)

    @property
    def whole(self) -> bool:
        """Whether every worker is ready that there should be."""
        return self.metadata is not None and self.batcher.stats().executors >= self.pool.size

    @property
    def layout(self) -> LayoutChoice:
        """How many workers of how many threads there are, and why. For when the first is ready."""
        return self.pool.decision.result()

    def status(self, stage: str = "serving") -> LaneStatus:
        """A snapshot."""
        pool = self.pool
        return LaneStatus(
            self.spec.name, self.spec.version, stage, self.slo_s, self.batcher.stats(), pool.size, dict(pool.restarts),
            self.metadata, pool.differences, pool.separated, self.remembering.stats(),
        )  # fmt: skip

    # -- inside --------------------------------------------------------------------------------------

    async def _open(self, stack: AsyncExitStack) -> None:
        spec, common = self.spec, self._common
        settings = common.settings
        model = spec.path
        if spec.candidate:
            model = await anyio.to_thread.run_sync(stack.enter_context, kept(model))
        plan = await self._plan(model)
        policy = Policy(settings.queue.max_batch, spec.slo_s, settings.queue.max_queue, common.max_bytes)
        batcher = Batcher[Task, Reply](
            policy=policy, clock=common.clock, turns=common.turns, share=spec.share, cores=_cores(plan)
        )
        self.batcher = await stack.enter_async_context(batcher)
        load = load_for(settings, model, common.placement, plan)
        load = msgspec.structs.replace(load, digest=await anyio.to_thread.run_sync(_digest, model))
        growth = derived.worker_growth(settings.worker, settings.upload, common.memory, plan.workers)
        quarantine = self._stages()
        patience = Patience(spec.patience_s, give_up_at_once=True) if spec.candidate else Patience()
        self.pool = await stack.enter_async_context(Pool(self.batcher, load, plan, growth, quarantine.lost, patience))

    async def _plan(self, model: Path) -> LayoutPlan:
        settings, spec = self._common.settings, self.spec
        asked = LayoutRequest(spec.workers or settings.worker.workers, settings.worker.threads)
        wish = LayoutSettings(asked, model, settings.worker.profile_folder, spec.slo_s, settings.queue.max_batch)
        plan = await lay_out(wish, self._common.placement)
        if not spec.candidate:
            return plan
        decision = plan.decision or LayoutChoice(plan.layouts[0], 0, "one thread per worker, beside other models")
        return replace(plan, decision=replace(decision, in_turn=True))

    def _stages(self) -> Quarantine:
        """Make the stages that a task passes. Gives the first."""
        common = self._common
        beside = SharedCache(common.store, common.tasks, self._served) if common.store else None
        flights = Flights(self.batcher, common.clock, beside)
        room = Room(max(1, common.settings.queue.max_queue // 2), max(1, common.max_bytes // 2))
        self.sharing = Sharing(flights, common.shares, self._cost_s, common.clock, room, common.beyond)
        self.remembering = Remembering(self.sharing, common.cache, self._served, beside, common.clock)
        self.first = quarantine = Quarantine(self.remembering)
        return quarantine

    def _served(self) -> ModelMetadata | None:
        return self.metadata

    def _cost_s(self, prepare_s: float) -> float:
        """Seconds of a worker that an image takes in a batch that pays."""
        model = self.batcher.cost_model
        return max(_LEAST_S, model.slowdown * (prepare_s * model.prep_factor + model.batch_run_s / model.batch))


def load_for(settings: Settings, model: Path, place: Placement, plan: LayoutPlan) -> Load:
    """What each worker is told to serve."""
    return Load(
        model=str(model),
        max_batch=settings.queue.max_batch,
        max_pixels=settings.upload.max_pixels,
        provider=place.provider,
        device=place.device,
        decoders=decoders(plan.workers),
        cuda_graphs=settings.worker.cuda_graphs and place.provider == "cuda",
        gpu_memory_limit=settings.worker.gpu_memory_limit or 0,
        precision=settings.worker.precision if place.provider == "cuda" else "model",  # CPUs only lose by float16
    )


def _cores(plan: LayoutPlan) -> int:
    """What each worker uses, of those that take turns; on a GPU a worker counts as one."""
    return plan.decision.layout.threads if plan.decision else 1


def _digest(model: Path) -> str:
    """Of the model as it is now, which all workers are to serve; empty if it cannot be read: they will say why."""
    try:
        return digest(find_model(model).model_file)
    except (ModelError, OSError):
        return ""
