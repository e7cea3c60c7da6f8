"""A process that opens one model and times it when it is told to, so that several can be timed in turn.

    python -m server.optimize.measuring MODEL FILE FOLDER

`MODEL`: whose card counts. `FILE`: what is timed. `FOLDER`: pictures. It answers in lines of JSON: first what opening
showed, then one line for each line of input, `alone SECONDS` or `batch SECONDS`. At the end of its input it ends.
"""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec

from preprocess.limits import Limits
from preprocess.tensor import prepare
from server.inference.onnx.session import Session
from server.inference.warmup import warm_up
from server.models.card import find_model

_MAX_BATCH = 8
_STATM = Path("/proc/self/statm")


class Timed:
    """The model as one worker with one thread has it."""

    def __init__(self, model: Path, file: Path, folder: Path) -> None:
        """Raises `ModelError`."""
        before, begun = _memory(), time.monotonic()
        self._session = Session(file, find_model(model).card, _MAX_BATCH)
        self.load_s = time.monotonic() - begun
        self._warmth = warm_up(self._session)
        self.memory = max(0, _memory() - before)
        self._photos = cycle([path.read_bytes() for path in sorted(folder.iterdir())])

    def opened(self) -> dict[str, Any]:
        """What opening showed."""
        return {"load_s": self.load_s, "memory": self.memory, "batch": self._size}

    def alone(self, seconds: float) -> dict[str, Any]:
        """A picture at a time: seconds of CPU to prepare it, and seconds until it is answered."""
        slot = self._session.slots[0]

        def once() -> tuple[float, float]:
            photo, begun, cpu = next(self._photos), time.monotonic(), time.thread_time()
            prepare(photo, self._session.slot_recipe, slot, Limits())
            cpu = time.thread_time() - cpu
            self._session.run([0])
            return cpu, time.monotonic() - begun

        prepare_s, latency_s = zip(*_repeat(once, seconds), strict=True)
        return {"prepare_s": _median(prepare_s), "latency_s": _median(latency_s)}

    def batch(self, seconds: float) -> dict[str, Any]:
        """Full batches of the best size: seconds of CPU per image. The model runs in this thread, so that other work on
        the machine hardly counts."""

        def once() -> float:
            begun = time.thread_time()
            self._session.run(range(self._size))
            return (time.thread_time() - begun) / self._size

        times = _repeat(once, seconds)
        return {"infer_s": _median(times), "images": len(times) * self._size}

    @property
    def _size(self) -> int:
        return min(self._warmth.batch, self._session.max_batch)


def _repeat(once: Callable[[], Any], seconds: float) -> list[Any]:
    """At least three times."""
    stop, found = time.monotonic() + seconds, list[Any]()
    while len(found) < 3 or time.monotonic() < stop:
        found.append(once())
    return found


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return float(ordered[len(ordered) // 2])


def _memory() -> int:
    """Bytes that the process has in memory."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):  # another system
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(argv: list[str]) -> int:
    """Serve standard input until it ends."""
    timed = Timed(*map(Path, argv))
    say(timed.opened())
    for line in sys.stdin:
        act, seconds = line.split()
        say((timed.alone if act == "alone" else timed.batch)(float(seconds)))
    return 0


def say(answer: dict[str, Any]) -> None:
    """One line."""
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
