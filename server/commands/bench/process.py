"""A client process: `python -m server.commands.bench.process`. It sends, and counts what comes back.

It is light on CPU, which it takes from the server it measures where both share a machine: requests are made
beforehand, of an answer only what is needed is looked at, and rows are packed as they come.

Standard input has a line of JSON that says what to send, then one for each run; on standard output come lines
of progress, and at the end of each run a line with its totals and the rows themselves. It ends with its input.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from server.commands.bench.alarm import Alarm
from server.commands.bench.answer import batch, retry_after, reused, timings, top_label
from server.commands.bench.arrivals import due_times
from server.commands.bench.client import Shot
from server.commands.bench.loops import Closed, Loop, Open, Plan
from server.commands.bench.records import OK, ROW, Outcome, rows_of
from server.commands.bench.response import Response
from server.commands.bench.target import Target, request

_PROGRESS_S = 0.25
_NICENESS = -10
_SESSION = Path("/proc/self/autogroup")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is sent: the same for all runs. `expected`: a top label for each picture, or None."""

    target: Target
    requests: list[bytes]
    expected: list[str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of this process. `start`: of the window, on the monotonic clock; `rate` 0 is a closed loop."""

    start: float
    warmup_s: float
    duration_s: float
    timeout_s: float
    slo_s: float
    rate: float  # of all processes together
    pattern: str
    connections: int  # of this process
    index: int
    count: int
    seed: int


class Ledger:
    """The rows of a run, packed as they come."""

    def __init__(self, expected: list[str | None], start: float) -> None:
        self._rows = bytearray()
        self._reported = 0
        self._expected = expected
        self._start = start

    def book(self, shot: Shot, ended: float, outcome: int, response: Response | None) -> None:
        """Add a row."""
        queue = decode = infer = wait = float("nan")
        size, shared = 0, False
        if outcome == OK and response:
            queue, decode, infer = timings(response.head)
            size, shared = batch(response.body), reused(response.body)
            expected = self._expected[shot.picture]
            if expected is not None and expected != top_label(response.body):
                outcome = Outcome.WRONG
        elif response:
            wait = retry_after(response.head, response.body)
        self._rows += ROW.pack(
            shot.due - self._start, shot.lag, ended - shot.due, outcome, shot.picture, size, shared, queue, decode,
            infer, wait,
        )  # fmt: skip

    def progress(self, slo_s: float) -> dict[str, Any]:
        """What came since the last call."""
        rows = rows_of(bytes(memoryview(self._rows)[self._reported :]))
        self._reported = len(self._rows)
        fine = rows[rows["outcome"] == OK]
        return {
            "settled": len(rows),
            "good": int((fine["latency"] <= slo_s).sum()),
            "refused": int((rows["outcome"] == 503).sum()),
            "failed": int(((rows["outcome"] != OK) & (rows["outcome"] != 503)).sum()),
            "p99_s": float(np.quantile(fine["latency"], 0.99)) if len(fine) else None,
        }

    def rows(self) -> bytes:
        """All of them."""
        return bytes(self._rows)


async def carry_out(material: Loaded, job: Job, out: BinaryIO) -> None:
    """Run `job` and write progress, totals and rows to `out`."""
    ledger = Ledger(material.expected, job.start)
    begin, end = job.start - job.warmup_s, job.start + job.duration_s
    pictures = deck(len(material.requests), [job.seed, job.index])
    plan = Plan(material.target, material.requests, pictures, job.connections, begin, end, job.timeout_s)
    loop: Loop
    if job.rate:
        share = (job.index, job.count)
        due = due_times(job.pattern, job.rate, -job.warmup_s, job.duration_s, share=share, seed=job.seed)
        loop = Open(plan, ledger.book, (due + job.start).tolist(), Alarm)
    else:
        loop = Closed(plan, ledger.book)
    cpu: list[float] = []
    handles = [asyncio.create_task(_at(when, lambda: cpu.append(time.process_time()))) for when in (job.start, end)]
    handles.append(asyncio.create_task(_report(ledger, job.slo_s, out)))
    gc.collect()
    gc.disable()  # nothing here makes cycles by the thousand, and a pause would look like the server's
    try:
        await loop.run()
        await asyncio.gather(*handles[:2])
    finally:
        gc.enable()
        for handle in handles:
            handle.cancel()
    rows = ledger.rows()
    _say(out, {"rows": len(rows), "cpu_s": cpu[1] - cpu[0]})
    out.write(rows)
    out.flush()


async def _at(when: float, do: Callable[[], None]) -> None:
    await asyncio.sleep(when - time.monotonic())
    do()


async def _report(ledger: Ledger, slo_s: float, out: BinaryIO) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_S)
        _say(out, {"progress": ledger.progress(slo_s)})


def deck(count: int, seed: list[int]) -> Iterator[int]:
    """Without end: all of `count`, shuffled, and again; so that each comes as often as the next."""
    random = np.random.default_rng(seed)
    while True:
        yield from random.permutation(count).tolist()


def load(given: dict[str, Any]) -> Loaded:
    """Read the pictures and make the requests, each distinct one once."""
    target = Target(**given["target"])
    headers = [(name, value) for name, value in given["headers"]]
    made: dict[str, bytes] = {}
    for path in given["pictures"]:
        if path not in made:
            made[path] = request(target, Path(path).name, Path(path).read_bytes(), headers, given["multipart"])
    return Loaded(target, [made[path] for path in given["pictures"]], given["expected"])


def _say(out: BinaryIO, message: dict[str, Any]) -> None:
    out.write(json.dumps(message).encode() + b"\n")
    out.flush()


def _go_first() -> None:
    """Where that is allowed: a client that waits for a CPU measures how long it waits.

    Linux may weigh whole sessions against each other before it weighs their processes, and this is one alone.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        _SESSION.write_text(str(_NICENESS))
    except OSError:  # it is not allowed, or not Linux; then the judgement says how late we were
        pass


def _raise_file_limit() -> None:
    """Each connection is an open file; the system's soft limit is often 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # then what there is has to do
        pass


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where there is uvloop."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def main() -> int:
    _raise_file_limit()
    _go_first()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=1 << 16)
    material = load(json.loads(sys.stdin.readline()))
    _say(out, {"ready": True})
    for line in sys.stdin:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(carry_out(material, Job(**json.loads(line)), out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
