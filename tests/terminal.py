"""A command on a terminal of its own, as a person sits before it: what it shows is read, and keys are typed."""

import os
import re
import selectors
import subprocess
import time
from types import TracebackType
from typing import Self

_HANG_GUARD_S = 60.0
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Terminal:
    """Starts a command. `text`: all that it has written, without what moves the cursor."""

    def __init__(self, *command: str) -> None:
        self._master, slave = os.openpty()
        environ = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        self._process = subprocess.Popen(command, preexec_fn=lambda: os.login_tty(slave), env=environ)
        os.close(slave)
        self.text = ""

    def until(self, *words: str) -> None:
        """Wait until it shows all of them after what was waited for before."""
        begun, deadline = len(self.text), time.monotonic() + _HANG_GUARD_S
        while not all(word in self.text[begun:] for word in words):
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text

    def press(self, keys: str) -> None:
        """As a person would."""
        os.write(self._master, keys.encode())

    def wait(self) -> int:
        """Its exit code, once it has ended and all is read."""
        while self._read():
            pass
        return self._process.wait(_HANG_GUARD_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def _read(self) -> bool:
        """Take in what comes next; False at the end."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._master, selectors.EVENT_READ)
            if not selector.select(_HANG_GUARD_S):
                return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # nobody holds the other end any more
            return False
        self.text += _ESCAPES.sub("", data.decode(errors="replace"))
        return bool(data)
