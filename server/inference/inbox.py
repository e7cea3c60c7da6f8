"""What a worker has been sent and not begun: filled by the reader's thread, emptied by the engine's."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Condition

from server.contract.metadata import TensorSpec
from server.contract.task import Want

LARGE_PIXELS = 12_000_000  # decoding takes up to 16 bytes of memory a pixel for a moment


@dataclass(frozen=True, slots=True)
class Job:
    """One image to answer; `deadline` in seconds of CLOCK_MONOTONIC. `large`: of more than `LARGE_PIXELS`.

    `share`: send the decoded image back as well.
    `tensor`: what the payload is where it needs no decoding; None for an encoded image.
    """

    seq: int
    deadline: float
    payload: bytes
    large: bool = False
    want: Want = "answer"
    tensor: TensorSpec | None = None
    share: bool = False


class Inbox:
    """A queue in the order of arrival, from which jobs can be taken back. Thread-safe.

    Of large images only one is out at a time, however many threads take: the others wait here, and smaller
    ones pass them. It needs no bound of its own: the engine sends no more than the worker has granted.
    """

    # The whole state: `_jobs` and `_large` (waiting, by seq), `_large_out`; all under `_changed`.

    def __init__(self) -> None:
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._large: OrderedDict[int, Job] = OrderedDict()
        self._large_out = False
        self._changed = Condition()

    def put(self, job: Job) -> None:
        with self._changed:
            (self._large if job.large else self._jobs)[job.seq] = job
            self._changed.notify()

    def remove(self, seq: int) -> bool:
        """Take a job back; False if it has been begun already."""
        with self._changed:
            return bool(self._jobs.pop(seq, None) or self._large.pop(seq, None))

    def take(self) -> Job | None:
        """The next job, or None if there is none now. Each is to be given to `done` when it is decoded."""
        with self._changed:
            return self._take()

    def wait_take(self) -> Job:
        """The next job, as `take`; blocks until there is one."""
        with self._changed:
            while (job := self._take()) is None:
                self._changed.wait()
            return job

    def has_job(self) -> bool:
        """Whether `take` would give a job."""
        with self._changed:
            return self._next_queue() is not None

    def wait(self) -> None:
        """Block until there is a job."""
        with self._changed:
            self._changed.wait_for(lambda: self._next_queue() is not None)

    def done(self, job: Job) -> None:
        """A job that was taken is decoded, or given up: the next large one may go."""
        if job.large:
            with self._changed:
                self._large_out = False
                self._changed.notify()

    def _take(self) -> Job | None:
        queue = self._next_queue()
        if queue is None:
            return None
        job = queue.popitem(last=False)[1]
        self._large_out |= job.large
        return job

    def _next_queue(self) -> OrderedDict[int, Job] | None:
        """The queue whose first job came first, of those that may go."""
        queues = [self._jobs] if self._large_out else [self._jobs, self._large]
        return min((queue for queue in queues if queue), key=lambda queue: next(iter(queue)), default=None)
