"""What the owner of a batcher decides. Everything else is measured."""

from dataclasses import dataclass

MOST_URGENT, DEFAULT_URGENCY, LEAST_URGENT = 0, 3, 7  # RFC 9218, section 4.1


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of one batcher.

    Raises `ValueError`, naming field, value and rule, if a limit makes no sense.
    """

    max_batch: int = 32
    """Items in the largest batch; measurement decides the size up to it."""

    slo_s: float = 1.0
    """Seconds from `enqueue` to the answer for an item that names no deadline of its own."""

    max_queue: int = 1024
    """Items that may wait; those already at an executor do not count."""

    max_queue_bytes: int = 256_000_000
    """Bytes held at most, counted from admission to the answer, since a retry needs them."""

    max_losses: int = 2
    """Executors that may be lost with an item before it is given up. The first loss may be the fault of a neighbour;
    after it the item is retried alone, so the second is its own."""

    def __post_init__(self) -> None:
        for name in ("max_batch", "max_queue", "max_queue_bytes", "max_losses"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        if not 0 < self.slo_s < float("inf"):
            raise ValueError(f"slo_s must be > 0 seconds and finite, got {self.slo_s}")
