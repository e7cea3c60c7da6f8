"""What a card says about how its model is served beside others. Values and their rules only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from server.units import DURATION

_LONGEST_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The keys of a card outside its tables. None: the server decides.

    `default_version`: what is served until another version is promoted; None is the highest. `default`: this model
    answers requests that name none. `slo`: its deadline, as `--slo`. `share`: the part of the workers' time that it
    gets whatever other models do, 0 to 1. `workers`: processes per version. `warm_up`: images that a version answers
    before it takes traffic. `experiment`: passed on as it is.

    Raises ValueError for a value that breaks its rule.
    """

    default_version: str | None = None
    default: bool = False
    slo: str | float | None = None
    share: float | None = None
    workers: int | None = None
    warm_up: int = 0
    experiment: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.slo is not None and not 0 < (self.slo_s or 0.0) <= _LONGEST_S:
            raise ValueError(f"slo must be above 0 and at most 10 minutes, got {self.slo!r}")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {self.share}")
        if self.workers is not None and not 1 <= self.workers <= 1024:
            raise ValueError(f"workers must be 1 to 1024, got {self.workers}")
        if not 0 <= self.warm_up <= 10_000:
            raise ValueError(f"warm_up must be 0 to 10000, got {self.warm_up}")

    @property
    def slo_s(self) -> float | None:
        """`slo` in seconds. Raises ValueError for a text that is no duration."""
        return None if self.slo is None else float(DURATION.read(self.slo))


SERVER_DECIDES = Serving()
