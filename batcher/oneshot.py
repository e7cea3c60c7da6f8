"""A oneshot: one sender, one receiver, answered exactly once."""

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

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
    """The receiver waits, once; the sender settles. Bound to the running event loop, not thread-safe."""

    # CORRECTNESS: an error is kept beside the future, until it is raised. A future would keep it, and by the frames
    # in its traceback itself and the item: garbage that only the collector finds, with every byte of an upload.

    __slots__ = ("_error", "_future")

    def __init__(self) -> None:
        self._future: asyncio.Future[R | None] = asyncio.get_running_loop().create_future()
        self._error: Exception | None = None

    @property
    def done(self) -> bool:
        """Answered, or abandoned by its receiver."""
        return self._future.done()

    def settle(self, outcome: Result[R] | Failed) -> bool:
        """Answer the receiver; False if it has been answered already or has left."""
        if self._future.done():
            return False
        if isinstance(outcome, Failed):
            self._error = outcome.error
            self._future.set_result(None)
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
        value = await self._future
        if self._error is not None:
            raise self._take_error()
        return cast(R, value)

    def _take_error(self) -> Exception:
        error, self._error = self._error, None
        assert error is not None
        return error
