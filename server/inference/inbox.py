"""What a worker has been sent and not begun: filled by the reader's thread, emptied by the engine's."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Condition


@dataclass(frozen=True, slots=True)
class Job:
    """One image to answer; `deadline` in seconds of CLOCK_MONOTONIC."""

    seq: int
    deadline: float
    payload: bytes


class Inbox:
    """A queue in the order of arrival, from which jobs can be taken back. Thread-safe.

    It needs no bound of its own: dispatch sends no more than the worker has granted.
    """

    def __init__(self) -> None:
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._changed = Condition()

    def put(self, job: Job) -> None:
        with self._changed:
            self._jobs[job.seq] = job
            self._changed.notify()

    def remove(self, seq: int) -> bool:
        """Take a job back; False if it has been begun already."""
        with self._changed:
            return self._jobs.pop(seq, None) is not None

    def take(self) -> Job | None:
        """The next job, or None if there is none now."""
        with self._changed:
            return self._jobs.popitem(last=False)[1] if self._jobs else None

    def wait(self) -> None:
        """Block until there is a job."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._jobs))
