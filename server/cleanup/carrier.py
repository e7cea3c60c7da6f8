"""Carries what is in the spool to the store, oldest first, until it is there.

An item leaves the spool only when its original and then its record are in the store: a record says that both are. An
item that is carried twice, since a process died in between, is the same bytes under the same names.
"""

import os
import random
import sqlite3
import time
from collections import Counter, deque
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import structlog

from server.cleanup import deletion, files
from server.cleanup.doorbell import Doorbell
from server.cleanup.index import Index
from server.cleanup.item import (
    Damaged,
    Item,
    Record,
    decode_record,
    encode_record,
    loads,
    original_name,
    outcomes_name,
    record_name,
)
from server.cleanup.spool import SUFFIX, items_in
from server.cleanup.stores import Store, StoreError
from server.cleanup.tracing import StoreTracing
from server.queues.notification import Upload
from server.queues.notification import forward as forward_message
from server.queues.source import Publisher, QueueFailed

BAD = "damaged"
STATE = "cleanup.json"
_PARALLEL = 8
_MOST_METRICS = 16  # reported of one image
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 30.0
_LOOK_S = 1.0  # between looks into the spool, for rings that were lost
_MOST_UNINDEXED = 10_000  # records that wait for an index that fails; what is dropped, catching up takes in

log = structlog.stdlib.get_logger("tureen.cleanup")


class State(msgspec.Struct):
    """What the carrier has done and met, for the metrics and for `tureen spool`."""

    stored: int = 0
    errors: dict[str, int] = msgspec.field(default_factory=dict)
    trouble: str = ""
    """Why nothing can be stored now; "" if it can."""


