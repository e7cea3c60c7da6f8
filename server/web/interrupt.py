"""Ending what a request's task waits for, from outside and with an error of its own."""

import asyncio
from types import TracebackType
from typing import Self

from batcher.cycles import raise_unheld


class Interruptible:
    """A context manager: while it is entered, `interrupt(error)` makes its task raise `error` where it waits.

    Hypercorn and uvicorn do not cancel a handler when its client leaves, and neither limits the time of a body: who
    watches for that interrupts. Cancellation from elsewhere passes through as it is.
    """

    __slots__ = ("_error", "_loop", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[object] | None = None
        self._error: Exception | None = None

    def interrupt(self, error: Exception) -> None:
        """The first one counts; after the context has been left, none does."""
        if self._task and not self._error:
            self._error = error
            self._task.cancel()

    def __enter__(self) -> Self:
        self._task = asyncio.current_task(self._loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        # CORRECTNESS: an interrupt is always seen in here, since it cancels a task that waits inside the context.
        if self._error and task and task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise_unheld(self._taken())
        self._error = None

    def _taken(self) -> Exception:
        error, self._error = self._error, None
        assert error
        error.__cause__ = None  # as `raise ... from None`: that the task was cancelled for it says nothing
        return error
