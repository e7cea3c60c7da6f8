"""The exceptions of `Intake.submit` as they cross a socket: by name, with what they are made of."""

import batcher
from server.contract import errors
from server.contract.errors import EngineLost

_KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        batcher.QueueFull,
        batcher.WouldBeLate,
        batcher.Unmeetable,
        batcher.NoExecutor,
        batcher.BatcherClosed,
        batcher.DeadlineExceeded,
        batcher.BatchFailed,
        batcher.RetriesExhausted,
        errors.ImageRejected,
        errors.TensorRejected,
        errors.UnknownModel,
        errors.Quarantined,
        errors.ModelFailed,
    )
}


def to_words(error: Exception) -> tuple[str, tuple[str | float, ...]]:
    """The kind, and the arguments that make it again. Of an error that no kind fits only its type's name is told."""
    match error:
        case batcher.Unmeetable(shortest_s=shortest_s):
            words: tuple[str | float, ...] = (str(error), shortest_s)
        case batcher.Refused():
            words = (str(error), error.retry_after_s)
        case batcher.DeadlineExceeded(stage=stage):
            words = (stage,)
        case errors.ImageRejected(code=code):
            words = (code,)
        case errors.UnknownModel(served=served):
            words = served
        case _:
            words = (str(error),)
    kind = type(error).__name__
    return (kind, words) if kind in _KINDS else (EngineLost.__name__, (f"the engine failed: {kind}",))


def from_words(kind: str, words: tuple[str | float, ...]) -> Exception:
    """The error that `to_words` was given."""
    return _KINDS.get(kind, EngineLost)(*words)
