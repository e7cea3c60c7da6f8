"""A plan of a rollout: its steps, and what ends it. Values and their rules; read from TOML, or by name.

steps = ["shadow 10%", "canary 1%", "canary 10%", "canary 50%", "canary 100%"]
dwell = "10m"
at_least = 200

[guards]
error_rate = 0.01
"""

import re
import tomllib
from typing import Any, Literal

import msgspec

from server.units import DURATION

Kind = Literal["shadow", "canary"]

_STEP = re.compile(r"(?:(shadow|canary) +)?([0-9]{1,3}(?:\.[0-9]{1,4})?) *%(?: +for +(\S+))?")
_LONGEST_S = 30 * 86400.0
_MOST_STEPS = 50


class PlanError(ValueError):
    """A plan breaks a rule; the message says which."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `shadow`: this share of the requests runs on the new version, too. `canary`: it is answered by it."""

    kind: Kind
    share: float
    """Above 0, at most 1."""
    dwell_s: float
    """Seconds that it lasts at least."""
    at_least: int
    """Images that the new version must have run."""

    def __str__(self) -> str:
        return f"{self.kind} {self.share * 100:g}%"


class Guards(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the new version may do. Rates are shares of its requests, 0 to 1."""

    error_rate: float = 0.01
    """By which its rate of failures may exceed the old version's."""
    late: float = 0.02
    """By which its rate of answers after the deadline, or refused for it, may exceed the old version's."""
    slowdown: float = 1.5
    """Factor by which it may take longer per image than the old version, at least 1."""
    disagreement: float = 0.05
    """Rate at which its answer may differ from the old version's, in shadow."""
    tolerance: float = 0.05
    """Difference of scores, beyond which answers differ; as a part of the old version's, or absolute below 1."""
    not_finite: int = 0
    """Images of which its output may be NaN or infinite."""

    def __post_init__(self) -> None:
        for name in ("error_rate", "late", "disagreement", "tolerance"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise PlanError(f"guards.{name} must be a number from 0 to 1, got {getattr(self, name)}")
        if not 1.0 <= self.slowdown <= 1000.0:
            raise PlanError(f"guards.slowdown must be a factor from 1 to 1000, got {self.slowdown}")
        if self.not_finite < 0:
            raise PlanError(f"guards.not_finite must not be negative, got {self.not_finite}")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Steps in their order, and the guards that hold in each."""

    steps: tuple[Step, ...]
    guards: Guards = Guards()

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= _MOST_STEPS:
            raise PlanError(f"steps must be 1 to {_MOST_STEPS}, got {len(self.steps)}")
        for step in self.steps:
            if not 0.0 < step.share <= 1.0:
                raise PlanError(f"a step's share must be above 0% and at most 100%, got {step.share:.6g}")
            if step.at_least < 0 or not 0.0 <= step.dwell_s <= _LONGEST_S:
                raise PlanError("dwell must be at most 30 days, and at_least not negative")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan as a file has it."""

    steps: list[str]
    dwell: str | float = "10m"
    at_least: int = 200
    guards: Guards = Guards()


STANDARD = """\
steps = ["shadow 10%", "canary 1%", "canary 10%", "canary 50%", "canary 100%"]
"""
BLUE_GREEN = """\
steps = ["canary 100%"]
"""
NAMED = {"standard": STANDARD, "blue-green": BLUE_GREEN}
"""Plans that can be asked for by name."""


def read_plan(text: str) -> Plan:
    """A plan in TOML. Raises `PlanError`."""
    try:
        table = msgspec.convert(tomllib.loads(text), _Table)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PlanError(str(error)) from None
    return Plan(steps=_steps(table), guards=table.guards)


def plan_of(document: Any) -> Plan:  # noqa: ANN401 - JSON that a client sent
    """A plan in JSON, as `msgspec.to_builtins` gives it. Raises `PlanError`."""
    try:
        return msgspec.convert(document, Plan)
    except msgspec.ValidationError as error:
        raise PlanError(str(error)) from None


def _steps(table: _Table) -> tuple[Step, ...]:
    steps: list[Step] = []
    kind: Kind = "canary"
    for text in table.steps:
        found = _STEP.fullmatch(text.strip())
        if not found:
            raise PlanError(f"a step must be such as 'shadow 10%' or 'canary 1% for 1h', got {text!r}")
        kind = "shadow" if found[1] == "shadow" else "canary"
        dwell_s = _seconds(found[3] or table.dwell)
        steps.append(Step(kind=kind, share=float(found[2]) / 100, dwell_s=dwell_s, at_least=table.at_least))
    return tuple(steps)


def _seconds(given: str | float) -> float:
    try:
        return DURATION.read(given)
    except ValueError as error:
        raise PlanError(f"a time must be such as 30s, 10m or 24h: {error}") from None
