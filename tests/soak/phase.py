"""What a phase of the soak is given, and what it gives back. Knows no phase."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.history import checker
from tests.history.checker import Violation


@dataclass(frozen=True)
class Promise:
    """One line of the table. `kept` is None for a figure that has no goal."""

    what: str
    measured: str
    goal: str = ""
    kept: bool | None = None


@dataclass
class Findings:
    """What a phase found. `raw`: all its figures, for JSON; units as the names say."""

    promises: list[Promise] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # for whoever has to find out why

    def figure(self, what: str, measured: str) -> None:
        """A figure without a goal."""
        self.promises.append(Promise(what, measured))

    def holds(self, what: str, measured: str, goal: str, kept: bool) -> None:
        """A figure with a goal, judged."""
        self.promises.append(Promise(what, measured, goal, kept))

    def none(self, what: str, count: int) -> None:
        """What there should be none of."""
        self.holds(what, f"{count:,}", "0", count == 0)

    def at_most(self, what: str, value: float, limit: float, unit: str, digits: int = 1) -> None:
        """A figure with an upper bound."""
        self.holds(what, f"{value:,.{digits}f} {unit}", f"<= {limit:g} {unit}", value <= limit)

    def clean(self, what: str, violations: Sequence[Violation]) -> None:
        """What a checker found: nothing, it is hoped."""
        self.none(what, len(violations))
        if violations:
            self.notes.append(checker.told(list(violations)))

    @property
    def kept(self) -> bool:
        """Nothing was promised that was not kept."""
        return all(promise.kept is not False for promise in self.promises)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"kept": self.kept}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Findings":
        return cls([Promise(**one) for one in document["promises"]], document["raw"], document["notes"])


@dataclass(frozen=True)
class Job:
    """What a phase is to do: with which seed, for how much of its usual length, telling whom how far it is."""

    seed: int
    scale: float
    say: Callable[[str, float], None]  # what is going on; which share of the phase is done

    def seconds(self, usual: float, least: float = 2.0) -> float:
        """The length of something that usually takes so long."""
        return max(least, usual * self.scale)

    def count(self, usual: int, least: int = 1) -> int:
        """As `seconds`, of things."""
        return max(least, round(usual * self.scale))

    def until(self, seconds: float, text: str) -> "Countdown":
        """Seconds that tell how far they are."""
        return Countdown(self, seconds, text)


class Countdown:
    """True while its seconds last; tells how far they are each time it is asked."""

    def __init__(self, job: Job, seconds: float, text: str) -> None:
        self._job = job
        self._seconds = seconds
        self._text = text
        self._began = time.monotonic()

    def __bool__(self) -> bool:
        passed = time.monotonic() - self._began
        self._job.say(self._text, min(1.0, passed / self._seconds))
        return passed < self._seconds


def quantile(values: Sequence[float], q: float) -> float:
    """Of values that were measured, the one at q; not a number where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")
