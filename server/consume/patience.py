"""Calls of what may be away for a while: again and again until it is back, or until this is to stop."""

from collections.abc import Callable
from typing import TypeVar

import anyio
import structlog

from server.cleanup.stores import StoreError
from server.consume.errors import Later
from server.queues.source import Publisher, QueueFailed

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 30.0

T = TypeVar("T")

log = structlog.stdlib.get_logger("tureen.consumer")


class Patience:
    """The whole state: `stopping`, `lost`, and whether the last call failed."""

    def __init__(self, threads: int) -> None:
        """`threads`: blocking calls at a time."""
        self.stopping = anyio.Event()
        """When set, what fails is not tried again."""
        self.lost = False
        """Whether the engine has gone; then this is stopping, too."""
        self.limiter = anyio.CapacityLimiter(threads)
        self._failing = False

    def lose_engine(self) -> None:
        """The engine has gone, or takes nothing any more: stop."""
        self.lost = True
        self.stopping.set()

    async def stored(self, call: Callable[[], T]) -> T:
        """What a call of a store gives, in a thread. Raises `Later`."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                done = await anyio.to_thread.run_sync(call, limiter=self.limiter)
            except StoreError as error:
                self._say_failing("store", error.reason, error)
                if error.reason == "refused":  # it may be this object alone
                    raise Later("refused", at_fault=True) from None
                await self.pause(pause_s, "store_failing")
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._say_well()
                return done

    async def published(self, queue: Publisher, body: str) -> None:
        """Have a message in a queue. Raises `Later`."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await queue.publish(body)
            except QueueFailed as error:
                self._say_failing("results", error.reason, error)
                await self.pause(pause_s, "results_failing")
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._say_well()
                return

    async def pause(self, seconds: float, reason: str) -> None:
        """Wait. Raises `Later` once this is to stop."""
        with anyio.move_on_after(seconds):
            await self.stopping.wait()
        if self.stopping.is_set():
            raise Later(reason, at_fault=False)

    def _say_failing(self, what: str, reason: str, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            log.error(f"{what}_failing", reason=reason, error=str(error))

    def _say_well(self) -> None:
        if self._failing:
            self._failing = False
            log.info("storing_again")
