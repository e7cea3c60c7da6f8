"""One sender, one receiver, one answer."""

import asyncio

import pytest

from batcher import Failed, Result
from batcher.job import Oneshot
from tests.fakes import all_blocked, virtual_time


@virtual_time
async def test_the_receiver_gets_the_answer():
    """It waits until it is there."""
    oneshot = Oneshot()
    waiter = asyncio.create_task(oneshot.wait())
    await all_blocked()

    assert oneshot.settle(Result("A"))
    assert "A" == await waiter


@virtual_time
async def test_the_receiver_gets_the_error():
    """A failure is raised, as the very object."""
    oneshot, error = Oneshot(), KeyError("a")

    assert oneshot.settle(Failed(error))
    with pytest.raises(KeyError) as raised:
        await oneshot.wait()
    assert error is raised.value


@pytest.mark.parametrize("first", [Result("A"), Failed(KeyError())])
@pytest.mark.parametrize("second", [Result("B"), Failed(ValueError())])
@virtual_time
async def test_only_the_first_answer_counts(first, second):
    """A second one is refused, and changes nothing."""
    oneshot = Oneshot()
    oneshot.settle(first)

    assert not oneshot.settle(second)
    if isinstance(first, Failed):
        with pytest.raises(KeyError):
            await oneshot.wait()
    else:
        assert "A" == await oneshot.wait()


@virtual_time
async def test_an_abandoned_oneshot_takes_no_answer():
    """The sender is told that nobody listens, and does not fail."""
    oneshot = Oneshot()

    assert oneshot.abandon()
    assert (True, False) == (oneshot.done, oneshot.settle(Result("A")))


@virtual_time
async def test_an_answered_oneshot_cannot_be_abandoned():
    """The answer is there."""
    oneshot = Oneshot()
    oneshot.settle(Result("A"))

    assert not oneshot.abandon()
    assert "A" == await oneshot.wait()


@virtual_time
async def test_a_cancelled_receiver_abandons():
    """At once, before its task has run again."""
    oneshot = Oneshot()
    waiter = asyncio.create_task(oneshot.wait())
    await all_blocked()

    assert not oneshot.done
    waiter.cancel()
    assert oneshot.done
