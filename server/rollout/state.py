"""The state of a rollout: a value, and the changes that it can go through. Pure; times are seconds since 1970.

It lies in the model's state (`server.models.state`), which all processes follow and change by compare-and-swap. So the
evidence of each process is in it, and whichever sees a guard breached rolls back for all.
"""

import secrets
from typing import Literal

import msgspec

from server.rollout.evidence import Evidence, total
from server.rollout.guards import breach
from server.rollout.plan import Plan, Step

Phase = Literal["running", "paused", "promoted", "rolled_back"]

_MOST_EVENTS = 100


class RolloutError(Exception):
    """A change does not fit the state; the message says why."""


class BadPlan(RolloutError):
    """What was sent is no plan; the message says why."""


class Event(msgspec.Struct, frozen=True):
    """What happened, for people."""

    at: float
    what: str


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """`salt`: spreads clients over shares; secret, so that none can choose. `since`: when the step began."""

    candidate: str
    stable: str
    plan: Plan
    salt: str
    started: float
    since: float
    step: int = 0
    phase: Phase = "running"
    reason: str = ""
    """Why it ended, or was paused."""
    evidence: dict[str, Evidence] = {}
    """Of this step, by process."""
    before: Evidence = msgspec.field(default_factory=Evidence)
    """Of the steps before."""
    events: tuple[Event, ...] = ()

    @property
    def active(self) -> bool:
        """Whether the new version gets traffic."""
        return self.phase in ("running", "paused")

    @property
    def current(self) -> Step:
        """The step it is at."""
        return self.plan.steps[self.step]

    @property
    def seen(self) -> Evidence:
        """All evidence of this step."""
        return total(list(self.evidence.values()))


def begun(candidate: str, stable: str, plan: Plan, now: float) -> Rollout:
    """A rollout at its first step. Raises `RolloutError`."""
    if candidate == stable:
        raise RolloutError(f"version {candidate} is the one that serves already")
    started = Rollout(candidate=candidate, stable=stable, plan=plan, salt=secrets.token_hex(16), started=now, since=now)
    return _told(started, now, f"started: {started.current}")


def with_evidence(rollout: Rollout, process: str, evidence: Evidence) -> Rollout:
    """What this process has seen in this step."""
    return msgspec.structs.replace(rollout, evidence={**rollout.evidence, process: evidence})


def paused(rollout: Rollout, now: float) -> Rollout:
    """It stays at its step; guards still hold. Raises `RolloutError`."""
    if rollout.phase != "running":
        raise RolloutError(f"it is {rollout.phase.replace('_', ' ')}, not running")
    return _told(msgspec.structs.replace(rollout, phase="paused"), now, "paused")


def resumed(rollout: Rollout, now: float) -> Rollout:
    """It goes on. Raises `RolloutError`."""
    if rollout.phase != "paused":
        raise RolloutError(f"it is {rollout.phase.replace('_', ' ')}, not paused")
    return _told(msgspec.structs.replace(rollout, phase="running"), now, "resumed")


def rolled_back(rollout: Rollout, now: float, reason: str) -> Rollout:
    """The new version gets no more traffic. Raises `RolloutError` where it has none."""
    _check_active(rollout)
    ended = msgspec.structs.replace(rollout, phase="rolled_back", reason=reason)
    return _told(ended, now, f"rolled back: {reason}")


def promoted(rollout: Rollout, now: float) -> Rollout:
    """The new version is the one that serves. Raises `RolloutError` where it has no traffic."""
    _check_active(rollout)
    return _told(msgspec.structs.replace(rollout, phase="promoted"), now, "promoted")


def decided(rollout: Rollout, now: float) -> Rollout:
    """What the evidence makes of it: rolled back, at its next step, promoted, or as it was."""
    if not rollout.active:
        return rollout
    whole = _whole(rollout)
    if reason := breach(whole, rollout.plan.guards):
        return rolled_back(rollout, now, f"at {rollout.current}: {reason}")
    if rollout.phase == "paused" or awaited(rollout, now):
        return rollout
    if rollout.step + 1 == len(rollout.plan.steps):
        return promoted(rollout, now)
    following = msgspec.structs.replace(rollout, step=rollout.step + 1, since=now, evidence={}, before=whole)
    return _told(following, now, f"next: {following.current}")


def awaited(rollout: Rollout, now: float) -> str:
    """What this step still waits for, in words; "" if nothing."""
    step, runs = rollout.current, rollout.seen.runs
    waits = []
    if runs < step.at_least:
        waits.append(f"{step.at_least - runs} more images")
    if (left_s := rollout.since + step.dwell_s - now) > 0:
        waits.append(f"{left_s:.0f} s")
    return " and ".join(waits)


def _whole(rollout: Rollout) -> Evidence:
    """This step's evidence, and that of the steps before."""
    return total([rollout.before, *rollout.evidence.values()])


def _check_active(rollout: Rollout) -> None:
    if not rollout.active:
        raise RolloutError(f"it has ended: {rollout.phase.replace('_', ' ')}")


def _told(rollout: Rollout, now: float, what: str) -> Rollout:
    return msgspec.structs.replace(rollout, events=(*rollout.events, Event(now, what))[-_MOST_EVENTS:])
