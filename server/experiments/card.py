"""`[experiment]` of a card: which version which share of the clients gets. Values and their rules.

[experiment]
name = "tips-in-november"
salt = "a text that spreads clients anew"

[[experiment.arms]]
name = "control"
version = "1"
share = 0.5
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

_NAME = r"[a-z0-9_-]{1,64}"
_MOST_ARMS = 20


class ExperimentError(ValueError):
    """An experiment breaks a rule; the message says which."""


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One variant. `share`: of the clients, above 0."""

    name: str
    version: str
    share: float


class Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first arm is the control. `sticky`: what an assignment sticks to; `client` is the client's key or account,
    and the image's content where there is neither."""

    name: str
    arms: tuple[Arm, ...]
    salt: str = ""
    sticky: Literal["client", "image"] = "client"

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        for name in (self.name, *names):
            if not re.fullmatch(_NAME, name):
                raise ExperimentError(f"names are 1 to 64 of a-z, 0-9, _ and -, got {name!r}")
        if not 2 <= len({*names}) == len(names) <= _MOST_ARMS:
            raise ExperimentError(f"arms must be 2 to {_MOST_ARMS}, each with a name of its own, got {names}")
        if not all(0.0 < arm.share < 1.0 for arm in self.arms):
            raise ExperimentError("shares must be above 0 and below 1")
        if not math.isclose(math.fsum(arm.share for arm in self.arms), 1.0, abs_tol=1e-6):
            raise ExperimentError(f"shares must sum to 1, got {[arm.share for arm in self.arms]}")

    @property
    def seed(self) -> str:
        """What clients are spread by."""
        return self.salt or self.name

    @property
    def shares(self) -> tuple[tuple[str, float], ...]:
        """Each arm with its share."""
        return tuple((arm.name, arm.share) for arm in self.arms)

    def arm(self, name: str) -> Arm:
        """The arm of this name, which must be one."""
        return next(arm for arm in self.arms if arm.name == name)


def read_experiment(table: Mapping[str, Any]) -> Experiment | None:
    """What a card's table says; None for an empty one. Raises `ExperimentError`."""
    if not table:
        return None
    try:
        return msgspec.convert(table, Experiment)
    except msgspec.ValidationError as error:
        raise ExperimentError(f"[experiment]: {error}") from None
