"""A worker's process: started with its socket, measured, ended for sure."""

import asyncio
import os
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from batcher import Batcher
from server.contract.answer import Reply
from server.contract.task import Task
from server.contract.wire import Load
from server.fleet.worker import Worker

_BUFFER_BYTES = 1 << 20  # of the socket: a typical photo fits, so that sending it does not stall
_FAREWELL_S = 5.0
_STDERR = 2  # by its number: a program that was started without one has no such file


class WorkerProcess:
    """A running process and dispatch's end of its socket, `worker`."""

    def __init__(self, worker: Worker, process: Process, started: float) -> None:
        self.worker = worker
        self.started = started
        """When it was, in seconds of CLOCK_MONOTONIC; what it is tried out for puts that off."""
        self._process = process

    @classmethod
    async def start(cls, batcher: Batcher[Task, Reply], load: Load) -> Self:
        """A fresh interpreter, never a fork: a session does not survive one."""
        started = time.monotonic()
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "server.inference.worker", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=DEVNULL,
                stdout=_STDERR,
                # A terminal's Ctrl-C goes to the group, and would end it while it loads. No session of its own: to
                # Linux each is one task among the others (autogroup), and niceness counts only within.
                preexec_fn=os.setpgrp,
            )
        loop = asyncio.get_running_loop()
        _, worker = await loop.create_unix_connection(lambda: Worker(batcher, load), sock=ours)
        return cls(worker, process, started)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.returncode

    @property
    def resident_bytes(self) -> int:
        """Memory it has in RAM; 0 where the system does not tell (only Linux does, here)."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """End it now; nothing happens if it has ended."""
        if self._process.returncode is None:
            self._process.kill()

    async def end(self) -> None:
        """Ask it to end; insist if it does not.

        Cancellation: kills it, and still waits until it has ended; then it goes on.
        """
        self.worker.hang_up()
        waiting = asyncio.ensure_future(self._wait_or_kill())
        cancelled = False
        while not waiting.done():
            try:
                await asyncio.shield(waiting)
            except asyncio.CancelledError:
                self.kill()
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    async def _wait_or_kill(self) -> None:
        try:
            await asyncio.wait_for(self._process.wait(), _FAREWELL_S)
        except TimeoutError:
            self.kill()
            await self._process.wait()


async def end_all(running: Sequence[WorkerProcess]) -> None:
    """End them, all at the same time. Cancellation: kills them, and still waits until all have ended."""
    try:
        await asyncio.gather(*(one.end() for one in running), return_exceptions=True)
    finally:
        for one in running:
            one.kill()  # its end may have been cancelled before it began
