"""The worker processes: started, watched, replaced, ended."""

import asyncio
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from types import TracebackType
from typing import Self

import structlog

from batcher import Batcher
from server.dispatch.answer import ModelInfo, Reply
from server.dispatch.wire import Load
from server.dispatch.worker import CannotLoad, Worker, WorkerLost, model_info

_BUFFER_BYTES = 1 << 20  # of a worker's socket: a typical photo fits, so that sending it does not stall
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
_GIVE_UP_AFTER = 5  # deaths in a row before ready
_FAREWELL_S = 5.0

log = structlog.stdlib.get_logger("tureen.pool")


class PoolFailed(Exception):
    """No worker can be brought up; the message says why. Serving makes no sense any more."""


class Pool:
    """Keeps `size` workers alive while it is entered; leaving it ends them.

    A worker that dies is replaced, after a pause that doubles while replacements die before they are ready.
    A model that cannot be loaded, or five such deaths in a row, raise `PoolFailed` out of the pool's task
    group, which cancels whoever entered it.
    """

    def __init__(self, batcher: Batcher[bytes, Reply], load: Load, size: int) -> None:
        self._batcher = batcher
        self._load = load
        self._size = size
        self._tasks = asyncio.TaskGroup()
        self._keepers: list[asyncio.Task[None]] = []
        self._start_s = 0.0
        self.pids: set[int] = set()
        self.restarts = 0
        self.model: asyncio.Future[ModelInfo] = asyncio.get_running_loop().create_future()

    @property
    def size(self) -> int:
        """How many workers there should be."""
        return self._size

    async def _keep(self, number: int) -> None:
        """Keep one worker alive for good."""
        stillborn = 0
        while True:
            stillborn = 0 if await self._live(number) else stillborn + 1
            log.warning("worker_died", worker=number, ready_before=not stillborn)
            if stillborn >= _GIVE_UP_AFTER:
                raise PoolFailed(f"{stillborn} workers in a row died before they were ready")
            self.restarts += 1
            pause = min(_FIRST_PAUSE_S * 2**stillborn, _LONGEST_PAUSE_S)
            self._batcher.seat_expected = None if stillborn else time.monotonic() + pause + self._start_s
            await asyncio.sleep(pause)

    async def _live(self, number: int) -> bool:
        """One worker's life. True if it became ready before it ended."""
        started = time.monotonic()
        worker, process = await self._start()
        self.pids.add(process.pid)
        try:
            ready = await worker.ready
            self._start_s = time.monotonic() - started
            self._batcher.seat_expected = time.monotonic()  # until its death is noticed: any moment
            if not self.model.done():
                self.model.set_result(model_info(ready))
            log.info("worker_ready", worker=number, pid=process.pid, seconds=round(self._start_s, 3))
            await worker.lost.wait()
            return True
        except CannotLoad as error:
            raise PoolFailed(str(error)) from error
        except WorkerLost:
            return False
        finally:
            await self._end(worker, process)
            self.pids.discard(process.pid)
            log.info("worker_ended", worker=number, pid=process.pid, exit=process.returncode)

    async def _start(self) -> tuple[Worker, Process]:
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "server.inference.worker", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=DEVNULL,
                stdout=sys.stderr,
            )
        loop = asyncio.get_running_loop()
        _, worker = await loop.create_unix_connection(lambda: Worker(self._batcher, self._load), sock=ours)
        return worker, process

    async def _end(self, worker: Worker, process: Process) -> None:
        """Ask it to end; insist if it does not. Finishes even when cancelled meanwhile."""
        worker.hang_up()
        waiting = asyncio.ensure_future(_wait_or_kill(process))
        while not waiting.done():
            try:
                await asyncio.shield(waiting)
            except asyncio.CancelledError:
                _kill(process)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._keepers = [self._tasks.create_task(self._keep(n), name=f"worker {n}") for n in range(self._size)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await self._tasks.__aexit__(kind, error, trace)


async def _wait_or_kill(process: Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), _FAREWELL_S)
    except TimeoutError:
        _kill(process)
        await process.wait()


def _kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()
