"""Dynamic batching with oneshot futures, for any asyncio program.

    async with Batcher(run_batch, Policy(max_batch=8, slo_s=0.5)) as batcher:
        answer = await batcher.submit(item)

Knows nothing of numbers, images, HTTP or processes.
"""

from batcher.core import Batcher
from batcher.entry import Entry, Stage
from batcher.errors import (
    BatcherClosed,
    BatcherError,
    BatchFailed,
    DeadlineExceeded,
    NoRunner,
    QueueFull,
    Refused,
    RetriesExhausted,
    WouldBeLate,
)
from batcher.margins import Errors
from batcher.oneshot import Again, Failed, Oneshot, Result
from batcher.policy import Policy
from batcher.profile import Profile
from batcher.seat import Runner, Seat
from batcher.stats import Stats
from batcher.ticket import Ticket

__all__ = [
    "Batcher",
    "Policy",
    "Ticket",
    "Runner",
    "Seat",
    "Entry",
    "Stage",
    "Result",
    "Failed",
    "Again",
    "Oneshot",
    "Profile",
    "Stats",
    "Errors",
    "BatcherError",
    "Refused",
    "QueueFull",
    "WouldBeLate",
    "NoRunner",
    "BatcherClosed",
    "BatchFailed",
    "DeadlineExceeded",
    "RetriesExhausted",
]
