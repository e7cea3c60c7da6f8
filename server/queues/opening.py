"""The choice of a queue by its URL. The libraries are extras: each is imported only when it is needed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.queues.source import Publisher, Source
from server.settings.topics import QueuesSettings


@asynccontextmanager
async def open_source(settings: QueuesSettings) -> AsyncIterator[Source]:
    """The queue that is consumed. Raises `QueueFailed`."""
    if settings.consume.startswith("kafka:"):
        from server.queues.kafka import kafka_queue

        async with kafka_queue(settings.consume, settings.dead_letters) as queue:
            yield queue
        return
    from server.queues.sqs import SqsQueue

    yield SqsQueue(settings.consume, settings.sqs_endpoint, settings.visibility, settings.dead_letters)


@asynccontextmanager
async def open_publisher(url: str, settings: QueuesSettings) -> AsyncIterator[Publisher]:
    """A queue to write to. Raises `QueueFailed`."""
    if url.startswith("kafka:"):
        from server.queues.kafka import kafka_publisher

        async with kafka_publisher(url) as publisher:
            yield publisher
        return
    from server.queues.sqs import SqsQueue

    yield SqsQueue(url, settings.sqs_endpoint)
