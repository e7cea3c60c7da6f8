"""The Kafka source against a broker of its protocol; and which offsets it commits."""

import pytest
from aiokafka import AIOKafkaConsumer

from server.queues.kafka import kafka_publisher, kafka_queue, where
from server.queues.offsets import Offsets
from server.queues.source import QueueFailed
from tests.aws import free_port
from tests.kafka import broker


def test_the_lowest_unfinished_offset_is_committed():
    """Whatever is finished above it; and once."""
    offsets = Offsets()
    assert offsets.to_commit() is None
    for offset in range(5, 9):
        offsets.take(offset)
    offsets.finish(6)
    first = offsets.to_commit()
    offsets.committed(5)
    again = offsets.to_commit()
    for offset in (5, 8):
        offsets.finish(offset)

    assert (5, None, 7) == (first, again, offsets.to_commit())
    offsets.finish(7)
    assert 9 == offsets.to_commit()


def test_a_url_names_servers_and_topic():
    """Several servers, too."""
    assert ("h:1,i:2", "t") == where("kafka://h:1,i:2/t")


async def received(queue, count):
    found = []
    while len(found) < count:
        found += await queue.receive(10)
    return found


async def read_one(server, topic):
    async with AIOKafkaConsumer(topic, bootstrap_servers=server, auto_offset_reset="earliest") as consumer:
        return await consumer.getone()


@pytest.mark.long
@pytest.mark.anyio
async def test_what_is_not_finished_is_delivered_to_the_next_reader():
    """With all that came after it; what is put back is delivered again, and counted; dead letters say why."""
    with broker() as server:
        url = await server.topic("t")
        async with kafka_publisher(url) as publisher:
            for number in range(4):
                await publisher.publish(str(number))
        async with kafka_queue(url, "") as queue:
            first = await received(queue, 4)
            await queue.finish(first[0])
            await queue.finish(first[2])
            await queue.put_back(first[1], 0)
            (again,) = await received(queue, 1)
            assert await queue.bury(first[3], "part", "not_an_image")
            depth = await queue.depth()
        async with kafka_queue(url, "") as queue:
            second = await received(queue, 3)
        dead = await read_one(server.server, "t.dead-letters")

    assert (["0", "1", "2", "3"], ["1", "2", "3"]) == ([one.body for one in first], [one.body for one in second])
    assert ("1", 2) == (again.body, again.receives)
    assert 3 == depth
    assert (b"part", b"not_an_image") == (dead.value, dict(dead.headers)["reason"])


@pytest.mark.anyio
async def test_a_server_that_is_away_is_unreachable():
    """Not refused: it will come back."""
    with pytest.raises(QueueFailed) as caught:
        async with kafka_publisher(f"kafka://127.0.0.1:{free_port()}/t"):
            pass

    assert "unreachable" == caught.value.reason
