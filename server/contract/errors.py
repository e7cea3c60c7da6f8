"""What can go wrong with a task besides the errors of `batcher`, named by whose fault it is."""


class TaskError(Exception):
    """Base of them all."""


class ImageRejected(TaskError):
    """The image could not be decoded. `code` is one of preprocess.errors, stable, fit for a client."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TensorRejected(TaskError):
    """The tensor does not fit the model's input; the message says what would."""


class UnknownModel(TaskError):
    """No such model, or no such version of it, is served. `served`: what is, as `NAME/VERSION`."""

    def __init__(self, *served: str) -> None:
        super().__init__(f"served here: {', '.join(served) or 'nothing yet'}")
        self.served = served


class Quarantined(TaskError):
    """The content brought down its workers lately and is not tried again for a while."""


class ModelFailed(TaskError):
    """The model raised, or gave an output that cannot be right, for this task."""


class EngineLost(TaskError):
    """The engine behind a socket has gone, or failed in a way of its own; whether the task was begun is not known."""
