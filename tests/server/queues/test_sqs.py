"""The SQS source against a server that keeps SQS's rules."""

import itertools
import time

import pytest

from server.queues.source import QueueFailed
from server.queues.sqs import SqsQueue
from tests.aws import free_port

pytestmark = pytest.mark.anyio
numbers = itertools.count()


@pytest.fixture
def urls(cloud):
    return cloud.queue_with_dead_letters(f"sqs-{next(numbers)}")


async def test_a_message_is_received_once_and_finished(cloud, urls):
    """With its age, and how often it was delivered."""
    source = SqsQueue(urls[0])
    await source.publish("one")
    (delivery,) = await source.receive(10)
    depth = await source.depth()
    await source.finish(delivery)

    assert ("one", 1, 0) == (delivery.body, delivery.receives, depth)
    assert abs(time.time_ns() / 1e9 - delivery.sent_s) < 60
    assert 0 == cloud.left(urls[0])


async def test_what_is_put_back_is_delivered_again(urls):
    """And counted."""
    source = SqsQueue(urls[0])
    await source.publish("one")
    (first,) = await source.receive(10)
    await source.put_back(first, 0)
    (second,) = await source.receive(10)

    assert (1, 2) == (first.receives, second.receives)


async def test_what_is_extended_is_not_delivered_meanwhile(urls):
    """Beyond the visibility with which it was received."""
    source, longer = SqsQueue(urls[0], visibility_s=1), SqsQueue(urls[0], visibility_s=30)
    await source.publish("one")
    held = await source.receive(10)
    await longer.extend(held)

    assert [] == list(await source.receive(10))  # it polls for two seconds


async def test_dead_letters_say_why(cloud, urls):
    """In the queue that the redrive policy names."""
    source = SqsQueue(urls[0])
    await source.publish("one")
    (delivery,) = await source.receive(10)

    assert await source.bury(delivery, "part", "not_an_image")
    (message,) = cloud.take_all(urls[1])
    assert ("part", "not_an_image") == (message["Body"], message["MessageAttributes"]["reason"]["StringValue"])


async def test_a_queue_without_dead_letters_says_so(cloud):
    """Then nothing is buried."""
    source = SqsQueue(cloud.queue(f"sqs-{next(numbers)}"))
    await source.publish("one")
    (delivery,) = await source.receive(10)

    assert not await source.bury(delivery, "one", "x")


async def test_failures_are_told_apart(cloud):
    """No such queue, and no server."""
    with pytest.raises(QueueFailed) as refused:
        await SqsQueue(f"{cloud.endpoint}/000000000000/none").receive(1)
    with pytest.raises(QueueFailed) as unreachable:
        await SqsQueue(f"http://127.0.0.1:{free_port()}/0/none").publish("x")

    assert ("refused", "unreachable") == (refused.value.reason, unreachable.value.reason)
