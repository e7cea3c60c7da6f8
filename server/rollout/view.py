"""A rollout as it is shown. Pure."""

import msgspec

from server.rollout.evidence import Evidence, Tally, total
from server.rollout.guards import slowdown
from server.rollout.state import Event, Rollout, awaited


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one version."""

    requests: int
    failures: int
    not_finite: int
    late: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence, added up over processes. `slowdown`: factor with its bounds, None while too little is known."""

    old: Side
    new: Side
    shadow: Side
    pairs: int
    different: int
    score_difference: float | None
    """Of pairs with scores: the mean, absolute."""
    slowdown: tuple[float, float, float] | None


class RolloutView(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds since 1970."""

    candidate: str
    stable: str
    phase: str
    reason: str
    steps: tuple[str, ...]
    step: int
    started: float
    since: float
    awaited: str
    """What the step still waits for."""
    runs: int
    """Of the new version, in this step."""
    at_least: int
    elapsed_s: float
    dwell_s: float
    seen: Seen
    """In all steps."""
    processes: int
    events: tuple[Event, ...]


def view(rollout: Rollout, now: float) -> RolloutView:
    """`now`: seconds since 1970."""
    step = rollout.current
    return RolloutView(
        candidate=rollout.candidate, stable=rollout.stable, phase=rollout.phase, reason=rollout.reason,
        steps=tuple(map(str, rollout.plan.steps)), step=rollout.step, started=rollout.started, since=rollout.since,
        awaited=awaited(rollout, now) if rollout.active else "", runs=rollout.seen.runs, at_least=step.at_least,
        elapsed_s=now - rollout.since, dwell_s=step.dwell_s,
        seen=_seen(total([rollout.before, *rollout.evidence.values()])), processes=len(rollout.evidence),
        events=rollout.events,
    )  # fmt: skip


def _seen(evidence: Evidence) -> Seen:
    agreement = evidence.agreement
    mean = agreement.score_difference / agreement.scored if agreement.scored else None
    return Seen(
        old=_side(evidence.old), new=_side(evidence.new), shadow=_side(evidence.shadow), pairs=agreement.pairs,
        different=agreement.different, score_difference=mean, slowdown=slowdown(evidence),
    )  # fmt: skip


def _side(tally: Tally) -> Side:
    return Side(requests=tally.requests, failures=tally.failures, not_finite=tally.not_finite, late=tally.late)
