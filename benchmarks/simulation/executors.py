"""Executors in virtual time, built as the server's workers are: two stages, in line on a CPU, side by side on a GPU."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from random import Random

from batcher import Batcher, Job, Result
from benchmarks.simulation.machines import RUN_NOISE, Machine, Trouble, noisy
from benchmarks.simulation.traffic import Arrival

STALL_OF_SLO = 0.2


class World:
    """What is true whatever the batcher believes: how fast the machine is now, and when its executors were busy."""

    def __init__(self, machine: Machine, trouble: Trouble, length_s: float, random: Random) -> None:
        self.machine = machine
        self.trouble = trouble
        self.random = random
        self.slow = tuple(share * length_s for share in trouble.half_speed)
        self.busy: list[list[tuple[float, float]]] = []
        """For each executor its stretches of work, in order; of a device, what it ran."""
        self.decoding: list[list[list[tuple[float, float]]]] = [
            [[] for _ in range(machine.threads)] for _ in range(machine.executors)
        ]
        """For each executor the same of each thread that decodes beside its device."""

    def speed(self, when: float) -> float:
        """Seconds that take a second of work."""
        return 2.0 if self.slow[0] <= when < self.slow[1] else 1.0

    def run_s(self, count: int, when: float, executor: int) -> float:
        """What a batch takes at this executor."""
        seconds = (
            noisy(self.random, self.machine.run_s(count), RUN_NOISE) * self.speed(when) * self.trouble.pace(executor)
        )
        if self.random.random() < self.trouble.stalls:
            seconds += STALL_OF_SLO * self.machine.slo_s
        return seconds


class SimulatedExecutor:
    """One executor: a `batcher.Executor` whose work is sleep."""

    def __init__(self, batcher: Batcher[Arrival, None], world: World, tasks: asyncio.TaskGroup, number: int) -> None:
        self._world = world
        self._machine = world.machine
        self._number = number
        self._inbox: deque[Job[Arrival, None]] = deque()
        self._filled: deque[tuple[Job[Arrival, None], float]] = deque()
        self._came, self._ready = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._busy = world.busy[number]
        self._slot = batcher.attach(self, parallel_preprocessing=self._machine.threads)
        self._slot.grant(self._machine.grant)
        self._tasks = [tasks.create_task(stage) for stage in self._stages()]

    def send(self, jobs: Sequence[Job[Arrival, None]]) -> None:
        self._inbox.extend(jobs)
        self._came.set()

    def drop(self, job: Job[Arrival, None]) -> None:
        """What nobody waits for is run like the rest: the worst an executor may do."""

    def die(self) -> None:
        """As a process that is killed."""
        for task in self._tasks:
            task.cancel()
        self._slot.close("killed")

    def _stages(self) -> list[Coroutine[None, None, None]]:
        if not self._machine.threads:
            return [self._engine()]
        return [self._device(), *map(self._fill, self._world.decoding[self._number])]

    async def _take(self) -> Job[Arrival, None]:
        while not self._inbox:
            self._came.clear()
            await self._came.wait()
        return self._inbox.popleft()

    async def _decode(self, job: Job[Arrival, None]) -> tuple[Job[Arrival, None], float]:
        seconds = job.item.decode_s * self._world.speed(self._loop.time()) * self._world.trouble.pace(self._number)
        await asyncio.sleep(seconds)
        return job, seconds

    async def _engine(self) -> None:
        while True:
            filled = [await self._decode(await self._take())]
            while self._inbox and len(filled) < self._machine.batch:
                filled.append(await self._decode(self._inbox.popleft()))
            await self._run(filled, sum(seconds for _, seconds in filled))

    async def _fill(self, busy: list[tuple[float, float]]) -> None:
        while True:
            job, seconds = await self._decode(await self._take())
            self._filled.append((job, seconds))
            busy.append((self._loop.time() - seconds, self._loop.time()))
            self._ready.set()

    async def _device(self) -> None:
        while True:
            while not self._filled:
                self._ready.clear()
                await self._ready.wait()
            await self._run([self._filled.popleft() for _ in range(min(len(self._filled), self._machine.batch))], 0.0)

    async def _run(self, filled: list[tuple[Job[Arrival, None], float]], decoded_s: float) -> None:
        begun = self._loop.time()
        seconds = self._world.run_s(len(filled), begun, self._number)
        await asyncio.sleep(seconds)
        self._busy.append((begun - decoded_s, begun + seconds))
        self._slot.observe_batch(len(filled), seconds)
        for job, decode_s in filled:
            self._slot.finish(job, Result(None), decode_s)
