"""The worker processes: kept alive, replaced when they die, given up when that is hopeless."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
import structlog

from batcher import Batcher
from server.contract.answer import Reply
from server.contract.metadata import ModelMetadata
from server.contract.task import Task
from server.contract.wire import Load, Ready
from server.fleet.layout.benchmark import benchmark_layouts
from server.fleet.layout.placement import LayoutChoice, LayoutPlan, decoders, scaled_to_gpu
from server.fleet.process import WorkerProcess
from server.fleet.succession import Death, GiveUp, after, expected_ready
from server.fleet.watch import Verdict, Watch
from server.fleet.worker import CannotLoad, Worker, WorkerLost
from server.process.cpus import usable_cpus

_LOOK_S = 0.1  # at a worker that starts
_LONGEST_START_S = 300.0  # large models take long to load; none takes that long

_LOST = {"crash": "crashed while it loaded the model", "hang": "was not ready within"}

log = structlog.stdlib.get_logger("tureen.pool")


class PoolFailed(Exception):
    """No worker can be brought up; the message says why. Serving makes no sense any more."""


@dataclass(frozen=True, slots=True)
class WorkerActivity:
    """What one worker does now, for people."""

    name: str
    pid: int
    state: str
    """`starting`, `idle`, `working` or `retiring`."""
    held: int
    """Images it has."""
    quiet_s: float
    """Seconds since it last said anything; meaningless without images."""


class Patience(NamedTuple):
    """How a pool treats workers that do not get ready."""

    start_s: float | None = None
    """Seconds for one to be ready; None is five minutes."""
    give_up_at_once: bool = False
    """Raise `PoolFailed` for the first one that is lost before any was ready."""


_PATIENT = Patience()


class Pool:
    """Keeps workers alive while it is entered; leaving it ends them. The plan or the start-up benchmark says how many.

    A worker that dies is replaced, after a pause that doubles while lives are futile. A model that cannot be loaded at
    the start, or five futile lives in a row at the place of every worker, raise `PoolFailed` out of the pool's task
    group, which cancels whoever entered it; but a worker that the decision calls spare is skipped.
    """

    def __init__(
        self,
        batcher: Batcher[Task, Reply],
        load: Load,
        plan: LayoutPlan,
        max_growth: int,
        on_loss: Callable[[Sequence[Task]], None] = lambda _: None,
        patience: Patience = _PATIENT,
    ) -> None:
        """`load`: all but the layout, which `plan` gives. `max_growth`: bytes by which a worker may outgrow what it
        was when ready before it is replaced. `on_loss` is told what each worker that died had in hand."""
        self._batcher = batcher
        # GPU workers have no ceiling: CUDA's own mappings would count.
        self._load = msgspec.structs.replace(load, memory_growth=max_growth if load.provider == "cpu" else 0)
        self._plan = plan
        self._size = plan.workers
        self._devices = plan.devices
        self._absent: set[int] = set()  # places whose GPU could not be used yet
        self._spare = 0
        self._in_turn = plan.decision is not None and plan.decision.in_turn
        self._opening = asyncio.Semaphore(1 if self._in_turn else plan.workers)
        self._max_growth = max_growth
        self._on_loss = on_loss
        self._longest_start_s = patience.start_s or _LONGEST_START_S
        self._give_up_at_once = patience.give_up_at_once
        self._tasks = asyncio.TaskGroup()
        self._bringing_up: asyncio.Task[None]
        self._keepers: list[asyncio.Task[None]] = []
        self._decided: LayoutChoice
        self._start_s = 0.0
        self._ready: set[int] = set()  # places whose workers serve
        self._futile: dict[int, int] = {}  # lives in a row that came to nothing, by place
        self._due: dict[int, float] = {}  # when successors should be ready, by place
        self._workers: set[Worker] = set()
        self._running: dict[int, WorkerProcess] = {}  # by place
        self.differences = 0
        """How often an image was answered otherwise in a batch than alone."""
        self.separated = False
        """Whether images are run one at a time for that."""
        self.restarts: Counter[str] = Counter()
        self.model: asyncio.Future[ModelMetadata] = asyncio.get_running_loop().create_future()
        self.decision: asyncio.Future[LayoutChoice] = asyncio.get_running_loop().create_future()

    @property
    def size(self) -> int:
        """How many workers there should be; as long as that is not decided, how many are started. Those whose GPU
        cannot be used are left out."""
        return self._size - len(self._absent)

    def activity(self) -> tuple[WorkerActivity, ...]:
        """What each worker does now."""
        now = time.monotonic()
        return tuple(
            WorkerActivity(
                str(number), one.pid, _state(one.worker, number in self._ready), one.worker.held,
                round(now - one.worker.heard, 3),
            )
            for number, one in sorted(self._running.items())
        )  # fmt: skip

    async def _bring_up(self) -> None:
        """Decide on the layout and keep as many workers: those of the start-up benchmark, if there was one."""
        running: Sequence[WorkerProcess] = ()
        if not (decision := self._plan.decision):
            try:
                decision, running = await benchmark_layouts(
                    self._batcher, self._load, self._plan, self._longest_start_s
                )
            except CannotLoad as error:
                raise PoolFailed(str(error)) from error
        self._load = msgspec.structs.replace(self._load, threads=decision.layout.threads, batch=decision.batch)
        self._lay_out(decision, running)

    def _lay_out(self, decision: LayoutChoice, running: Sequence[WorkerProcess] = ()) -> None:
        """Keep as many workers as that says. The first of those that have no keeper yet are `running` already."""
        workers, threads = decision.layout
        log.info("layout", workers=workers, threads=threads, why=decision.why)
        self._decided = decision
        self._size, self._spare = workers, decision.spare
        numbers = range(len(self._keepers), workers)
        for number, first in zip_longest(numbers, running):
            self._keepers.append(self._tasks.create_task(self._keep(number, first), name=f"worker {number}"))

    async def _keep(self, number: int, first: WorkerProcess | None) -> None:
        """Keep one worker alive for good; `first` runs already."""
        self._futile[number] = 0
        served = False  # one of them has
        while True:
            try:
                death = await self._live(number, first)
            except CannotLoad as error:
                if not served and not self._devices:
                    return self._leave_out(number, error)
                if not served:
                    self._put_off(number, error)
                death = Death(False, 0, 0.0, "load", str(error))
            first = None
            served |= death.was_ready
            await self._succeed(number, death)

    async def _succeed(self, number: int, death: Death) -> None:
        """Wait until another worker is to be started. Raises `PoolFailed`."""
        if self._give_up_at_once and not self.model.done() and death.reason != "load":
            raise PoolFailed(f"its worker {_LOST[death.reason]} {death.detail}".strip())
        self._futile[number] = self._futile[number] + 1 if death.futile else 0
        others = [futile for place, futile in self._futile.items() if place != number]
        decision = after(death, self._futile[number], others)
        if death.reason != "load":
            said = {"reason": death.reason, "ready_before": death.was_ready, "held": death.held}
            log.warning("worker_died", worker=number, **said)
        if isinstance(decision, GiveUp):
            raise PoolFailed(decision.reason)
        if death.reason == "load":
            log.warning("worker_cannot_load", worker=number, reason=death.detail, again_s=decision.pause_s)
        else:
            self.restarts[death.reason] += 1
        if death.was_ready:
            self._due[number] = time.monotonic() + decision.pause_s + self._start_s
        self._expect()
        await asyncio.sleep(decision.pause_s)

    def _expect(self) -> None:
        """Tell the batcher when a worker will be ready, if none is."""
        if not self._ready:
            now = time.monotonic()
            expected = (expected_ready(now, due, self._start_s) for due in self._due.values())
            self._batcher.expect_executor(min((at for at in expected if at is not None), default=None))

    def _leave_out(self, number: int, error: CannotLoad) -> None:
        """Do without a worker. Raises `PoolFailed` if that cannot be."""
        if not (self._spare and self.model.done()):
            raise PoolFailed(f"{error}{self._advice()}") from error
        self._spare -= 1
        self._size -= 1
        del self._futile[number]
        log.warning("worker_skipped", worker=number, reason=str(error))

    def _put_off(self, number: int, error: CannotLoad) -> None:
        """Go on without a worker until its GPU can be used. Raises `PoolFailed` if none can."""
        self._absent.add(number)
        if not self.model.done() and len(self._absent) == len(self._keepers):
            raise PoolFailed(str(error)) from error

    def _load_of(self, number: int) -> Load:
        """What the worker at a place is told: its own GPU, where there are several."""
        if not self._devices:
            return self._load
        return msgspec.structs.replace(self._load, device=self._devices[number % len(self._devices)])

    def _advice(self) -> str:
        """For the operator who asked for several workers on a GPU, where one of them has loaded the model."""
        several = self._in_turn and self._size > 1 and self.model.done()
        return f"; one worker has loaded it: start with fewer than --workers {self._size}" if several else ""

    async def _live(self, number: int, running: WorkerProcess | None) -> Death:
        """One worker's life, the rest of it if it runs. Raises `CannotLoad`."""
        started = time.monotonic()
        try:
            async with self._opening:
                running = running or await WorkerProcess.start(self._batcher, self._load_of(number))
                worker, started = running.worker, running.started
                worker.on_dependent = self._on_dependent
                self._workers.add(worker)
                self._running[number] = running
                ready = await self._until_ready(worker)
            self._welcome(number, ready, time.monotonic() - started)
            notes, seconds = ready.model.notes, round(self._start_s, 3)
            if self._devices:
                notes = (*notes, f"on GPU {self._load_of(number).device}")
            log.info("worker_ready", worker=number, pid=running.pid, seconds=seconds, grant=ready.grant, notes=notes)
            reason = await self._watched(number, running)
            if not worker.overspent:  # else it is known which image it was
                self._on_loss(worker.lost_with)
            return Death(True, len(worker.lost_with), time.monotonic() - started, reason)
        except WorkerLost:
            return Death(False, 0, time.monotonic() - started, "crash", await _ended(running))
        except TimeoutError:
            if running:
                running.kill()
            return Death(False, 0, time.monotonic() - started, "hang", f"{self._longest_start_s:g} s")
        finally:
            self._ready.discard(number)
            self._due.pop(number, None)
            self._running.pop(number, None)
            if running:
                self._workers.discard(running.worker)
                await running.end()
                log.info("worker_ended", worker=number, pid=running.pid, exit=running.exit)

    async def _until_ready(self, worker: Worker) -> Ready:
        """What the worker says when it is ready. Raises `TimeoutError`, `CannotLoad`, `WorkerLost`."""
        async with asyncio.timeout(self._longest_start_s):
            while not worker.ready.done():
                self._expect()
                await asyncio.wait([worker.ready], timeout=_LOOK_S)
            return await worker.ready

    def _welcome(self, number: int, ready: Ready, start_s: float) -> None:
        self._ready.add(number)
        self._absent.discard(number)
        self._start_s = start_s
        self._batcher.expect_executor(time.monotonic())  # should all die: until that is noticed, any moment
        if not self.model.done():
            self._feed(ready.batch_seconds)
            for warning in ready.model.warnings:
                log.warning("model_doubtful", reason=warning)
            self.model.set_result(ready.model)
            self.decision.set_result(self._decided)

    def _on_dependent(self, reason: str, separate: bool) -> None:
        """A worker has seen that images of a batch depend on each other. If it left batches for that, so do all."""
        self.differences += 1
        log.warning("answer_differs_in_batch", reason=reason)
        if not separate or self.separated:
            return
        self.separated = True
        self._load = msgspec.structs.replace(self._load, max_batch=1, batch=1)
        self._batcher.limit_batch(1)
        for worker in self._workers:
            worker.separate()
        log.warning("one_image_at_a_time", reason=reason, workers=len(self._workers))

    def _feed(self, batch_seconds: Mapping[int, float]) -> None:
        """By what the first worker measured: more of them, if that many are needed beside a GPU."""
        rate = max((size / seconds for size, seconds in batch_seconds.items()), default=0.0)
        if (decision := scaled_to_gpu(self._decided, rate, usable_cpus(), len(self._devices) or 1)) != self._decided:
            self._load = msgspec.structs.replace(self._load, decoders=decoders(decision.layout.workers))
            self._lay_out(decision)

    def _on_retired(self, number: int) -> None:
        """A worker takes nothing more: its successor is started when it has ended."""
        self._ready.discard(number)
        self._due[number] = time.monotonic() + self._start_s
        self._expect()

    async def _watched(self, number: int, running: WorkerProcess) -> str:
        """Wait until the worker is lost; the reason."""
        watch = Watch(running, self._max_growth, partial(self._on_retired, number))
        watching = asyncio.ensure_future(watch.run())
        try:
            await running.worker.lost.wait()
            if watch.verdict is Verdict.WELL:
                return "cpu" if running.worker.overspent else "crash"
            reason: str = watch.verdict.value
            return reason
        finally:
            watching.cancel()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._bringing_up = self._tasks.create_task(self._bring_up(), name="bring up")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._bringing_up, *self._keepers):
            task.cancel()
        await self._tasks.__aexit__(kind, error, trace)


async def _ended(running: WorkerProcess | None) -> str:
    """By which signal a worker has ended, for people; nothing if by none."""
    if running is None:
        return ""
    await running.end()
    return f"({signal.Signals(-running.exit).name})" if running.exit and running.exit < 0 else ""


def _state(worker: Worker, ready: bool) -> str:
    if worker.retiring:
        return "retiring"
    return ("working" if worker.held else "idle") if ready else "starting"
