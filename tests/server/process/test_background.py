"""Work beside something else, and how it ends."""

import asyncio

import anyio
import pytest

from server.engine.groups import leaves
from server.process.background import background


def run(test):
    asyncio.run(asyncio.wait_for(test(), 20))


def test_leaving_ends_the_work_and_not_the_task_that_leaves():
    """Even a task on which somebody has left a cancellation request."""
    ended = []

    async def work():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("work")

    async def test():
        async with background() as tasks:
            tasks.start_soon(work)
            await asyncio.sleep(0)
            asyncio.current_task().cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.sleep(0)
        ended.append("test")

    run(test)
    assert ["work", "test"] == ended


def test_work_that_fails_is_told_to_whoever_entered():
    """At once."""

    async def work():
        raise ValueError("work")

    async def entered():
        async with background() as tasks:
            tasks.start_soon(work)
            await anyio.sleep_forever()

    async def test():
        with pytest.raises(ExceptionGroup) as raised:
            await entered()
        assert ["work"] == [str(error) for error in leaves(raised.value)]

    run(test)


def test_error_of_whoever_entered_ends_the_work():
    """And goes on to whoever waits for it."""

    async def entered():
        async with background() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            raise ValueError("body")

    async def test():
        with pytest.raises(ExceptionGroup) as raised:
            await entered()
        assert ["body"] == [str(error) for error in leaves(raised.value)]

    run(test)
