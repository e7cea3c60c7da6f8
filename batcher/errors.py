"""What can go wrong with a submitted item, named by who has to act. This file knows no HTTP."""


class BatcherError(Exception):
    """Base of everything `batcher` raises on purpose; any other exception out of it is a bug."""


class Refused(BatcherError):
    """The item was not accepted: nothing was queued, and trying again later may work.

    `retry_after_s` is the predicted wait, in seconds, after which the item would be accepted.
    """

    reason = "refused"

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFull(Refused):
    """As many items, or as many bytes, are held as the policy allows."""

    reason = "queue_full"


class WouldBeLate(Refused):
    """The predicted completion lies past the item's deadline, so it is refused now instead of answered late."""

    reason = "would_be_late"


class Unmeetable(Refused):
    """Even an idle executor could not answer the item by its deadline: waiting does not help, so `retry_after_s` is
    infinite. `shortest_s` is the shortest time, in seconds, in which such an item can be answered."""

    reason = "unmeetable"

    def __init__(self, message: str, shortest_s: float) -> None:
        super().__init__(message, float("inf"))
        self.shortest_s = shortest_s


class NoExecutor(Refused):
    """No executor is ready."""

    reason = "no_executor"


class BatcherClosed(BatcherError):
    """The batcher is closing or closed: the item was not accepted, or was still held when it ended."""


class DeadlineExceeded(BatcherError):
    """The deadline passed before the answer came. `stage` is where it passed: waiting or running."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"the deadline passed while the item was {stage}")
        self.stage = stage


class BatchFailed(BatcherError):
    """Running the batch raised, or returned a wrong number of results; `__cause__` is the reason, if any."""


class RetriesExhausted(BatcherError):
    """Every executor that held the item was lost with it, as often as the policy allows."""
