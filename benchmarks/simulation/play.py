"""One run: arrivals, executors and the real batcher, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

from batcher import Batcher, BatcherError, DeadlineExceeded, Policy, Refused
from batcher.stats import Stats
from batcher.testing import VirtualLoop
from benchmarks.simulation.executors import SimulatedExecutor, World
from benchmarks.simulation.machines import MACHINES, TROUBLES, Machine, Trouble
from benchmarks.simulation.traffic import Arrival, arrivals


@dataclass(frozen=True)
class Case:
    """What is simulated."""

    machine: str
    factor: float
    """Offered load, of what the machine can do."""
    pattern: str = "poisson"
    mix: str = "same"
    trouble: str = "none"
    count: int = 1500
    seed: int = 0


@dataclass(frozen=True)
class Run:
    """What came of it."""

    case: Case
    machine: Machine
    world: World
    jobs: list[Arrival]
    stats: Stats
    length_s: float
    down: tuple[tuple[float, float], ...]
    """When one executor was missing."""


def play(case: Case) -> Run:
    """Simulate to the end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_play(case))


async def _play(case: Case) -> Run:
    machine, trouble = MACHINES[case.machine], TROUBLES[case.trouble]
    arriving = arrivals(machine, _seats(machine, trouble), case.factor, case.pattern, case.mix, case.count, case.seed)
    length_s = arriving[-1].arrival
    world = World(machine, trouble, length_s, Random(case.seed + 1))
    loop = asyncio.get_running_loop()
    policy = Policy(max_batch=machine.max_batch, slo_s=machine.slo_s, max_queue=100_000)
    batcher: Batcher[Arrival, None] = Batcher(policy=policy, clock=loop.time)
    async with batcher, asyncio.TaskGroup() as tasks:
        warm_up(batcher, machine)
        world.busy += [[] for _ in range(machine.executors)]
        executors = [SimulatedExecutor(batcher, world, tasks, number) for number in range(machine.executors)]
        killer = tasks.create_task(_kill(executors, batcher, world, tasks, length_s))
        async with asyncio.TaskGroup() as clients:
            for job in arriving:
                await asyncio.sleep(job.arrival - loop.time())
                clients.create_task(_client(batcher, job))
        await batcher.drain()
        killer.cancel()
        for one in executors:
            one.die()
    return Run(case, machine, world, arriving, batcher.stats(), length_s, _down(trouble, length_s))


def warm_up(batcher: Batcher[Arrival, None], machine: Machine) -> None:
    """The profile as workers measure it before they are ready."""
    size = 1
    while size <= machine.max_batch:
        batcher.observe_batch(size, machine.run_s(size))
        size *= 2


async def _client(batcher: Batcher[Arrival, None], job: Arrival) -> None:
    try:
        handle = batcher.enqueue_nowait(job, prep_s=job.prep_s, deadline=job.deadline, urgency=job.urgency)
    except Refused:
        job.outcome = "refused"
        return
    try:
        await handle.wait()
        job.outcome = "on time"
    except Refused:
        job.outcome = "dropped"
    except (DeadlineExceeded, BatcherError):
        job.outcome = "late"


def _seats(machine: Machine, trouble: Trouble) -> float:
    """How many usual ones the executors are together."""
    return sum(1.0 / trouble.pace(executor) for executor in range(machine.executors))


def _down(trouble: Trouble, length_s: float) -> tuple[tuple[float, float], ...]:
    pause_s = min(1.0, length_s / 20)
    return tuple((share * length_s, share * length_s + pause_s) for share in trouble.deaths)


async def _kill(
    executors: list[SimulatedExecutor],
    batcher: Batcher[Arrival, None],
    world: World,
    tasks: asyncio.TaskGroup,
    length_s: float,
) -> None:
    loop = asyncio.get_running_loop()
    for dies, back in _down(world.trouble, length_s):
        await asyncio.sleep(dies - loop.time())
        batcher.expect_executor(back)
        executors.pop(0).die()
        await asyncio.sleep(back - loop.time())
        executors.append(SimulatedExecutor(batcher, world, tasks, 0))
