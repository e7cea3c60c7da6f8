"""The client processes, as their parent sees them. The command and the benchmarks use this.

A process sends; this side only waits, adds up and can draw meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from server.commands.bench.records import Rows, rows_of
from server.commands.bench.target import Target

_HEADSTART_S = 0.15  # for every process to have read its job
_END_S = 10.0  # a hang guard
_GRACE_S = 30.0  # a hang guard beyond window and time-out


class ClientDied(Exception):
    """A client process ended in the midst; it has said why on standard error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is sent. `expected`: the top label of each picture, or None."""

    target: Target
    pictures: Sequence[Path]
    headers: Sequence[tuple[str, str]] = ()
    multipart: bool = False
    expected: Sequence[str | None] = ()

    def as_message(self) -> dict[str, Any]:
        return {
            "target": asdict(self.target),
            "pictures": [str(path) for path in self.pictures],
            "headers": list(self.headers),
            "multipart": self.multipart,
            "expected": list(self.expected) or [None] * len(self.pictures),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One run. `rate` in requests/s, 0 for a closed loop; `connections` at most (open) or always (closed)."""

    rate: float = 0.0
    connections: int
    duration_s: float
    warmup_s: float
    timeout_s: float
    slo_s: float
    pattern: str = "poisson"
    seed: int = 0


@dataclass(slots=True)
class Progress:
    """What came since the last one, of one process."""

    settled: int
    good: int
    refused: int
    failed: int
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """What a run brought. `rows` are sorted by when they were due, warm-up included. `cpu_s`: of each client
    process, within the window."""

    load: Load
    rows: Rows
    cpu_s: Sequence[float]


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    rows: bytes | None = None
    cpu_s: float = 0.0
    failure: str = ""
    thread: threading.Thread | None = field(default=None)


def _nothing() -> None:
    pass


class Fleet:
    """Client processes that stay for many runs; a context manager that ends them."""

    def __init__(self, material: Material, processes: int = 1) -> None:
        self.size = processes
        self._children = [_start(material) for _ in range(processes)]

    def __enter__(self) -> Fleet:
        for child in self._children:
            assert child.process.stdout
            if not child.process.stdout.readline():
                self.__exit__()
                raise ClientDied(f"a client process ended with exit code {child.process.wait(_END_S)}")
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.process.kill()
            child.process.wait(_END_S)
            for pipe in (child.process.stdin, child.process.stdout):
                assert pipe
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass

    def run(
        self,
        load: Load,
        show: Callable[[Progress], None] | None = None,
        *,
        at_start: Callable[[], None] = _nothing,
        at_end: Callable[[], None] = _nothing,
    ) -> Run:
        """Carry out `load`; `show` is called from other threads, the rest at both ends of the window.

        Raises `ClientDied`.
        """
        start = time.monotonic() + _HEADSTART_S + load.warmup_s
        count = min(self.size, load.connections)
        jobs = [_job(load, start, index, count) for index in range(count)]
        children = self._children[:count]
        for child, job in zip(children, jobs, strict=True):
            child.rows, child.failure = None, ""
            child.thread = threading.Thread(target=_listen, args=(child, job, show), daemon=True)
            child.thread.start()
        _sleep_until(start)
        at_start()
        _sleep_until(start + load.duration_s)
        at_end()
        limit = start + load.duration_s + load.timeout_s + _GRACE_S
        for child in children:
            assert child.thread
            while child.thread.is_alive() and time.monotonic() < limit:
                child.thread.join(0.2)  # short, so that Ctrl-C is heard
            if child.rows is None:
                raise ClientDied(child.failure or "a client process does not answer")
        rows = np.concatenate([rows_of(child.rows or b"") for child in children])
        return Run(load, rows[np.argsort(rows["due"], kind="stable")], [child.cpu_s for child in children])


def _start(material: Material) -> _Child:
    process = subprocess.Popen(
        [sys.executable, "-m", "server.commands.bench.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the parent, which then ends it
    )
    assert process.stdin
    try:
        process.stdin.write(json.dumps(material.as_message()).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it will be missed when its answer is read
    return _Child(process)


def _job(load: Load, start: float, index: int, count: int) -> dict[str, Any]:
    job = asdict(load) | {"start": start, "index": index, "count": count}
    job["connections"] = load.connections // count + (index < load.connections % count)
    return job


def _listen(child: _Child, job: dict[str, Any], show: Callable[[Progress], None] | None) -> None:
    assert child.process.stdin
    assert child.process.stdout
    try:
        child.process.stdin.write(json.dumps(job).encode() + b"\n")
        child.process.stdin.flush()
    except (BrokenPipeError, ValueError):
        child.failure = "a client process has ended"
        return
    while line := child.process.stdout.readline():
        message = json.loads(line)
        if "progress" in message:
            if show:
                show(Progress(**message["progress"]))
        else:
            child.cpu_s = message["cpu_s"]
            child.rows = child.process.stdout.read(message["rows"])
            return
    child.failure = f"a client process ended with exit code {child.process.wait(_END_S)}"


def _sleep_until(when: float) -> None:
    while (left := when - time.monotonic()) > 0:
        time.sleep(left)
