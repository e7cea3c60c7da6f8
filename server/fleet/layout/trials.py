"""Having workers run batches at the same time, and what that makes a layout worth."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from statistics import fmean
from typing import Any, TypeVar

import msgspec

from server.contract.wire import Trial, TrialResult
from server.fleet.layout.choose import Layout, Row
from server.fleet.worker import Worker

_HEAD_START_S = 0.002  # for the order to reach all of them

T = TypeVar("T")


async def run_together(workers: Sequence[Worker], threads: int, size: int, seconds: float) -> list[TrialResult]:
    """Let all of them decode and run batches of `size` for `seconds`, and two at least.

    Raises `TrialImpossible`, `WorkerLost`. Cancellation: they go on to the end of it.
    """
    trial = Trial(threads, size, time.monotonic() + _HEAD_START_S, seconds)
    return await all_of([worker.try_out(trial) for worker in workers])


async def all_of(waits: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Wait for each, also where one raises: no worker may be left with an order unanswered. Raises the first."""
    results = await asyncio.gather(*waits, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def row_of(layout: Layout, size: int, tried: Sequence[TrialResult], lone_s: float, memory: int = 0) -> Row:
    """What the workers of a layout did at the same time."""
    return Row(
        workers=layout.workers,
        threads=layout.threads,
        batch=size,
        rate=sum(size / one.batch_s for one in tried),
        batch_s=max(one.batch_s for one in tried),
        lone_s=lone_s,
        cpu_s=fmean(one.cpu_s for one in tried) / size,
        memory=memory,
    )


def better(one: Row, other: Row) -> Row:
    """Of two looks at the same, the faster: what disturbs one makes it slower. The lone latency likewise."""
    faster = max(one, other, key=lambda row: row.rate)
    return msgspec.structs.replace(faster, lone_s=min(one.lone_s, other.lone_s))
