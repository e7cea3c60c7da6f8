"""Carries what is in the spool to the store, oldest first, until it is there.

An item leaves the spool only when its original and then its record are in the store: a record says that both are. An
item that is carried twice, since a process died in between, is the same bytes under the same names.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import structlog

from server.cleanup import files
from server.cleanup.doorbell import Doorbell
from server.cleanup.index import Index
from server.cleanup.item import Damaged, Item, decode_record, encode_record, loads, original_name, record_name
from server.cleanup.spool import SUFFIX, items_in
from server.cleanup.stores import Store, StoreError
from server.cleanup.tracing import StoreTracing

BAD = "damaged"
STATE = "cleanup.json"
_PARALLEL = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 30.0
_LOOK_S = 1.0  # between looks into the spool, for rings that were lost

log = structlog.stdlib.get_logger("tureen.cleanup")


class State(msgspec.Struct):
    """What the carrier has done and met, for the metrics and for `tureen spool`."""

    stored: int = 0
    errors: dict[str, int] = msgspec.field(default_factory=dict)
    trouble: str = ""
    """Why nothing can be stored now; "" if it can."""


class Carrier:
    """The whole state: the ids under way, the ids to be forgotten, the failures in a row, and the figures.

    Only this class takes items out of the spool. It runs in one event loop; the store is called in threads.
    """

    def __init__(self, folder: Path, store: Store, index: Index, tracing: StoreTracing | None = None) -> None:
        """`tracing`: None where nothing is traced."""
        self._tracing = tracing
        self.state = State()
        self._folder = folder
        self._store = store
        self._index = index
        self._under_way: dict[str, anyio.Event] = {}
        self._failures = 0
        self._errors: Counter[str] = Counter()
        self._limiter = anyio.CapacityLimiter(_PARALLEL)
        self._rung = anyio.Event()

    def wake(self) -> None:
        """There is something new in the spool."""
        self._rung.set()

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
                await anyio.sleep(pause_s(self._failures, random.uniform(0.5, 1.0)))
            elif self.state.stored == before:
                with anyio.move_on_after(_LOOK_S):
                    await self._rung.wait()

    async def forget(self, id_: str) -> bool:
        """Take an image out of spool, store and index; False if it was in none. Raises `StoreError`."""
        while under_way := self._under_way.get(id_):
            await under_way.wait()
        done = self._under_way[id_] = anyio.Event()
        try:
            return await anyio.to_thread.run_sync(self._forget, id_, limiter=self._limiter)
        finally:
            del self._under_way[id_]
            done.set()

    # -- inside ------------------------------------------------------------------------------------

    async def _carry(self, id_: str) -> None:
        if id_ in self._under_way:
            return
        done = self._under_way[id_] = anyio.Event()
        try:
            item = await anyio.to_thread.run_sync(self._store_one, id_, limiter=self._limiter)
        except StoreError as error:
            self._on_failure(error)
        else:
            if item:
                self._on_stored(item)
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
        self._store.put(original_name(record), item.original, record.media_type)
        self._store.put(record_name(record.id), encode_record(record), "application/json")
        path.unlink(missing_ok=True)
        if self._tracing and record.traceparent:
            self._tracing.stored(record, begun)
        return item

    def _set_aside(self, path: Path, reason: str) -> None:
        log.error("spool_item_damaged", item=path.name, reason=reason)
        (self._folder / BAD).mkdir(exist_ok=True, mode=0o700)
        os.replace(path, self._folder / BAD / path.name)

    def _on_stored(self, item: Item) -> None:
        self._index.add([item.record])
        if self._failures:
            log.info("store_well")
        self._failures = 0
        self.state.stored += 1
        self.state.trouble = ""

    def _on_failure(self, error: StoreError) -> None:
        if not self._failures:
            log.error("store_failing", reason=error.reason, error=str(error))
        self._failures += 1
        self._errors[error.reason] += 1
        self.state.errors = dict(self._errors)
        self.state.trouble = f"{error.reason}: {error}"

    def _forget(self, id_: str) -> bool:
        path = self._folder / f"{id_}{SUFFIX}"
        spooled = path.exists()
        path.unlink(missing_ok=True)
        data = self._store.get(record_name(id_))
        if data is not None:
            # The record last: while it is there, a second try finds the original.
            self._store.delete(original_name(decode_record(data)))
            self._store.delete(record_name(id_))
        self._index.remove(id_)
        return spooled or data is not None


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
