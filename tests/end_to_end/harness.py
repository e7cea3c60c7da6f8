"""A real server as a user starts it, and a raw HTTP/1.1 client: nothing between a test and the bytes."""

import asyncio
import json
import os
import re
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

START_S = 30.0  # a hang guard
HTTP_SERVERS = ("hypercorn", "uvicorn")  # both keep the same rules: a test of the wire runs on either

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """One HTTP response, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


class Server:
    """`tureen serve` in a session of its own, as a terminal would run it."""

    def __init__(
        self, process: subprocess.Popen, block: str, log: Path, admin: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        """`admin`: a key that may read metrics, where keys are checked. `tls`: how to connect."""
        self.tls = tls
        self.credentials = {"authorization": f"Bearer {admin}"} if admin else {}
        self.process = process
        self.block = block
        """The start-up block, up to its address."""
        self.host, port = block.split()[-1].partition("://")[2].rsplit(":", 1)
        self.port = int(port)
        self._log = log
        self.final_log = ""
        self._clients: list[Client] = []

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def web(self) -> psutil.Process:
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if _runs(child, "server.web.process"))

    @property
    def workers(self) -> list[psutil.Process]:
        return [child for child in self.web.children() if _runs(child, "server.inference.worker")]

    def tree(self) -> list[psutil.Process]:
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def signal_group(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def wait(self) -> int:
        return self.process.wait(START_S)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a test's asynchronous part and close every connection it made."""
        return asyncio.run(self.closing(work))

    async def connect(self, tls: ssl.SSLContext | None = None) -> "Client":
        """`tls`: how, if other than usual."""
        context = tls or self.tls
        name = "localhost" if context else None
        try:
            streams = await asyncio.open_connection(self.host, self.port, ssl=context, server_hostname=name)
        except ConnectionRefusedError as error:
            if self.process.poll() is None:
                raise
            raise ConnectionRefusedError(f"the server has ended: {self.process.poll()}\n{self.log[-4000:]}") from error
        client = Client(*streams)
        self._clients.append(client)
        return client

    async def closing(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives, its connections closed."""
        try:
            return await work
        finally:
            for client in self._clients:
                await client.close()
            self._clients.clear()

    async def all_ready(self) -> None:
        """Wait until every worker is ready; the start-up block comes with the first."""
        while (now := await self.metrics())["tureen_workers_ready"] < now["tureen_workers"]:
            pass

    async def restarted(self, reason: str, count: int) -> None:
        """Wait until so many workers have been replaced for that reason: an answer can be there before its dead worker
        has been buried and counted."""
        while (await self.metrics())[f'tureen_worker_restarts_total{{reason="{reason}"}}'] < count:
            pass

    async def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by its name with labels."""
        client = await self.connect()
        text = (await client.request("GET", "/metrics", **self.credentials)).body.decode()
        await client.close()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}


def before_all(folder: Path) -> str:
    """A PYTHONPATH with `folder` before what there is, so that a working copy tests itself."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def _runs(process: psutil.Process, module: str) -> bool:
    try:
        return module in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


class Client:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        await self.send(method, path, body, **headers)
        return await self.read()

    async def post(self, image: bytes, **headers: str) -> Reply:
        return await self.request("POST", "/v1/images", image, **headers)

    async def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        fields = {"host": "test", "content-length": str(len(body))}
        if path == "/v1/images":
            fields["cache-control"] = "no-store"  # few pictures are sent often, and each is meant
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        await self.writer.drain()

    async def read(self) -> Reply:
        """The next response. Raises `asyncio.IncompleteReadError` if the connection ends first."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin1")
        status_line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(status_line.split()[1]), headers, body)

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


@contextmanager
def serving(
    *flags: str,
    environ: Mapping[str, str] | None = None,
    limits: Mapping[int, int] | None = None,
    measured: bool = False,
    admin: str = "",
    tls: ssl.SSLContext | None = None,
    ready: bool = True,
    within: Sequence[str] = (),
) -> Iterator[Server]:
    """A server on a free port, ready; whatever is left of it at the end is killed. `limits`: of `setrlimit`. `within`:
    words before its command.

    `admin`: a key for its metrics. `tls`: how to connect to it. `ready`: wait for all workers.

    `measured`: it chooses its layout itself, which takes a moment; else its workers have one thread each.
    """
    layout = {} if measured else {"TUREEN_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="tureen-test-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [*within, sys.executable, "-m", "server", "serve", "--port", "0", "--drain-delay", "0", *flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "XDG_CACHE_HOME": folder, **layout, **(environ or {})},
                preexec_fn=lambda: _limit(limits or {}),
            )
        server = None
        try:
            server = Server(process, _block(process, log), log, admin, tls)
            if ready:
                server.run(server.all_ready())
            yield server
        finally:
            _end(process)
            if server:
                server.final_log = log.read_text()


@contextmanager
def serving_both(*flags: str) -> Iterator[Mapping[str, Server]]:
    """A server on each of `HTTP_SERVERS`, by its name: for a test that mostly waits, and can do so on both at once."""
    with ExitStack() as stack:
        yield {http: stack.enter_context(serving(*flags, "--http-server", http)) for http in HTTP_SERVERS}


def run_on_each(servers: Mapping[str, Server], work: Callable[[Server], Coroutine[Any, Any, T]]) -> dict[str, T]:
    """What a test's asynchronous part gives on each server, by its name; on all at the same time."""

    async def run() -> list[T]:
        return await asyncio.gather(*(server.closing(work(server)) for server in servers.values()))

    return dict(zip(servers, asyncio.run(run()), strict=True))


def _limit(limits: Mapping[int, int]) -> None:
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))


def _block(process: subprocess.Popen, log: Path) -> str:
    """Read the start-up block up to its address; the block is printed once the server is ready."""
    assert process.stdout
    block = ""
    for line in process.stdout:
        block += line.decode()
        if re.search(rb"address +https?://\S+", line):
            return block
    raise AssertionError(f"the server did not start: exit {process.wait()}\n{log.read_text()}")


def _end(process: subprocess.Popen) -> None:
    """Ask nicely, so that coverage of the children is written; then make sure."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdout:
        process.stdout.close()
