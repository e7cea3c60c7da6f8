"""Work that goes on beside something else, for as long as that is entered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup, TaskStatus


@asynccontextmanager
async def background() -> AsyncIterator[TaskGroup]:
    """A task group for such work; leaving cancels what still runs in it, and waits for its end.

    What one of its tasks raises cancels whoever entered, and is raised in a group.

    CORRECTNESS: leaving cancels these tasks alone. `TaskGroup.cancel_scope.cancel()` would cancel the leaving task as
    well, and anyio takes that back only if nothing else has left a cancellation request on the task: on Python 3.11 an
    `asyncio.TaskGroup` whose child fails while it is left does so.
    """
    scope = anyio.CancelScope()

    async def run(*, task_status: TaskStatus[TaskGroup]) -> None:
        with scope:
            async with anyio.create_task_group() as inner:
                task_status.started(inner)
                await anyio.sleep_forever()

    async with anyio.create_task_group() as outer:
        inner: TaskGroup = await outer.start(run)
        try:
            yield inner
        finally:
            scope.cancel()
