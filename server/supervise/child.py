"""One child process of the supervisor: started, started again when it dies, told to drain, killed if it must be.

A child reads its orders from its standard input (`server.process.control`): its settings first, then nothing until it
is to drain. The input also ends when the supervisor is killed, so that no child is left behind.
"""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from server.process import signals
from server.process.control import HURRY_LINE, drain_line
from server.supervise.restarts import SAID_WHY, GiveUp, RestartPolicy, decide, how_ended

log = structlog.stdlib.get_logger("tureen.supervisor")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What a child is."""

    name: str
    """As log lines call it."""
    module: str
    """What `python -m` runs."""
    settings: bytes
    """Its first line of input, without the line's end."""
    arguments: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()
    """That it inherits."""
    drain_order: int = 0
    """It is told to drain once every child of a lower number has ended."""
    policy: RestartPolicy = field(default_factory=RestartPolicy)


class Child:
    """Keeps one process running. Its whole state: `code`, `_process`, `_ends`, `_orders`, `_draining`, `_killed`."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.code: int | None = None
        """With what it ended for good; None while it runs, or if it ended between two lives."""
        self._process: Process | None = None
        self._ends: Sequence[float] = ()
        self._orders: list[bytes] = []
        self._draining = asyncio.Event()
        self._killed = False

    async def keep(self) -> GiveUp | None:
        """Start it, again whenever it dies, until it has drained (None) or is given up.

        Cancellation: the process is left running; `kill` ends it.
        """
        while not self._draining.is_set():
            process = await self._start()
            code = await process.wait()
            self._process = None
            if self._draining.is_set():
                self.code = code
                return None
            self._ends = self.spec.policy.recent(self._ends, time.monotonic())
            decision = decide(self.spec.policy, self.spec.name, code, self._ends)
            if decision != SAID_WHY:
                log.warning(f"{self.spec.name}_died", how=how_ended(code))
            if isinstance(decision, GiveUp):
                self.code = code
                return decision
            await self._pause(decision.pause_s)
        return None

    def drain(self, delay_s: float) -> None:
        """Have it be unready at once, serve on for `delay_s`, and then end; it is not started again."""
        self._draining.set()
        self._tell(drain_line(delay_s))

    def hurry(self) -> None:
        """Have it end now, if it is draining."""
        if self._draining.is_set():
            self._tell(HURRY_LINE)

    def kill(self) -> None:
        """End it at once, for good. Nothing happens if it has ended."""
        self._draining.set()
        self._killed = True
        if self._process and self._process.returncode is None:
            self._process.kill()

    def _tell(self, line: bytes) -> None:
        """Send an order; one that is starting just now gets it behind its settings."""
        self._orders.append(line)
        if self._process and self._process.stdin:
            self._process.stdin.write(line)

    async def _start(self) -> Process:
        spec = self.spec
        signals.hold()  # it inherits that, until it ignores them: one that goes to all would end it while it loads
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", spec.module, *spec.arguments), pass_fds=spec.descriptors, stdin=PIPE
            )
        finally:
            signals.release()
        assert process.stdin
        process.stdin.write(spec.settings + b"\n" + b"".join(self._orders))
        self._process = process
        if self._killed:
            self.kill()
        return process

    async def _pause(self, seconds: float) -> None:
        """Wait; less long if it is to drain, since there is nothing to start for."""
        try:
            await asyncio.wait_for(self._draining.wait(), seconds)
        except TimeoutError:
            pass
