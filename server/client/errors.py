"""What can go wrong, named by who has to act."""


class TureenError(Exception):
    """Base of them all."""


class Failed(TureenError):
    """The server answered with a problem that another try would not change. `code` is stable."""

    def __init__(self, status: int, code: str, title: str) -> None:
        super().__init__(f"{status} {code}: {title}")
        self.status = status
        self.code = code


class Refused(Failed):
    """The server has no room now. `retry_after_s`: seconds after which it may have some."""

    def __init__(self, status: int, code: str, title: str, retry_after_s: float) -> None:
        super().__init__(status, code, title)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(TureenError):
    """The deadline passed before an answer came."""


class Unreachable(TureenError):
    """No server answered; the message says why."""
