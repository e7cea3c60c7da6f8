"""An intake without an engine, for a server that passes uploads on: it bounds uploads, and answers no task."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import anyio

from batcher import NoExecutor, QueueFull, Refused
from batcher.policy import DEFAULT_URGENCY
from batcher.stats import Stats
from preprocess.header import Header
from preprocess.limits import Limits
from server.contract.answer import Answer
from server.contract.metadata import ModelMetadata
from server.contract.owner import NOBODY, Owner
from server.contract.task import ImageTask, Reuse, Task
from server.engine.arrivals import Arrivals, GiveUp, Reservation
from server.engine.intake import Status
from server.engine.loop_delay import LoopDelay
from server.process.memory import usable_memory
from server.settings import Settings, derived

_RETRY_S = 1.0


class AbsentEngine:
    """An `Intake`. Its whole state: the bytes of uploads under way. Use it as an async context manager."""

    def __init__(self, settings: Settings) -> None:
        self.slo_s = settings.slo
        self.limits = Limits(max_pixels=settings.upload.max_pixels)
        self.max_bytes = derived.queue_bytes(settings.upload, usable_memory())
        self.delay = LoopDelay()
        self._arrivals = Arrivals(self)
        self._watch: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._watch = asyncio.create_task(self.delay.watch(lambda _: None), name="loop delay")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.cancel()

    async def submit(
        self,
        task: Task,
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
        reuse: Reuse = "allowed",
        owner: Owner = NOBODY,
        sticky: str = "",
    ) -> Answer:
        """Raises `NoExecutor`."""
        raise NoExecutor("there are no workers here", _RETRY_S)

    async def submit_to_each(
        self,
        task: ImageTask,
        models: Sequence[str],
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
        reuse: Reuse = "allowed",
        owner: Owner = NOBODY,
        sticky: str = "",
    ) -> Answer:
        """Raises `NoExecutor`."""
        raise NoExecutor("there are no workers here", _RETRY_S)

    def slo_of(self, model: str) -> float:
        """The server's."""
        return self.slo_s

    def reserve(self, size: int, give_up: GiveUp | None = None) -> Reservation:
        """As `Intake.reserve`."""
        return self._arrivals.reserve(size, give_up)

    def refusal(
        self, header: Header, size: int, deadline: float, urgency: int, coming: int, owner: Owner = NOBODY
    ) -> Refused | None:
        """None: whoever answers decides."""
        return None

    def remembers(self, size: int, payload: bytes | None, owner: Owner = NOBODY) -> bool:
        """False."""
        return False

    async def forget(self, content: str, account: str = "") -> None:
        """Nothing is kept here."""

    def status(self) -> Status:
        """Ready, and without figures."""
        stats = Stats(0, 0, 0, 0, 0, 0.0, None, 0, 0, 0, 0, {}, {}, {})
        return Status(stats, 0, arriving_bytes=self._arrivals.bytes, forwards=True)

    async def wait_ready(self) -> ModelMetadata:
        """Waits for ever: no model comes. Cancellation: stops waiting."""
        await anyio.sleep_forever()
        raise AssertionError

    async def drain(self) -> None:
        """Nothing is under way here."""

    # -- for arrivals --------------------------------------------------------------------------------

    longest_linger_s = 0.0

    @property
    def free_bytes(self) -> int:
        """As `Room.free_bytes`."""
        return self.max_bytes

    def check_room(self, size: int) -> None:
        """As `Room.check_room`."""
        if size > self.max_bytes:
            raise QueueFull(f"{self.max_bytes} bytes are held already", _RETRY_S)

    def announce(self, count: int) -> None:
        """Nothing waits for an upload."""
