"""Work that goes on beside something else, for as long as that is entered."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def background(work: Callable[[], Awaitable[None]], name: str) -> AsyncIterator[None]:
    """Run `work` while entered; leaving cancels it and waits for its end.

    What it raises cancels whoever entered, and is raised as a group.

    CORRECTNESS: leaving cancels `work` alone. `TaskGroup.cancel_scope.cancel()` would cancel the leaving task as well,
    and anyio takes that back only if nothing else has left a cancellation request on the task: on Python 3.11 an
    `asyncio.TaskGroup` whose child fails while it is left does so.
    """
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await work()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, name=name)
        try:
            yield
        finally:
            scope.cancel()
