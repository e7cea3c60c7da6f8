"""The load: a closed loop of keep-alive connections. `python -m benchmarks.loadgen PICTURE...`

Each connection sends the next picture as soon as it has its answer. Whatever is not a 200 ends the run and is
named in its result: such a run has no rate.

It is a process of its own and must be light, since it takes its CPU from the server it measures: the
requests are made beforehand, an answer's body is counted and not read, and CPU is looked at only at the
window's two ends. The window begins with one answer and ends with another, so that answers which come in
bursts are not cut.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import uvloop

from benchmarks.child import Message, answer_each
from benchmarks.machine import busy_s, cpu_s, own_cpu_s

_WARM_UP_S = 0.3
_ANSWERS_EACH = 8  # a connection, at least: a window may last longer for it
_PATIENCE_S = 60.0  # without an end of the run

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` as it stands in the response, `size` of the whole response in bytes."""

    status: bytes
    size: int


def parse(data: bytes | bytearray) -> Reply | None:
    """The response that `data` begins with; None while its head is not whole.

    Raises ValueError if it does not say how long it is.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    found = _LENGTH.search(data, 0, end)
    if not found:
        raise ValueError("a response without Content-Length")
    return Reply(bytes(data[9:12]), end + 4 + int(found[1]))


def request(host: str, port: int, picture: bytes) -> bytes:
    """The whole POST of a picture."""
    head = f"POST /v1/images HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: image/jpeg\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(picture) + picture


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds so far: of the clock, and of CPU by this process, by the server's, by everyone."""

    clock: float
    own: float
    server: float
    busy: float


class Run:
    """One closed loop. `outcomes` counts everything that ever came; the window, its 200s only."""

    def __init__(self, requests: list[bytes], connections: int, seconds: float, watch: list[int]) -> None:
        self.requests = cycle(requests)
        self.outcomes: Counter[str] = Counter()
        self.over = asyncio.Event()  # no further request is to be sent
        self._seconds = seconds
        self._least = connections * _ANSWERS_EACH
        self._watch = watch
        self._warm = time.monotonic() + _WARM_UP_S
        self._latencies: list[float] = []
        self._ends: list[Sample] = []

    def settle(self, outcome: str, latency_s: float = 0.0) -> None:
        """Count what came of one request."""
        self.outcomes[outcome] += 1
        if self.over.is_set():
            return
        if outcome != "200":
            self.over.set()
        elif self._ends:
            self._latencies.append(latency_s)
            if self._enough():
                self._look()
                self.over.set()
        elif time.monotonic() >= self._warm:
            self._look()

    def result(self) -> Message:
        """The window's figures, where there is a whole one, and all outcomes."""
        if len(self._ends) < 2:
            return {"outcomes": self.outcomes}
        first, last = self._ends
        p50, p99 = np.percentile(self._latencies, [50, 99]).tolist()
        return {
            "outcomes": self.outcomes,
            "answers": len(self._latencies),
            "wall_s": last.clock - first.clock,
            "client_cpu_s": last.own - first.own,
            "server_cpu_s": last.server - first.server,
            "busy_s": last.busy - first.busy,
            "p50_s": p50,
            "p99_s": p99,
        }

    def _enough(self) -> bool:
        return len(self._latencies) >= self._least and time.monotonic() >= self._ends[0].clock + self._seconds

    def _look(self) -> None:
        clock = time.monotonic()
        try:
            self._ends.append(Sample(clock, own_cpu_s(), cpu_s(self._watch), busy_s()))
        except psutil.NoSuchProcess:
            self.outcomes["a process of the server ended"] += 1
            self.over.set()


class Connection(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends again."""

    def __init__(self, run: Run) -> None:
        self.idle = asyncio.Event()
        self._run = run
        self._buffer = bytearray()
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            reply = parse(self._buffer)
        except ValueError as error:
            return self._leave(str(error))
        if reply is None or len(self._buffer) < reply.size:
            return None
        if len(self._buffer) > reply.size:
            return self._leave("more than one response")
        self._buffer.clear()
        self._run.settle(reply.status.decode("latin1"), time.perf_counter() - self._sent)
        return self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.idle.is_set():
            self.idle.set()
            self._run.settle("connection lost")

    def abandon(self) -> None:
        """Close, whatever is still to come."""
        self.idle.set()
        self._transport.abort()

    def _send(self) -> None:
        if self._run.over.is_set():
            self.idle.set()
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(next(self._run.requests))

    def _leave(self, outcome: str) -> None:
        self.idle.set()
        self._run.settle(outcome)
        self._transport.close()


async def drive(run: Run, host: str, port: int, connections: int, patience_s: float) -> None:
    """Carry out `run` and wait for the last answers, `patience_s` at most."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: run.settle(_mistake(context)))
    open_ones: list[Connection] = []
    try:
        async with asyncio.timeout(patience_s):
            for _ in range(connections):
                _, connection = await loop.create_connection(lambda: Connection(run), host, port)
                open_ones.append(connection)
            await run.over.wait()
            for connection in open_ones:
                await connection.idle.wait()
    except TimeoutError:
        run.over.set()
        run.outcomes["no answer"] += sum(not connection.idle.is_set() for connection in open_ones)
    except OSError as error:
        run.over.set()
        run.outcomes[f"no connection: {error.strerror}"] += 1
    finally:
        loop.set_exception_handler(None)
        for connection in open_ones:
            connection.abandon()


def _mistake(context: dict[str, Any]) -> str:
    """The outcome of a callback that raised: a mistake in this file."""
    return f"the client failed: {context.get('exception') or context['message']!r}"


def main(argv: list[str]) -> int:
    pictures = [Path(name).read_bytes() for name in argv]

    def answer(host: str, port: int, connections: int, seconds: float, watch: list[int]) -> Message:
        async def whole() -> Message:
            requests = [request(host, port, picture) for picture in pictures]
            run = Run(requests, connections, seconds, watch)
            await drive(run, host, port, connections, seconds + _PATIENCE_S)
            return run.result()

        return uvloop.run(whole())

    answer_each(answer, {})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
