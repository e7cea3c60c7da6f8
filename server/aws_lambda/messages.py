"""Events of SQS and S3: each names images, and is done once their answers are durable."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import msgspec
import structlog

from server.cleanup.opening import open_store
from server.consume.answering import Answering, Places
from server.consume.errors import Later, Spoiled
from server.consume.objects import Objects
from server.consume.patience import Patience
from server.engine import Intake
from server.queues.notification import Unreadable, read
from server.queues.opening import open_publisher
from server.queues.source import Publisher, QueueFailed
from server.settings import Settings, SettingsError

_THREADS = 16

Event = Mapping[str, Any]

log = structlog.stdlib.get_logger("tureen.lambda")


class NotAnswered(Exception):
    """An event of S3 was not answered: Lambda tries it again, and then sends it to the function's destination."""


def of_sqs(event: Event) -> bool:
    """Whether an event is a batch of messages of SQS."""
    records = event.get("Records")
    return bool(isinstance(records, list) and records and records[0].get("eventSource") == "aws:sqs")


@asynccontextmanager
async def open_messages(settings: Settings, engine: Intake) -> AsyncIterator["Messages"]:
    """Raises `SettingsError` where answers would go nowhere; `StoreError`, `QueueFailed`."""
    queues, storage = settings.queues, settings.storage
    if not (storage.store or queues.results):
        raise SettingsError(["store: events of S3 and SQS need --store or --results, or the answers would go nowhere"])
    store = open_store(storage) if storage.store else None
    async with AsyncExitStack() as stack:
        results, dead = [
            await stack.enter_async_context(open_publisher(url, queues)) if url else None
            for url in (queues.results, queues.dead_letters)
        ]
        objects = Objects(store, storage.s3_endpoint, settings.upload.max_image_bytes, _THREADS)
        answering = Answering(engine, objects, Places(store, results), Patience(_THREADS), storage.redact)
        yield Messages(answering, dead)


class Messages:
    """Has no state of its own."""

    def __init__(self, answering: Answering, dead_letters: Publisher | None) -> None:
        """`dead_letters`: for what can never be answered; None leaves it to the queue's redrive policy."""
        self._answering = answering
        self._dead_letters = dead_letters

    async def answer_batch(self, event: Event, within_s: float) -> dict[str, list[dict[str, str]]]:
        """Answer a batch of SQS; the partial batch response names those that are to be delivered again.

        What is under way after `within_s` is taken back. Of a FIFO queue, what follows a failure in its group fails.
        """
        records = event["Records"]
        done: set[str] = set()

        async def see_through(record: Mapping[str, Any]) -> None:
            receives = int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))
            if await self._answered(record["body"], delivered_before=receives > 1):
                done.add(record["messageId"])

        with anyio.move_on_after(within_s):
            async with anyio.create_task_group() as tasks:
                for record in records:
                    tasks.start_soon(see_through, record)
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failures(records, done)]}

    async def answer_one(self, event: Event, within_s: float) -> None:
        """Answer an event of S3, by itself or by EventBridge. Raises `NotAnswered`."""
        body = msgspec.json.encode(event).decode()
        with anyio.move_on_after(within_s):
            if await self._answered(body, delivered_before=True):  # Lambda does not say how often it came
                return
        raise NotAnswered("see the log lines before this one")

    # -- inside ------------------------------------------------------------------------------------

    async def _answered(self, body: str, *, delivered_before: bool) -> bool:
        """Whether a message is done: its answers are durable, or what cannot be answered is among the dead letters."""
        spoiled: list[tuple[str, str]] = []  # reason, body
        try:
            for asked in read(body):
                try:
                    await self._answering.answer(asked, delivered_before)
                except Spoiled as error:
                    spoiled.append((error.reason, asked.part))
        except Unreadable:
            spoiled.append(("unreadable", body))
        except Later as error:
            log.warning("message_failed", reason=error.reason)
            return False
        except Exception:
            log.exception("message_bug")
            return False
        return await self._bury(spoiled)

    async def _bury(self, spoiled: Iterable[tuple[str, str]]) -> bool:
        for reason, body in spoiled:
            log.warning("message_spoiled", reason=reason)
            if self._dead_letters is None:
                return False
            try:
                await self._dead_letters.publish(body)
            except QueueFailed as error:
                log.error("dead_letters_failing", reason=error.reason, error=str(error))
                return False
        return True


def failures(records: Iterable[Mapping[str, Any]], done: set[str]) -> list[str]:
    """The ids of what is not done; of a FIFO queue, also of what comes after such a message in its group. Pure."""
    failed: list[str] = []
    groups: set[str] = set()
    for record in records:
        group = record.get("attributes", {}).get("MessageGroupId", "")
        if record["messageId"] not in done or group in groups:
            failed.append(record["messageId"])
            if group:
                groups.add(group)
    return failed
