"""A phase in its process, with a bound on its time."""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.soak.phase import Findings
from tests.soak.phases import Phase

_OVER_S = 5.0  # from its last line to its end
_END_S = 60.0  # for its servers to be ended
_PATIENCE = 4.0  # times its usual length, and
_MORE_S = 120.0

Progress = Callable[[str, Phase, str, float], None]


def carry_out(name: str, phase: Phase, seed: int, scale: float, progress: Progress) -> dict[str, Any]:
    """The phase's findings, as JSON; that it ended without any is one of them."""
    command = [sys.executable, "-m", "tests.soak.child", name, str(seed), str(scale)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            found = _last(process, lambda text, share: progress(name, phase, text, share), _limit_s(phase, scale))
            _wait(process, _OVER_S)
            return found
        finally:
            process.terminate()
            if not _wait(process, _END_S):
                process.kill()


def _wait(process: subprocess.Popen, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _limit_s(phase: Phase, scale: float) -> float:
    return _MORE_S + _PATIENCE * phase.seconds * max(1.0, scale)


def _last(process: subprocess.Popen, say: Callable[[str, float], None], limit_s: float) -> dict[str, Any]:
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    limit = time.monotonic() + limit_s
    while True:
        try:
            line = lines.get(timeout=max(0.0, limit - time.monotonic()))
        except queue.Empty:
            return _no_end(f"not within {limit_s:.0f} s")
        if not line:
            return _no_end(f"exit code {process.wait(_END_S)}")
        message = json.loads(line)
        if "found" in message:
            return message["found"]
        say(message["text"], message["share"])


def _read(process: subprocess.Popen, lines: "queue.Queue[bytes]") -> None:
    for line in process.stdout:
        lines.put(line)
    lines.put(b"")


def _no_end(why: str) -> dict[str, Any]:
    found = Findings()
    found.holds("the phase ran to its end", why, "yes", False)
    return found.as_json()
