"""What follows the end of a worker, and when its successor should be ready: decided from values alone."""

from collections.abc import Collection
from dataclasses import dataclass

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 30.0
_GIVE_UP_AFTER = 5  # futile lives in a row, of every worker there is
_SHORT_LIFE_S = 30.0
_LEAST_STEP_S = 0.1
_LATE_S, _TIMES_LATE = 2.0, 4.0  # a start that is later than this, or than so many starts, is not predicted any more


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker's life ended."""

    was_ready: bool
    held: int
    """Images it had."""
    lived_s: float
    reason: str
    """crash, hang, memory, cpu or load."""
    detail: str = ""
    """Why it could not load the model, or how it ended."""

    @property
    def futile(self) -> bool:
        """It died of itself: before it was ready, or soon after with nothing in hand. One that had images in hand
        may have died of them, which is no reason to give up serving others."""
        return not self.was_ready or (self.held == 0 and self.reason == "crash" and self.lived_s < _SHORT_LIFE_S)


@dataclass(frozen=True, slots=True)
class Retry:
    """Start another worker after a pause in seconds."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No worker can be kept alive."""

    reason: str


def after(death: Death, futile: int, others: Collection[int]) -> Retry | GiveUp:
    """What to do after a death. `futile`: lives in a row, this one included, that ended so in its place; `others`: the
    same number for each other place, 0 where a worker serves. As long as one may serve, the server goes on."""
    if min((futile, *others)) >= _GIVE_UP_AFTER:
        return GiveUp(death.detail if death.reason == "load" else f"{futile} workers in a row died {_when(death)}")
    return Retry(min(_FIRST_PAUSE_S * 2.0 ** min(futile, 20), _LONGEST_PAUSE_S))


def expected_ready(now: float, due: float, start_s: float) -> float | None:
    """When a worker will be ready that should be at `due`; the last start took `start_s`. None if nobody can tell.

    One that is late is expected to take as long again as it is late: a little lateness means little, and one that hangs
    is soon not counted on.
    """
    late_s = now - due
    if late_s <= 0:
        return due
    if late_s > max(_LATE_S, _TIMES_LATE * start_s):
        return None
    return now + max(late_s, _LEAST_STEP_S)


def _when(death: Death) -> str:
    return "soon after they were ready, with nothing in hand" if death.was_ready else "before they were ready"
