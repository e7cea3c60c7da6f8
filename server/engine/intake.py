"""The one door every front end knocks at. Knows no HTTP."""

from batcher import Batcher, Refused, RetriesExhausted
from preprocess.cost import decode_seconds
from preprocess.header import Header
from server.contract.answer import Answer, Quarantined, Reply
from server.contract.ids import content_hash, uuid7
from server.contract.task import Upload
from server.engine.quarantine import Quarantine
from server.fleet.pool import Pool


class Reservation:
    """Room for the bytes of one upload while they arrive. A context manager; made by `Intake.reserve`."""

    def __init__(self, intake: "Intake", size: int) -> None:
        """`size`: bytes that the intake holds for it already."""
        self._intake = intake
        self._bytes = size
        self._announced = False

    def grow_to(self, size: int) -> None:
        """Hold `size` bytes in all. Raises as `Intake.reserve`."""
        if size > self._bytes:
            self._intake.hold(size - self._bytes)
            self._bytes = size

    def expect(self, within_s: float) -> None:
        """The rest should be here in so many seconds: if that is soon enough to count, a batch may wait for it."""
        if not self._announced and 0 < within_s <= self._intake.longest_linger_s:
            self._announced = True
            self._intake.announce(1)

    def release(self) -> None:
        """Give the room back; once is enough. Raises nothing: an answer may be on its way out."""
        self._intake.let_go(self._bytes)
        self._bytes = 0
        if self._announced:
            self._announced = False
            self._intake.announce(-1)

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Intake:
    """Takes uploads in, gives answers out."""

    def __init__(self, batcher: Batcher[Upload, Reply], pool: Pool) -> None:
        self._batcher = batcher
        self._pool = pool
        self._quarantine = Quarantine()
        self._arriving_bytes = 0

    @property
    def arriving_bytes(self) -> int:
        """Bytes reserved by uploads under way."""
        return self._arriving_bytes

    def reserve(self, size: int) -> Reservation:
        """Room for an upload of `size` bytes (0 while unknown: let it grow).

        Raises what would refuse it if it were here already, so that nobody uploads in vain: `QueueFull`,
        `NoRunner` or `BatcherClosed`.
        """
        self.hold(size)
        return Reservation(self, size)

    def hold(self, size: int) -> None:
        """Count so many bytes of uploads under way. Raises as `reserve`."""
        self._batcher.check_open(self._arriving_bytes + size)
        self._arriving_bytes += size

    def let_go(self, size: int) -> None:
        """Count so many bytes less."""
        self._arriving_bytes -= size

    @property
    def longest_linger_s(self) -> float:
        """Seconds that a batch would wait for an upload: what it costs whatever its size."""
        return self._batcher.profile.fixed_s

    def announce(self, count: int) -> None:
        """So many more uploads, or less, are about to be here."""
        self._batcher.announce(count)

    def refusal(self, header: Header, size: int, deadline: float, urgency: int, coming: int) -> Refused | None:
        """What `submit` would refuse such an upload of `size` bytes with, after `coming` others like it.

        Raises `BatcherClosed`.
        """
        cost = decode_seconds(header, size)
        return self._batcher.refusal(cost=cost, deadline=deadline, urgency=urgency, coming=coming)

    async def submit(self, upload: Upload, deadline: float, urgency: int) -> Answer:
        """The answer to an upload. `deadline` in seconds of CLOCK_MONOTONIC, `urgency` 0 (first) to 7.

        Raises the errors of `batcher`, `ImageRejected`, `ModelFailed` and `Quarantined`.
        Cancellation: the upload is taken back at whatever stage it is.
        """
        self._check_quarantine(upload)
        ticket = self._batcher.enqueue_nowait(
            upload,
            cost=decode_seconds(upload.header, len(upload.body)),
            size=len(upload.body),
            deadline=deadline,
            urgency=urgency,
        )
        name, digest = uuid7(), content_hash(upload.body)  # after it is accepted: a refusal must be cheap
        try:
            reply = await ticket.wait()
        except RetriesExhausted:
            self._quarantine.add(digest)
            raise
        return Answer(name, digest, self._pool.model.result(), reply)

    def _check_quarantine(self, upload: Upload) -> None:
        if self._quarantine and content_hash(upload.body) in self._quarantine:
            raise Quarantined