class Carrier:
    """The whole state: the ids under way, the failures in a row, records that the index lacks, and the figures.

    Only this class takes items out of the spool. It runs in one event loop; the store is called in threads.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        index: Index,
        forward: Publisher | None = None,
        tracing: StoreTracing | None = None,
    ) -> None:
        """`forward`: the queue of images that are to be answered elsewhere. `tracing`: None where nothing is traced."""
        self._tracing = tracing
        self.state = State()
        self._folder = folder
        self._store = store
        self._index = index
        self._forward = forward
        self._under_way: dict[str, anyio.Event] = {}
        self._failures = 0
        self._errors: Counter[str] = Counter()
        self._unindexed: deque[Record] = deque(maxlen=_MOST_UNINDEXED)
        self._index_failing = False
        self._limiter = anyio.CapacityLimiter(_PARALLEL)
        self._rung = anyio.Event()
        self._hurried = anyio.Event()

    def wake(self) -> None:
        """There is something new in the spool."""
        self._rung.set()

    def retry(self) -> None:
        """Try now what failed, without the rest of the pause."""
        self._hurried.set()

    async def run(self, bell: Doorbell) -> None:
        """Carry until cancelled; what is under way is then carried to its end."""
        while True:
            self._rung = anyio.Event()
            before = self.state.stored
            waiting = sorted(id_ for id_, _ in items_in(self._folder))
            for ids in _batched(waiting):
                with anyio.CancelScope(shield=True):
                    async with anyio.create_task_group() as tasks:
                        for id_ in ids:
                            tasks.start_soon(self._carry, id_)
                bell.ring()
                if self._failures:
                    break
                await anyio.lowlevel.checkpoint()
            if self._failures:
                self._hurried = anyio.Event()
                with anyio.move_on_after(pause_s(self._failures, random.uniform(0.5, 1.0))):
                    await self._hurried.wait()
            elif self.state.stored == before:
                with anyio.move_on_after(_LOOK_S):
                    await self._rung.wait()

    async def forget(self, id_: str, owner: str | None = None) -> Record | None:
        """Take an image out of spool, store and index. `owner`: only if it is this one's; None is anybody's.

        Gives its record, if it was there and has been taken out. Raises `StoreError`.
        """
        while under_way := self._under_way.get(id_):
            await under_way.wait()
        done = self._under_way[id_] = anyio.Event()
        try:
            return await anyio.to_thread.run_sync(self._forget, id_, owner, limiter=self._limiter)
        finally:
            del self._under_way[id_]
            done.set()

    async def note(self, id_: str, owner: str | None, metric: str, value: float) -> bool:
        """Keep what a client reports of an image; the same metric again replaces it. False if there is no such image
        of this owner.

        Raises `StoreError`.
        """
        while under_way := self._under_way.get(id_):
            await under_way.wait()
        done = self._under_way[id_] = anyio.Event()
        try:
            return await anyio.to_thread.run_sync(self._note, id_, owner, metric, value, limiter=self._limiter)
        finally:
            del self._under_way[id_]
            done.set()

    # -- inside ------------------------------------------------------------------------------------

    async def _carry(self, id_: str) -> None:
        if id_ in self._under_way:
            return
        done = self._under_way[id_] = anyio.Event()
        try:
            if item := await anyio.to_thread.run_sync(self._store_one, id_, limiter=self._limiter):
                if item.record.is_pending:
                    await self._publish(item.record)
                self._take_out(id_)
                self._on_stored(item)
        except (QueueFailed, StoreError) as error:
            self._on_failure(error)
        finally:
            del self._under_way[id_]
            done.set()

    def _store_one(self, id_: str) -> Item | None:
        """Blocking. None if there is nothing to be stored. Raises `StoreError`."""
        path = self._folder / f"{id_}{SUFFIX}"
        try:
            item = loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except Damaged as error:
            self._set_aside(path, str(error))
            return None
        except OSError as error:
            raise StoreError("disk", f"the spool: {error.strerror}") from None
        record, begun = item.record, time.time_ns()
        if record.is_pending and self._is_answered(record.id):
            return item
        if record.redacted != "originals" or record.is_pending:  # a consumer needs the image
            self._store.put(original_name(record), item.original, record.media_type)
        self._store.put(record_name(record.id), encode_record(record), "application/json")
        if self._tracing and record.traceparent:
            self._tracing.stored(record, begun)
        return item

    def _is_answered(self, id_: str) -> bool:
        """Whether a consumer has been faster than the end of a process here."""
        data = self._store.get(record_name(id_))
        return data is not None and not decode_record(data).is_pending

    async def _publish(self, record: Record) -> None:
        """Ask for the answer. CORRECTNESS: after the record is in the store, which the answer's replaces. An image that
        is carried twice is asked for twice, and then answered again: the last to write is a consumer. Raises
        `QueueFailed`."""
        if self._forward is None:
            raise QueueFailed("refused", "an image is to be forwarded, and there is no --forward")
        upload = Upload(
            id=record.id, name=original_name(record), bytes=record.bytes, request_id=record.request_id,
            owner=record.owner,
        )  # fmt: skip
        await self._forward.publish(forward_message(upload))

    def _take_out(self, id_: str) -> None:
        """Raises `StoreError`: of a disk that is read-only, for example."""
        try:
            (self._folder / f"{id_}{SUFFIX}").unlink(missing_ok=True)
        except OSError as error:
            raise StoreError("disk", f"the spool: {error.strerror}") from None

    def _set_aside(self, path: Path, reason: str) -> None:
        """Raises `StoreError`."""
        log.error("spool_item_damaged", item=path.name, reason=reason)
        try:
            (self._folder / BAD).mkdir(exist_ok=True, mode=0o700)
            os.replace(path, self._folder / BAD / path.name)
        except OSError as error:
            raise StoreError("disk", f"the spool: {error.strerror}") from None

    def _on_stored(self, item: Item) -> None:
        self._add_to_index(item.record)
        if self._failures:
            log.info("store_well")
        self._failures = 0
        self.state.stored += 1
        self.state.trouble = ""

    def _add_to_index(self, record: Record) -> None:
        """CORRECTNESS: after the item was taken out. On a full disk that makes the room which the index needs."""
        self._unindexed.append(record)
        try:
            self._index.add(self._unindexed)
        except sqlite3.Error as error:
            if not self._index_failing:
                log.error("index_failing", reason=str(error))
            self._index_failing = True
            return
        self._unindexed.clear()
        self._index_failing = False

    def _on_failure(self, error: QueueFailed | StoreError) -> None:
        if not self._failures:
            log.error("store_failing", reason=error.reason, error=str(error))
        self._failures += 1
        self._errors[error.reason] += 1
        self.state.errors = dict(self._errors)
        self.state.trouble = f"{error.reason}: {error}"

    def _note(self, id_: str, owner: str | None, metric: str, value: float) -> bool:
        """Blocking."""
        record = spooled_record(self._folder, id_) or stored_record(self._store, id_)
        if record is None or owner not in (None, record.owner):
            return False
        there = self._store.get(outcomes_name(id_))
        try:
            outcomes = msgspec.json.decode(there, type=dict[str, float]) if there else {}
        except msgspec.MsgspecError as error:
            raise StoreError("damaged", str(error)) from None
        if metric not in outcomes and len(outcomes) >= _MOST_METRICS:
            raise StoreError("full", f"an image has at most {_MOST_METRICS} metrics")
        outcomes[metric] = value
        self._store.put(outcomes_name(id_), msgspec.json.encode(outcomes), "application/json")
        return True

    def _forget(self, id_: str, owner: str | None) -> Record | None:
        """Blocking. Raises `StoreError`."""
        spooled, stored = spooled_record(self._folder, id_), stored_record(self._store, id_)
        record = stored or spooled
        if record is None:
            self._unindex(id_)
        if record is None or owner not in (None, record.owner):
            return None
        self._take_out(id_)
        if stored:
            if stored.is_pending or stored.source:
                deletion.announce(self._store, id_)
            deletion.delete(self._store, stored)
        self._unindex(id_)
        return record

    def _unindex(self, id_: str) -> None:
        """Raises `StoreError`."""
        try:
            self._index.remove(id_)
        except sqlite3.Error as error:
            raise StoreError("disk", f"the index: {error}") from None


def spooled_record(folder: Path, id_: str) -> Record | None:
    """The record of an image in the spool; None if there is none, or it is damaged. Blocking."""
    try:
        return loads((folder / f"{id_}{SUFFIX}").read_bytes()).record
    except (OSError, Damaged):
        return None


def stored_record(store: Store, id_: str) -> Record | None:
    """The record of an image in the store. Blocking. Raises `StoreError`, also for a damaged one."""
    data = store.get(record_name(id_))
    try:
        return None if data is None else decode_record(data)
    except Damaged as error:
        raise StoreError("damaged", str(error)) from None


def pause_s(failures: int, jitter: float) -> float:
    """Seconds until the next try after so many failures; `jitter`: 0.5 to 1."""
    return min(_FIRST_PAUSE_S * float(1 << min(failures, 12)), _LONGEST_PAUSE_S) * jitter


def _batched(ids: list[str]) -> list[list[str]]:
    return [ids[at : at + _PARALLEL] for at in range(0, len(ids), _PARALLEL)]


def write_state(folder: Path, state: State) -> None:
    """For others to read. Not durable: it is about now."""
    try:
        files.write_all([(folder / STATE, msgspec.json.encode(state))], durable=False)
    except OSError:
        pass


def read_state(folder: Path) -> State:
    """What was written last; nothing if that cannot be read."""
    try:
        return msgspec.json.decode((folder / STATE).read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return State()


def cutoff_id(retention_s: float) -> str:
    """Ids below this one are older than that."""
    digits = f"{max(0, time.time_ns() // 1_000_000 - int(retention_s * 1000)):012x}"
    return f"{digits[:8]}-{digits[8:]}"
