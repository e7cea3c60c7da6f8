"""A oneshot: one sender, one receiver, answered exactly once."""

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Result(Generic[R]):
    """The item's answer."""

    value: R


@dataclass(frozen=True, slots=True)
class Failed:
    """The item cannot be answered. `error` is raised to its waiter, so it must be a fresh object."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Again:
    """The item has not been run: it goes back to the queue. `lost`: the runner was lost with it in hand."""

    reason: str
    lost: bool = False


class Oneshot(Generic[R]):
    """The receiver waits; the sender settles. Bound to the running event loop, not thread-safe."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    @property
    def done(self) -> bool:
        """Answered, or abandoned by its receiver."""
        return self._future.done()

    def settle(self, outcome: Result[R] | Failed) -> bool:
        """Answer the receiver; False if it has been answered already or has left."""
        if self._future.done():
            return False
        if isinstance(outcome, Failed):
            self._future.set_exception(outcome.error)
        else:
            self._future.set_result(outcome.value)
        return True

    def abandon(self) -> bool:
        """The receiver leaves; False if it had its answer already."""
        return self._future.cancel()

    async def wait(self) -> R:
        """Wait for the answer.

        Raises the error the oneshot was settled with. Cancellation: abandons the oneshot.
        """
        return await self._future
