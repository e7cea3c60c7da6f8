"""What a queue is to whoever reads it or writes to it, whatever its kind."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class QueueFailed(Exception):
    """The queue did not do it. `reason`: unreachable, refused (credentials, no such queue), busy."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Delivery(NamedTuple):
    """One message, as this reader has been given it."""

    body: str
    receives: int
    """How often it has been delivered, this time included."""
    sent_s: float
    """When it was sent, in seconds of the wall clock since 1970; 0 if the queue does not tell."""
    handle: str
    """By what the source knows it; unique among those in hand."""


class Source(Protocol):
    """A queue to read. Whatever is received belongs to this reader until it is finished, buried or put back.

    All methods raise `QueueFailed`. If this reader dies, what it had in hand is delivered to another one.
    """

    async def receive(self, most: int) -> Sequence[Delivery]:
        """Up to `most` messages; waits some seconds for the first, then gives none."""

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """These are still worked on: do not deliver them to others."""

    async def finish(self, delivery: Delivery) -> None:
        """It is done with for ever."""

    async def put_back(self, delivery: Delivery, after_s: float) -> None:
        """Deliver it again, to anybody, after so many seconds."""

    async def bury(self, delivery: Delivery, body: str, reason: str) -> bool:
        """Send `body` to the dead letters with the reason; False if there is no place for them. It is not finished."""

    async def depth(self) -> int:
        """How many messages wait, roughly."""


class Publisher(Protocol):
    """A queue to write to. Raises `QueueFailed`; it is safe with the queue when it returns."""

    async def publish(self, body: str) -> None:
        """Send one message."""
