"""What has been seen of the old and the new version, as counts that can be added up over processes."""

import math

import msgspec

_FAILURES = frozenset({"ModelFailed", "BatchFailed", "RetriesExhausted"})
LATE = frozenset({"DeadlineExceeded", "WouldBeLate", "QueueFull", "Unmeetable"})


class Pace(msgspec.Struct):
    """Logarithms of the seconds per image that the model took in batches of one size."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, seconds: float) -> None:
        """One more image."""
        value = math.log(max(seconds, 1e-9))
        self.count += 1
        self.total += value
        self.squares += value * value

    def merge(self, other: "Pace") -> None:
        """Those of another process, too."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares


class Tally(msgspec.Struct):
    """Of one version. Images that were at fault themselves are not counted."""

    requests: int = 0
    failures: int = 0
    """The model's own, those that were not finite included."""
    not_finite: int = 0
    late: int = 0
    """Answered after the deadline, or refused because they would have been."""
    pace: dict[int, Pace] = msgspec.field(default_factory=dict)
    """By the size of the batch."""

    def count(self, error: str, detail: str, *, late: bool) -> None:
        """One request has ended. `error`: the name of its exception, or ""."""
        if error and error not in _FAILURES and error not in LATE:
            return
        self.requests += 1
        self.failures += error in _FAILURES
        self.not_finite += error == "ModelFailed" and "not finite" in detail
        self.late += late or error in LATE

    def took(self, batch: int, seconds: float) -> None:
        """An image's batch took the model so long."""
        if batch > 0:
            self.pace.setdefault(batch, Pace()).add(seconds / batch)

    def merge(self, other: "Tally") -> None:
        """Those of another process, too."""
        self.requests += other.requests
        self.failures += other.failures
        self.not_finite += other.not_finite
        self.late += other.late
        for size, pace in other.pace.items():
            self.pace.setdefault(size, Pace()).merge(pace)


class Agreement(msgspec.Struct):
    """Of answers of both versions to the same images."""

    pairs: int = 0
    different: int = 0
    scored: int = 0
    """Pairs with a score each."""
    score_difference: float = 0.0
    """Summed, absolute."""
    example: str = ""
    """The id of an answer that differed."""

    def merge(self, other: "Agreement") -> None:
        """Those of another process, too."""
        self.pairs += other.pairs
        self.different += other.different
        self.scored += other.scored
        self.score_difference += other.score_difference
        self.example = self.example or other.example


class Evidence(msgspec.Struct):
    """Of one step."""

    old: Tally = msgspec.field(default_factory=Tally)
    new: Tally = msgspec.field(default_factory=Tally)
    """Answers to clients."""
    shadow: Tally = msgspec.field(default_factory=Tally)
    """Runs beside the old version, whose lateness harms nobody."""
    agreement: Agreement = msgspec.field(default_factory=Agreement)

    @property
    def runs(self) -> int:
        """Of the new version."""
        return self.new.requests + self.shadow.requests

    def merge(self, other: "Evidence") -> None:
        """That of another process, too."""
        self.old.merge(other.old)
        self.new.merge(other.new)
        self.shadow.merge(other.shadow)
        self.agreement.merge(other.agreement)


def total(parts: list[Evidence]) -> Evidence:
    """All of them together."""
    together = Evidence()
    for part in parts:
        together.merge(part)
    return together
