"""Kafka, and what is compatible with it: a consumer group that commits an offset once all below it are finished.

A log delivers in order and takes nothing back. So what is put back waits here for its time; if this process dies first,
or its partition goes to another one, it is delivered there, with all that came after it.
"""

import heapq
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from urllib.parse import urlsplit

import anyio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError, KafkaError, NodeNotReadyError, RequestTimedOutError

from server.queues.offsets import Offsets
from server.queues.source import Delivery, QueueFailed

GROUP = "tureen"
_DEAD = ".dead-letters"
_POLL_S = 1.0
_STOP_S = 5.0  # for saying goodbye to a server that may be away
_LONGEST_IN_HAND_S = 3600.0  # between polls, while everything in hand waits for a store that is away
_UNREACHABLE = (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError, TimeoutError, OSError)


def where(url: str) -> tuple[str, str]:
    """Server and topic of kafka://HOST:PORT/TOPIC."""
    parts = urlsplit(url)
    return parts.netloc, parts.path.strip("/")


class KafkaPublisher:
    """A `Publisher`."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def publish(self, body: str) -> None:
        """As `Publisher.publish`: all replicas in sync have it."""
        await self.send(body)

    async def send(self, body: str, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """As `publish`, with headers."""
        with _told():
            await self._producer.send_and_wait(self._topic, body.encode(), headers=list(headers))


class KafkaQueue(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A `Source`. A handle is PARTITION:OFFSET:ASSIGNMENT.

    The whole state: the offsets and the assignment of each partition that is ours, and what is to be delivered again.
    """

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, dead: KafkaPublisher) -> None:
        self._consumer = consumer
        self._topic = topic
        self._dead = dead
        self._offsets: dict[TopicPartition, Offsets] = {}
        self._turns: dict[TopicPartition, int] = {}
        self._again: list[tuple[float, int, Delivery]] = []
        self._order = count()

    async def receive(self, most: int) -> Sequence[Delivery]:
        """As `Source.receive`: first what was put back and is due, then what is new."""
        await self._commit()
        now = time.monotonic()
        due: list[Delivery] = []
        while self._again and len(due) < most and self._again[0][0] <= now:
            due.append(heapq.heappop(self._again)[2])
        if due:
            return [one for one in due if self._own(one)]
        wait_s = min(_POLL_S, self._again[0][0] - now) if self._again else _POLL_S
        with _told():
            found = await self._consumer.getmany(timeout_ms=max(1, int(wait_s * 1000)), max_records=most)
        deliveries = []
        for partition, records in found.items():
            if (offsets := self._offsets.get(partition)) is None:
                continue  # it has just gone to another one
            for record in records:
                offsets.take(record.offset)
                deliveries.append(_delivery(f"{partition.partition}:{record.offset}:{self._turns[partition]}", record))
        return deliveries

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """Nothing: a partition stays with a living consumer."""

    async def finish(self, delivery: Delivery) -> None:
        """As `Source.finish`; committed with the next `receive`."""
        if offsets := self._own(delivery):
            offsets.finish(_offset(delivery))

    async def put_back(self, delivery: Delivery, after_s: float) -> None:
        """As `Source.put_back`, to this consumer while the partition is its own."""
        again = delivery._replace(receives=delivery.receives + 1)
        heapq.heappush(self._again, (time.monotonic() + after_s, next(self._order), again))

    async def bury(self, delivery: Delivery, body: str, reason: str) -> bool:
        """As `Source.bury`; the reason is a header."""
        await self._dead.send(body, [("reason", reason.encode()), ("receives", b"%d" % delivery.receives)])
        return True

    async def depth(self) -> int:
        """As `Source.depth`: of this consumer's partitions, what is not committed."""
        partitions = list(self._consumer.assignment())
        with _told():
            ends = await self._consumer.end_offsets(partitions) if partitions else {}
            committed = [await self._consumer.committed(partition) or 0 for partition in partitions]
        return int(sum(ends.values()) - sum(committed))

    async def close(self) -> None:
        """Commit what is finished; what is not is delivered to others."""
        try:
            await self._commit()
        except QueueFailed:
            pass

    # -- told by the consumer ------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """These go to others, perhaps: commit what is finished, and forget the rest."""
        await self.close()
        for partition in revoked:
            self._offsets.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """These are ours now, from what was committed last."""
        for partition in assigned:
            self._offsets[partition] = Offsets()
            self._turns[partition] = next(self._order)

    # -- inside ------------------------------------------------------------------------------------

    async def _commit(self) -> None:
        found = {partition: offsets.to_commit() for partition, offsets in self._offsets.items()}
        commits = {partition: offset for partition, offset in found.items() if offset is not None}
        if not commits:
            return
        with _told():
            await self._consumer.commit(commits)
        for partition, offset in commits.items():
            if partition in self._offsets:
                self._offsets[partition].committed(offset)

    def _own(self, delivery: Delivery) -> Offsets | None:
        """The offsets of its partition, if that has been ours ever since."""
        number, _, turn = delivery.handle.split(":")
        partition = TopicPartition(self._topic, int(number))
        return self._offsets.get(partition) if self._turns.get(partition) == int(turn) else None


@asynccontextmanager
async def kafka_publisher(url: str) -> AsyncIterator[KafkaPublisher]:
    """A topic to write to. Raises `QueueFailed` if the server is not there."""
    servers, topic = where(url)
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    try:
        with _told():
            await producer.start()
        yield KafkaPublisher(producer, topic)
    finally:
        with anyio.move_on_after(_STOP_S, shield=True):
            await producer.stop()


@asynccontextmanager
async def kafka_queue(url: str, dead_letters: str) -> AsyncIterator[KafkaQueue]:
    """A topic to read, as one of the group. After 10 s without a sign of life its partitions go to others.

    Raises `QueueFailed` if the server is not there.
    """
    servers, topic = where(url)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, group_id=GROUP, enable_auto_commit=False, auto_offset_reset="earliest",
        max_poll_interval_ms=int(_LONGEST_IN_HAND_S * 1000),
    )  # fmt: skip
    async with kafka_publisher(dead_letters or f"kafka://{servers}/{topic}{_DEAD}") as dead:
        queue = KafkaQueue(consumer, topic, dead)
        consumer.subscribe([topic], listener=queue)
        try:
            with _told():
                await consumer.start()
            yield queue
        finally:
            with anyio.move_on_after(_STOP_S, shield=True):
                await queue.close()
                await consumer.stop()


@contextmanager
def _told() -> Iterator[None]:
    """Turn the errors of aiokafka into `QueueFailed`."""
    try:
        yield
    except (KafkaError, IllegalStateError, TimeoutError, OSError) as error:
        reason = "unreachable" if isinstance(error, _UNREACHABLE) else "refused"
        raise QueueFailed(reason, str(error) or type(error).__name__) from None


def _delivery(handle: str, record: ConsumerRecord) -> Delivery:
    return Delivery((record.value or b"").decode("utf-8", "replace"), 1, record.timestamp / 1e3, handle)


def _offset(delivery: Delivery) -> int:
    return int(delivery.handle.split(":")[1])
