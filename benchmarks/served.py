"""The real server, as a user starts it: `tureen serve` on a free port, ended with all its processes."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil

_START_S, _END_S = 120.0, 30.0  # hang guards
_ADDRESS = re.compile(rb"^ *address +http://(\S+):(\d+)", re.MULTILINE)
_TUREEN = Path(sys.executable).with_name("tureen")


class StartFailed(Exception):
    """The server ended, or was silent, instead of giving its address; it has said why on standard error."""


class Served:
    """A server that is ready."""

    def __init__(self, process: subprocess.Popen[bytes], host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._process = process

    def pids(self) -> list[int]:
        """All its processes: supervisor, web, workers."""
        top = psutil.Process(self._process.pid)
        return [top.pid, *sorted(child.pid for child in top.children(recursive=True))]


@contextmanager
def serving(flags: Sequence[str]) -> Iterator[Served]:
    """`tureen serve FLAGS`, ready. Raises `StartFailed`."""
    process = subprocess.Popen(
        [str(_TUREEN), "serve", "--port", "0", *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Served(process, *_address(process))
    finally:
        _end(process)


def _address(process: subprocess.Popen[bytes]) -> tuple[str, int]:
    assert process.stdout
    seen = b""
    while not (found := _ADDRESS.search(seen)):
        chunk = _read(process.stdout)
        if not chunk:
            raise StartFailed(f"the server did not start: {process.args!r}")
        seen += chunk
    return found[1].decode().strip("[]"), int(found[2])


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
