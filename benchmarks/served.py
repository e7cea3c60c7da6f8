"""A server as a user starts it: a command that says its address when it is ready; ended with all its processes."""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil

_START_S, _END_S = 120.0, 30.0  # hang guards
_PERIOD_S = 0.1
_WORKERS = re.compile(rb"^(tureen_workers(?:_ready)?) (\S+)", re.MULTILINE)
_ADDRESS = re.compile(rb"^ *address +http://(\S+):(\d+)", re.MULTILINE)
_TUREEN = Path(sys.executable).with_name("tureen")


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class StartFailed(Exception):
    """The server ended, or was silent, instead of giving its address; it has said why on standard error."""


class Served:
    """A server that is ready."""

    def __init__(self, process: subprocess.Popen[bytes], host: str, port: int, start_s: float) -> None:
        self.host = host
        self.port = port
        self.start_s = start_s  # from the command to its address
        self._process = process

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def wait_for_workers(self) -> None:
        """Until all of our own server's are ready: on a GPU they start one after the other. Raises `StartFailed`."""
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            with urllib.request.urlopen(f"{self.url}/metrics", timeout=_START_S) as response:
                said = dict(_WORKERS.findall(response.read()))
            if said[b"tureen_workers"] == said[b"tureen_workers_ready"]:
                return
            time.sleep(_PERIOD_S)
        raise StartFailed(f"not all workers of {self.url} were ready within {_START_S:g} s")

    def pids(self) -> list[int]:
        """All its processes."""
        top = psutil.Process(self._process.pid)
        return [top.pid, *sorted(child.pid for child in top.children(recursive=True))]


def tureen(flags: Sequence[str]) -> list[str]:
    """The command of our own server, on a free port."""
    return [str(_TUREEN), "serve", "--port", "0", "--drain-delay", "0", *flags]


@contextmanager
def serving(command: Sequence[str], ready: int = 1, environ: Mapping[str, str] | None = None) -> Iterator[Served]:
    """`command`, running, once it has given its address `ready` times. Raises `StartFailed`."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, **(environ or {})},
    )
    try:
        host, port = _address(process, ready)
        yield Served(process, host, port, time.monotonic() - began)
    finally:
        _end(process)


def _address(process: subprocess.Popen[bytes], ready: int) -> tuple[str, int]:
    assert process.stdout
    seen = b""
    while len(found := _ADDRESS.findall(seen)) < ready:
        chunk = _read(process.stdout)
        if not chunk:
            raise StartFailed(f"the server did not start: {process.args!r}")
        seen += chunk
    host, port = found[0]
    return host.decode().strip("[]"), int(port)


def _read(pipe: IO[bytes]) -> bytes:
    """What comes next; nothing at the end, or when it takes too long."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        return os.read(pipe.fileno(), 1 << 16) if selector.select(_START_S) else b""


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)  # whatever is left of its session
    except ProcessLookupError:
        pass
    process.wait()
    if process.stdout:
        process.stdout.close()
