"""What a consumer has done: for its log lines and its metrics."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from server.cleanup import files

STATE = "consumer.json"


class State(msgspec.Struct):
    """Counters since the start, and gauges. Seconds."""

    answered: int = 0
    """Images."""
    finished: int = 0
    """Messages."""
    again: dict[str, int] = msgspec.field(default_factory=dict)
    """Messages put back, by reason."""
    buried: dict[str, int] = msgspec.field(default_factory=dict)
    """Messages that became dead letters, by reason."""
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    """Failures of the queue, by reason."""
    in_flight: int = 0
    waiting: int = 0
    """Messages in the queue, as it says, roughly."""
    oldest_s: float = 0.0
    """Age of the oldest message in hand, since it was sent."""

    def count(self, counts: dict[str, int], reason: str) -> None:
        """One more."""
        counts[reason] = counts.get(reason, 0) + 1


class Progress:
    """Makes the values of a progress line from two states."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._then, self._answered = clock(), 0

    def line(self, state: State) -> dict[str, float | int]:
        """What has happened since the last one."""
        now = self._clock()
        rate = (state.answered - self._answered) / max(1e-9, now - self._then)
        self._then, self._answered = now, state.answered
        return {
            "answered": state.answered,
            "images_per_second": round(rate, 1),
            "in_flight": state.in_flight,
            "waiting": state.waiting,
            "oldest_s": round(state.oldest_s, 1),
        }


def write_state(path: Path, state: State) -> None:
    """For others to read. Not durable: it is about now."""
    try:
        files.write_all([(path, msgspec.json.encode(state))], durable=False)
    except OSError:
        pass


def read_state(path: Path) -> State:
    """What was written last; nothing if that cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return State()
