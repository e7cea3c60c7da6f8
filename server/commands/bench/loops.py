"""Open and closed loop: which connection sends what, and when.

In an open loop requests are due at times of their own and are sent whatever the server does; each latency
counts from when the request was due, so that a stall is seen by all who would have come meanwhile. In a closed
loop each connection sends again when it has its answer.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.commands.bench.client import Connection, Shot
from server.commands.bench.records import Outcome
from server.commands.bench.response import Response
from server.commands.bench.target import Target

_SWEEP_S = 0.05  # between looks at who waits too long
_PAUSE_S = 0.1  # before a connection that failed is tried again
_CONNECTING = 64  # connections being opened at a time, at most: a listen backlog is short

now = time.monotonic


@dataclass(frozen=True, slots=True)
class Plan:
    """`begin` and `end`: of sending, in seconds of the monotonic clock."""

    target: Target
    requests: Sequence[bytes]
    pictures: Iterator[int]  # which is next, without end
    connections: int
    begin: float
    end: float
    timeout_s: float


class Book(Protocol):
    """Where the outcomes go."""

    def __call__(self, shot: Shot, ended: float, outcome: int, response: Response | None) -> None: ...


class Loop:
    """What both loops share: opening, giving up, ending. `finished` is set when every shot is settled."""

    def __init__(self, plan: Plan, book: Book) -> None:
        self.finished = asyncio.Event()
        self._plan = plan
        self._book = book
        self._all: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._tls = ssl.create_default_context() if plan.target.tls else None
        self._loop = asyncio.get_running_loop()
        self._stopped = False

    async def run(self) -> None:
        """From the plan's begin until every shot is settled; closes all connections, also when cancelled."""
        try:
            await asyncio.sleep(self._plan.begin - now())
            self._start()
            while not self.finished.is_set():
                try:
                    await asyncio.wait_for(self.finished.wait(), _SWEEP_S)
                except TimeoutError:
                    self._sweep(now() - self._plan.timeout_s)
                    self._check()
        finally:
            self._stop()

    def stop_sending(self) -> None:
        """Send nothing more; what is under way is still waited for."""
        self._stopped = True
        self._check()

    def settle(self, shot: Shot, outcome: int, response: Response | None) -> None:
        self._busy -= 1
        self._book(shot, now(), outcome, response)

    def free(self, connection: Connection) -> None:
        self._all.add(connection)
        self._ready(connection)
        self._check()

    def gone(self, connection: Connection) -> None:
        self._all.discard(connection)
        self._lost(connection)
        self._check()

    # ---- What differs ----

    def _start(self) -> None:
        raise NotImplementedError

    def _ready(self, connection: Connection) -> None:
        raise NotImplementedError

    def _lost(self, connection: Connection) -> None:
        raise NotImplementedError

    def _unreachable(self) -> None:
        raise NotImplementedError

    def _done(self) -> bool:
        raise NotImplementedError

    # ---- What does not ----

    def _over(self) -> bool:
        return self._stopped or now() >= self._plan.end

    def _send(self, connection: Connection, shot: Shot) -> None:
        self._busy += 1
        connection.send(shot, self._plan.requests[shot.picture])

    def _open(self, after_s: float = 0.0) -> None:
        task = self._loop.create_task(self._opened(after_s))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _opened(self, after_s: float) -> None:
        target = self._plan.target
        if after_s:
            await asyncio.sleep(after_s)
        try:
            async with asyncio.timeout(self._plan.timeout_s):
                await self._loop.create_connection(lambda: Connection(self), target.host, target.port, ssl=self._tls)
        except (OSError, TimeoutError):
            if task := asyncio.current_task():
                self._opening.discard(task)  # it no longer counts as being opened
            self._unreachable()
            self._check()

    def _sweep(self, oldest: float) -> None:
        for connection in [one for one in self._all if one.since < oldest and one.waiting]:
            connection.give_up(Outcome.NO_ANSWER)

    def _check(self) -> None:
        if not self._busy and self._done():
            self.finished.set()

    def _stop(self) -> None:
        for task in self._opening:
            task.cancel()
        for connection in list(self._all):
            connection.give_up(Outcome.NO_ANSWER)


class Closed(Loop):
    """`connections` of them, each busy all the time."""

    def _start(self) -> None:
        for _ in range(self._plan.connections):
            self._open()

    def _ready(self, connection: Connection) -> None:
        if self._over():
            connection.close()
        else:
            self._send(connection, Shot(now(), 0.0, next(self._plan.pictures)))

    def _lost(self, connection: Connection) -> None:
        if not self._over():
            self._open()

    def _unreachable(self) -> None:
        self._busy += 1
        self.settle(Shot(now(), 0.0, next(self._plan.pictures)), Outcome.UNREACHABLE, None)
        if not self._over():
            self._open(_PAUSE_S)

    def _done(self) -> bool:
        return self._over()


class Open(Loop):
    """Shots at `due` times (ascending, seconds of the monotonic clock), each on a connection that is free, on a new
    one if none is, or in a line before them when there are `connections` already."""

    def __init__(
        self, plan: Plan, book: Book, due: Sequence[float], alarm: Callable[[Callable[[], None]], Clock]
    ) -> None:
        super().__init__(plan, book)
        self._due = due
        self._next = 0
        self._line: deque[Shot] = deque()
        self._idle: list[Connection] = []
        self._clock = alarm(self._fire)

    def _start(self) -> None:
        self._fire()

    def _fire(self) -> None:
        """Take all that is due into the line, and set the alarm for the next."""
        time_, due, at = now(), self._due, self._next
        while at < len(due) and due[at] <= time_ and not self._stopped:
            self._line.append(Shot(due[at], time_ - due[at], next(self._plan.pictures)))
            at += 1
        self._next = len(due) if self._stopped else at
        if self._next < len(due):
            self._clock.set(due[self._next])
        self._pump()
        self._check()

    def _pump(self) -> None:
        while self._line and self._idle:
            self._send(self._idle.pop(), self._line.popleft())
        opening = len(self._opening)
        room = min(self._plan.connections - len(self._all) - opening, _CONNECTING - opening)
        for _ in range(min(room, len(self._line) - opening)):
            self._open()

    def _ready(self, connection: Connection) -> None:
        self._idle.append(connection)
        self._pump()

    def _lost(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        self._pump()

    def _unreachable(self) -> None:
        if self._line:
            self._busy += 1
            self.settle(self._line.popleft(), Outcome.UNREACHABLE, None)
        self._pump()

    def _sweep(self, oldest: float) -> None:
        super()._sweep(oldest)
        while self._line and self._line[0].due < oldest:
            self._busy += 1
            self.settle(self._line.popleft(), Outcome.UNSENT, None)

    def _done(self) -> bool:
        return not self._line and (self._stopped or self._next >= len(self._due))

    def _stop(self) -> None:
        self._clock.close()
        while self._line:
            self._busy += 1
            self.settle(self._line.popleft(), Outcome.UNSENT, None)
        super()._stop()


class Clock(Protocol):
    """As `server.commands.bench.alarm.Alarm`."""

    def set(self, when: float) -> None: ...

    def close(self) -> None: ...
