"""Reads stored images and has an engine answer them, several at a time."""

import time
from collections.abc import Callable, Iterator

import anyio
import msgspec

import batcher
from preprocess.errors import ImageError
from preprocess.header import read_header
from server.cleanup.item import Damaged, Record, decode_record, original_name
from server.cleanup.stores import Store
from server.commands.replay.compare import Compared, same, verdict
from server.contract.answer import Answer
from server.contract.errors import ImageRejected, TaskError
from server.contract.task import ImageTask
from server.engine import Intake

_AT_A_TIME = 32
_DEADLINE_S = 60.0
_PAUSE_S = 0.05


def names(store: Store, since: str, until: str, limit: int | None) -> list[str]:
    """The records of those days, the oldest first; of more than `limit` the latest. Raises `StoreError`. Blocking."""
    found = sorted(
        name for name in store.names() if name.endswith(".json") and _within(name.partition("/")[0], since, until)
    )
    return found[-limit:] if limit else found


class Replay:
    """Its whole state: `rows`, in the order in which they were answered."""

    def __init__(self, engine: Intake, store: Store, told: Callable[[int], None]) -> None:
        """`told` hears how many are done."""
        self.rows: list[Compared] = []
        self._engine = engine
        self._store = store
        self._told = told
        self._limiter = anyio.CapacityLimiter(_AT_A_TIME)

    async def run(self, names_of_records: list[str]) -> None:
        """Compare all. Raises `StoreError` when the store fails. Cancellation: takes back what is under way."""
        rest = iter(names_of_records)
        async with anyio.create_task_group() as tasks:
            for _ in range(_AT_A_TIME):
                tasks.start_soon(self._take, rest)

    # -- inside ------------------------------------------------------------------------------------

    async def _take(self, rest: Iterator[str]) -> None:
        for name in rest:
            if row := await self._one(name):
                self.rows.append(row)
                self._told(len(self.rows))

    async def _one(self, name: str) -> Compared | None:
        """None for what has gone, is no record, or has not been answered yet."""
        record = await anyio.to_thread.run_sync(self._record, name, limiter=self._limiter)
        if record is None or record.is_pending:
            return None
        original, before = original_name(record), msgspec.json.decode(record.answer)
        row = Compared(record.id, original, verdict(before))
        body = await anyio.to_thread.run_sync(self._store.get, original, limiter=self._limiter)
        if body is None:
            return msgspec.structs.replace(row, error="missing")
        try:
            reply = (await self._answer(ImageTask(body, read_header(body, self._engine.limits)))).reply
        except (ImageError, ImageRejected) as error:
            return msgspec.structs.replace(row, error=error.code)
        except (batcher.BatcherError, TaskError) as error:
            return msgspec.structs.replace(row, error=type(error).__name__)
        after = msgspec.json.decode(b"{%b}" % reply.members)
        seconds = reply.decode_s + reply.infer_s / max(1, reply.batch)
        return msgspec.structs.replace(row, after=verdict(after), same=same(before, after), seconds=seconds)

    async def _answer(self, task: ImageTask) -> Answer:
        while True:
            try:
                return await self._engine.submit(task, time.monotonic() + _DEADLINE_S, reuse="never")
            except batcher.Unmeetable:
                raise
            except batcher.Refused:
                await anyio.sleep(_PAUSE_S)

    def _record(self, name: str) -> Record | None:
        data = self._store.get(name)
        try:
            return decode_record(data) if data else None
        except Damaged:
            return None


def _within(day: str, since: str, until: str) -> bool:
    return (not since or since <= day) and (not until or day <= until)
