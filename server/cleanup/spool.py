"""The spool: a folder of answered images on their way to the store. This end puts them in; clean-up takes them out.

It is bounded in bytes and in number. Files are written by one thread, all that wait at a time, so that a disk that is
slow never stands in the way of an answer, and one fsync of the folder serves many.
"""

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
import structlog

from server.cleanup import files
from server.cleanup.doorbell import Doorbell
from server.cleanup.item import Item, dumps

SUFFIX = ".item"
WEB_BELL, CLEANUP_BELL = "web.bell", "cleanup.bell"
_MEMORY_BYTES = 64_000_000  # of items that wait for the disk: more is as if the spool were full
_LOOK_S = 1.0  # between looks into the folder, for rings that were lost
_SPARE = 10  # times as long as a look takes: between two of them

log = structlog.stdlib.get_logger("tureen.spool")


class SpoolRefused(Exception):
    """An item was not put in. `reason`: full, disk."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SpoolFailed(Exception):
    """There can be no spool in its folder; the message says why."""


class _Waiting(NamedTuple):
    id: str
    size: int
    make: Callable[[], Item]
    written: asyncio.Future[None]


class Spool:
    """The web process's end. Enter `running` to use it.

    The whole state: what is in the folder as of the last look plus what was added since (`count`, `bytes`), what was
    added since the present count began, what waits for the disk, and the refusals by reason.
    """

    def __init__(self, folder: Path, max_bytes: int, max_count: int, *, durable: bool) -> None:
        """`durable`: an item is put in only once it is on the disk."""
        self.count = 0
        self.bytes = 0
        self.refused: Counter[str] = Counter()
        self.folder = folder
        self._max_bytes = max_bytes
        self._max_count = max_count
        self._durable = durable
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._added = self._added_bytes = 0
        self._rung = asyncio.Event()
        self._work = asyncio.Event()
        self._written = asyncio.Event()
        self._failing = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Spool"]:
        """Write what is put in while entered; leaving writes what still waits. Raises `SpoolFailed` at the start."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._count(items_in(self.folder))
            bell = Doorbell(self.folder, WEB_BELL, CLEANUP_BELL)
        except OSError as error:
            raise SpoolFailed(f"no spool at {self.folder}: {error.strerror or error}") from None
        loop = asyncio.get_running_loop()
        loop.add_reader(bell.fileno(), self._on_ring, bell)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write_all, bell)
                tasks.start_soon(self._look)
                yield self
                await self.flush()
                tasks.cancel_scope.cancel()
        finally:
            loop.remove_reader(bell.fileno())
            bell.close()

    def put(self, id_: str, size: int, make: Callable[[], Item]) -> asyncio.Future[None]:
        """Put an item of about `size` bytes in; `make` is called in the thread that writes it.

        The future is done when it is written, and holds `SpoolRefused` if it could not be. Raises `SpoolRefused` at
        once if it is full.
        """
        if self.count + 1 > self._max_count or self.bytes + size > self._max_bytes:
            raise self._refusal("full")
        if self._waiting_bytes + size > _MEMORY_BYTES:
            raise self._refusal("full")
        self.count += 1
        self.bytes += size
        self._added += 1
        self._added_bytes += size
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(id_, size, make, written))
        self._waiting_bytes += size
        self._work.set()
        return written

    async def flush(self) -> None:
        """Wait until what was put in before has been written, or could not be."""
        while self._waiting:
            await self._written.wait()

    def holds(self, id_: str) -> bool:
        """Whether an item waits for the disk, or is in the folder."""
        return any(one.id == id_ for one in self._waiting) or self._path(id_).exists()

    # -- inside ------------------------------------------------------------------------------------

    def _refusal(self, reason: str) -> SpoolRefused:
        self.refused[reason] += 1
        return SpoolRefused(reason)

    async def _write_all(self, bell: Doorbell) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            if batch := list(self._waiting):
                await self._write(batch)
                bell.ring()
                self._work.set()  # what has come meanwhile

    async def _write(self, batch: list[_Waiting]) -> None:
        error: OSError | None = None
        try:
            await anyio.to_thread.run_sync(self._write_files, batch)
        except OSError as raised:
            error = raised
        for one in batch:
            self._waiting.popleft()
            self._waiting_bytes -= one.size
            # Without durability a file that is there is written; with it, only a folder that is synced counts.
            self._settle(one, None if not self._durable and self._path(one.id).exists() else error)
        self._written.set()
        self._written = asyncio.Event()

    def _write_files(self, batch: list[_Waiting]) -> None:
        made = ((self._path(one.id), dumps(one.make())) for one in batch)
        files.write_all(made, durable=self._durable)

    def _path(self, id_: str) -> Path:
        return self.folder / f"{id_}{SUFFIX}"

    def _settle(self, one: _Waiting, error: OSError | None) -> None:
        if error is None:
            self._failing = False
        else:
            self.count -= 1
            self.bytes -= one.size
            if not self._failing:
                self._failing = True
                log.error("spool_failing", folder=str(self.folder), reason=error.strerror or str(error))
        if error is not None:
            refusal = self._refusal("disk")
            if not one.written.done():
                one.written.set_exception(refusal)
                one.written.exception()  # with the asynchronous policy nobody waits for it
        elif not one.written.done():
            one.written.set_result(None)

    def _on_ring(self, bell: Doorbell) -> None:
        bell.hear()
        self._rung.set()

    async def _look(self) -> None:
        """Count when the bell rings, and now and then. In a thread: with 100,000 items it takes half a second."""
        while True:
            with anyio.move_on_after(_LOOK_S):
                await self._rung.wait()
            self._rung.clear()
            self._added, self._added_bytes = 0, 0
            begun = time.monotonic()
            self._count(await anyio.to_thread.run_sync(list, items_in(self.folder)))
            await anyio.sleep(_SPARE * (time.monotonic() - begun))

    def _count(self, items: Iterable[tuple[str, int]]) -> None:
        """CORRECTNESS: the folder is the truth. What waits for the disk is not there yet, and what was put in since the
        count began may not be; either may be counted twice for a moment, which only refuses sooner."""
        sizes = [size for _, size in items]
        self.count = len(sizes) + len(self._waiting) + self._added
        self.bytes = sum(sizes) + self._waiting_bytes + self._added_bytes


def items_in(folder: Path) -> Iterator[tuple[str, int]]:
    """The ids in a spool, each with the size of its file in bytes; in no order."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX):
                    try:
                        yield entry.name.removesuffix(SUFFIX), entry.stat().st_size
                    except FileNotFoundError:
                        pass  # taken out just now
    except FileNotFoundError:
        return
