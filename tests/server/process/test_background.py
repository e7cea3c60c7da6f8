"""Work beside something else, and how it ends."""

import asyncio

import anyio
import pytest

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
        async with background(work, "work"):
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

    async def test():
        with pytest.raises(ExceptionGroup) as raised:
            async with background(work, "work"):
                await anyio.sleep_forever()
        assert ["work"] == [str(error) for error in raised.value.exceptions]

    run(test)


def test_error_of_whoever_entered_ends_the_work():
    """And goes on to whoever waits for it."""

    async def test():
        with pytest.raises(ExceptionGroup) as raised:
            async with background(anyio.sleep_forever, "work"):
                raise ValueError("body")
        assert ["body"] == [str(error) for error in raised.value.exceptions]

    run(test)
