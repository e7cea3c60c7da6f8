"""When to try again. Pure: it is told the time, and neither waits nor sends."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from .errors import DeadlineExceeded, Failed, Refused, TureenError, Unreachable

_AGAIN = frozenset({429, 503})
_FIRST_S, _LONGEST_S = 0.05, 5.0  # waits where the server names none


class RetryBudget:
    """How many tries may follow a first one: a part of all requests, so that retries never multiply an overload.

    Its state: what is left. One budget may be shared by many clients of one process.
    """

    def __init__(self, ratio: float = 0.1, most: float = 10.0) -> None:
        """`ratio`: retries per request in the long run; `most`: retries that may be saved up."""
        self._ratio = ratio
        self._most = most
        self._left = most

    def request(self) -> None:
        """A request is made for the first time."""
        self._left = min(self._most, self._left + self._ratio)

    def take(self) -> bool:
        """Whether one more try may be made."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Attempts:
    """One request with its tries. Its state: how many there were."""

    def __init__(
        self,
        retries: int,
        budget: RetryBudget,
        deadline: float | None,
        now: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`deadline` and `now`: seconds on a monotonic clock; None: the server's own deadline holds."""
        self._left = retries
        self._budget = budget
        self._deadline = deadline
        self._uniform = uniform
        self._wait_s = _FIRST_S
        budget.request()

    def left_s(self, now: float) -> float | None:
        """Seconds until the deadline. Raises `DeadlineExceeded`."""
        if self._deadline is None:
            return None
        if now >= self._deadline:
            raise DeadlineExceeded("the deadline has passed")
        return self._deadline - now

    def after_response(self, status: int, document: Mapping[str, Any], retry_after: str, now: float) -> float:
        """Seconds to wait before the next try. Raises the error of the response where there is to be none."""
        code, title = str(document.get("code", "")), str(document.get("title", ""))
        if status == 504:
            raise DeadlineExceeded(title)
        if status not in _AGAIN:
            raise Failed(status, code, title)
        wait_s = _wait_s(document, retry_after)
        return self._decide(Refused(status, code, title, wait_s), wait_s, now)

    def after_failure(self, reason: str, now: float) -> float:
        """As `after_response`, where the server was not reached."""
        wait_s = self._uniform(0, self._wait_s)
        self._wait_s = min(_LONGEST_S, 2 * self._wait_s)
        return self._decide(Unreachable(reason), wait_s, now)

    def _decide(self, error: TureenError, wait_s: float, now: float) -> float:
        in_time = self._deadline is None or now + wait_s < self._deadline
        if not (self._left and in_time and self._budget.take()):
            raise error
        self._left -= 1
        return wait_s


def _wait_s(document: Mapping[str, Any], retry_after: str) -> float:
    """What the server asks for; to the millisecond if it says so."""
    milliseconds = document.get("retry_after_ms")
    if isinstance(milliseconds, int | float) and milliseconds >= 0:
        return milliseconds / 1000
    return float(retry_after) if retry_after.isdigit() else 1.0
