"""Dynamic batching for any asyncio program, with a deadline for every item.

    async with Batcher(run_batch, Policy(max_batch=8, slo_s=0.5)) as batcher:
        answer = await batcher.submit(item)

Knows nothing of numbers, images, HTTP or processes. `batcher.testing` has virtual time and executors for tests.
"""

from batcher.batcher import Batcher
from batcher.errors import (
    BatcherClosed,
    BatcherError,
    BatchFailed,
    DeadlineExceeded,
    NoExecutor,
    QueueFull,
    Refused,
    RetriesExhausted,
    Unmeetable,
    WouldBeLate,
)
from batcher.executor import Executor, Slot
from batcher.job import Again, Failed, Handle, Job, Result
from batcher.policy import Policy

__all__ = [
    "Batcher",
    "Policy",
    "Handle",
    "Executor",
    "Slot",
    "Job",
    "Result",
    "Failed",
    "Again",
    "BatcherError",
    "Refused",
    "QueueFull",
    "WouldBeLate",
    "Unmeetable",
    "NoExecutor",
    "BatcherClosed",
    "BatchFailed",
    "DeadlineExceeded",
    "RetriesExhausted",
]
