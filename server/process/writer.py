"""Text for people, off the serving path: a thread writes it, so that no caller ever waits or meets an error.

A full disk, a reader that has left or one that has stopped reading costs lines, and nothing else. Lost lines are
counted, and the next line that can be written says how many there were.
"""

import atexit
import os
import select
import signal
import threading
from collections import deque
from collections.abc import Callable

_MAX_BYTES = 1 << 20
_STUCK_S = 0.5  # a non-blocking descriptor that takes nothing for so long loses its lines
_FAREWELL_S = 1.0  # at the end of the process


class Writer:
    """Writes to one descriptor, from a daemon thread that starts with the first line. Thread-safe.

    `lost_line` renders the number of lost lines as a line; without it they are not mentioned.
    """

    # The whole state: `_lines` (not yet written), `_bytes` (theirs), `_lost`, `_writing`, `_thread`; under `_changed`.

    def __init__(
        self, descriptor: int, lost_line: Callable[[int], bytes] | None = None, max_bytes: int = _MAX_BYTES
    ) -> None:
        self._descriptor = descriptor
        self._lost_line = lost_line
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lost = 0
        self._writing = False
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Queue a line, or drop it if `max_bytes` of them wait already. Returns at once and never raises."""
        with self._changed:
            if self._bytes + len(line) > self._max_bytes or not self._has_thread():
                self._lost += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._changed.notify_all()

    def flush(self, timeout_s: float = _FAREWELL_S) -> None:
        """Wait until everything queued has been written or lost, for `timeout_s` at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._writing, timeout_s)

    def _has_thread(self) -> bool:
        """Whether there is a thread to write, started here if need be."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=f"writer {self._descriptor}", daemon=True)
            # A process's signals are for its main thread alone: another thread must not take one that it holds.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is ending
                return False
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._thread = thread
            atexit.register(self.flush)
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines)
                lines, lost = list(self._lines), self._lost
                self._lines.clear()
                self._bytes, self._lost, self._writing = 0, 0, True
            unwritten = self._write(lines, lost)
            with self._changed:
                self._lost += unwritten

    def _write(self, lines: list[bytes], lost: int) -> int:
        """Write a notice of `lost` lines, then these; the number of lines that were not written, old ones included."""
        if lost and self._lost_line and not _written(self._descriptor, self._lost_line(lost)):
            return lost + len(lines)
        text = b"".join(lines)
        return 0 if _written(self._descriptor, text) else len(lines)


def _written(descriptor: int, text: bytes) -> bool:
    rest = memoryview(text)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            if not select.select([], [descriptor], [], _STUCK_S)[1]:
                return False
        except OSError:  # no space, no reader, no descriptor
            return False
    return True
