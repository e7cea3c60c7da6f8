"""What it costs to queue, send and answer an item with few and with many waiting: `python -m benchmarks.queue_cost`.

Interleaved in one run, in nanoseconds of CPU an item; the median of the rounds, and the ratio.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import median

from batcher import Batcher, Job, Policy, Result, Slot

_WAITING = (10, 5000)
_ROUNDS, _ITEMS = 31, 200


class _Hand:
    """An executor that keeps what it is sent."""

    slot: Slot[int, None]

    def __init__(self) -> None:
        self.held: list[Job[int, None]] = []

    def send(self, jobs: Sequence[Job[int, None]]) -> None:
        self.held += jobs

    def drop(self, job: Job[int, None]) -> None:
        pass


async def _fill(batcher: Batcher[int, None], waiting: int) -> _Hand:
    hand = _Hand()
    for _ in range(40):
        batcher.observe_batch(1, 1e-4)
    hand.slot = batcher.attach(hand)
    hand.slot.grant(1)
    for _ in range(waiting + 1):
        batcher.enqueue_nowait(0, prep_s=1e-5, deadline=time.monotonic() + 1e6)
    await asyncio.sleep(0)
    return hand


async def _round(batcher: Batcher[int, None], hand: _Hand) -> float:
    """One in, one out, so that as many wait all the time."""
    started = time.process_time_ns()
    for _ in range(_ITEMS):
        batcher.enqueue_nowait(0, prep_s=1e-5, deadline=time.monotonic() + 1e6)
        hand.slot.finish(hand.held.pop(), Result(None), 1e-5)
        while not hand.held:  # noqa: ASYNC110 - the turns of the loop are what is measured
            await asyncio.sleep(0)
    return (time.process_time_ns() - started) / _ITEMS


async def main() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # nobody asks what became of what waits
    policy = Policy(max_batch=1, max_queue=10_000)
    batchers = [Batcher[int, None](policy=policy) for _ in _WAITING]
    async with asyncio.TaskGroup() as tasks:
        loops = [tasks.create_task(batcher._dispatcher.run()) for batcher in batchers]  # never closed: nobody waits
        hands = [await _fill(*pair) for pair in zip(batchers, _WAITING, strict=True)]
        times: list[list[float]] = [[], []]
        for _ in range(_ROUNDS):
            for number, pair in enumerate(zip(batchers, hands, strict=True)):
                times[number].append(await _round(*pair))
        few, many = map(median, times)
        print(f"{_WAITING[0]} waiting: {few:.0f} ns an item; {_WAITING[1]}: {many:.0f} ns; ratio {many / few:.3f}")
        for one in loops:
            one.cancel()


if __name__ == "__main__":
    asyncio.run(main())
