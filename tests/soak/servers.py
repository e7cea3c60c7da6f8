"""Servers of the phases: on one port through restarts, and with code of ours in their workers."""

import asyncio
import os
import textwrap
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import psutil
import uvloop

from tests.end_to_end.harness import Client, Server, serving
from tests.faults.fleet import connecting, free_ports

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """A phase's asynchronous part, on the loop that costs least."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def in_workers(folder: Path, code: str) -> dict[str, str]:
    """An environment in which each worker runs `code`, which may wrap `tensor.prepare`, before it does anything."""
    (folder / "sitecustomize.py").write_text(
        "import os, signal, sys, time\n"
        "if 'server.inference.worker' in sys.orig_argv:\n"
        "    import preprocess.tensor as tensor\n"
        "    prepare = tensor.prepare\n" + textwrap.indent(textwrap.dedent(code), "    ")
    )
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


class Standing:
    """A server that is started again on the same port. A context manager. `admin`: a key for its metrics."""

    def __init__(self, *flags: str, environ: dict[str, str] | None = None, admin: str = "") -> None:
        (self.port,) = free_ports(1)
        self._flags = (*flags, "--port", str(self.port))
        self._environ = environ
        self._admin = admin
        self._stack = ExitStack()
        self.connect = connecting(self.port)
        self.log = ""

    def __enter__(self) -> "Standing":
        self.server = self._start()
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()
        self.log += self.server.final_log

    def end(self) -> int:
        """Wait for a server that was told to end; its exit code."""
        return self.server.wait()

    def start_again(self) -> None:
        """A successor, ready."""
        self._stack.close()
        self.log += self.server.final_log
        self.server = self._start()

    async def metrics(self) -> dict[str, float]:
        return await self.server.metrics()

    def _start(self) -> Server:
        return self._stack.enter_context(serving(*self._flags, environ=self._environ, admin=self._admin))


async def rested(server: Server, within_s: float = 20.0) -> dict[str, float]:
    """The counters once nothing waits, runs or arrives; as they are when that takes too long."""
    async with asyncio.timeout(within_s + 10):
        limit = asyncio.get_running_loop().time() + within_s
        while True:
            now = await server.metrics()
            busy = ("tureen_queue_images", "tureen_running_images", "tureen_held_bytes", "tureen_arriving_bytes")
            if not any(now[name] for name in busy) and now["tureen_workers_ready"] == now["tureen_workers"]:
                return now
            if asyncio.get_running_loop().time() > limit:
                return now
            await asyncio.sleep(0.05)  # between looks


def cpu_s(process: psutil.Process) -> float:
    """Seconds of CPU it has used."""
    times = process.cpu_times()
    return times.user + times.system


async def ask(client: Client, path: str) -> float:
    """Seconds that a GET took. Raises `AssertionError` if its status was not 200."""
    began = time.monotonic()  # finer than uvloop's own
    reply = await client.request("GET", path)
    assert reply.status == 200, reply
    return time.monotonic() - began
