"""Ends a worker in which the decoding of one image takes far more CPU than its header promised.

Nothing interrupts a decoder in C from within. But all of them let other threads run, so one thread looks, a few times
per second, at the CPU clocks of those that decode. A decoder that merely sleeps uses no CPU: the pool's rule for
workers that hang is for that.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_PERIOD_S = 0.1
_LEAST_S = 0.3
"""The first of a format loads what others find there."""
_TIMES = 10.0
"""Times what was predicted: cost.py is right within a factor of 3 for what encoders write."""
_PATIENCE = 2.0
"""Times what is allowed: most decoders stop by themselves at what is allowed, and no worker is lost."""

Report = Callable[[int], None]
"""Sends the news that the image `seq` took too much."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """An image under way. `clock`: the CPU clock of its thread; `until`: seconds on it."""

    seq: int
    clock: int
    until: float


class CpuWatch:
    """Knows what each thread decodes. Thread-safe."""

    # The whole state: `_running`, by thread, under `_lock`.

    def __init__(
        self,
        report: Report,
        pace: float = 1.0,
        least_s: float = _LEAST_S,
        end: Callable[[], None] = lambda: os._exit(1),
    ) -> None:
        """`pace`: how many times as long as predicted an ordinary image takes here. `least_s`: CPU seconds that any
        image may take. `end`: ends the process."""
        self._report = report
        self._pace = max(1.0, pace)
        self._least_s = least_s
        self._end = end
        self._running: dict[int, Decoding] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Look from now on, in a thread of its own."""
        threading.Thread(target=self._look_forever, name="CPU watch", daemon=True).start()

    def allow(self, seq: int, predicted_s: float) -> float:
        """This thread begins to decode. The CPU seconds that it may take."""
        allowed = (self._least_s + _TIMES * predicted_s) * self._pace
        thread = threading.get_ident()
        decoding = Decoding(seq, time.pthread_getcpuclockid(thread), time.thread_time() + _PATIENCE * allowed)
        with self._lock:
            self._running[thread] = decoding
        return allowed

    def over(self) -> None:
        """This thread has decoded, or failed to. Blocks for good where that is too late."""
        with self._lock:
            self._running.pop(threading.get_ident(), None)

    def look(self) -> None:
        """End the process if a decoder has taken too much."""
        # CORRECTNESS: the lock is held until the process ends. A decoder that is done meanwhile waits for it in `over`,
        # so its image is not answered twice.
        with self._lock:
            for decoding in self._running.values():
                if time.clock_gettime(decoding.clock) > decoding.until:
                    self._report(decoding.seq)
                    self._end()
                    return

    def _look_forever(self) -> None:
        while True:
            time.sleep(_PERIOD_S)
            self.look()
