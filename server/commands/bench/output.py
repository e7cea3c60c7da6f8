"""All figures as JSON. A run that is no measurement has its outcomes and its reasons, and no figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from server.commands.bench.judge import Verdict
from server.commands.bench.measure import Trial
from server.commands.bench.records import outcome_name
from server.commands.bench.stats import Summary, timeline

_DERIVED = ("offered_rate", "goodput", "good_share", "kept_share", "reused_share")


def as_json(trials: Sequence[Trial], capacity: float | None, verdict: Verdict) -> dict[str, Any]:
    """Units as the names say: `_s` seconds, rates per second."""
    return {
        "verdict": verdict.name.lower(),
        "capacity": capacity,
        "runs": [_trial(trial) for trial in trials],
    }


def _trial(trial: Trial) -> dict[str, Any]:
    summary, judgement, load = trial.summary, trial.judgement, trial.run.load
    common = {
        "load": asdict(load),
        "verdict": judgement.verdict.name.lower(),
        "reasons": list(judgement.reasons),
        "outcomes": {outcome_name(kind): count for kind, count in summary.outcomes.items()},
        "client_cpu_s": list(trial.run.cpu_s),
    }
    if judgement.verdict is Verdict.INVALID:
        return common
    slices = [asdict(one) for one in timeline(trial.run.rows, summary.window_s, load.slo_s)]
    return common | {"figures": figures(summary), "timeline": slices}


def figures(summary: Summary) -> dict[str, Any]:
    """Those of a summary, the derived ones included."""
    plain = asdict(summary)
    del plain["outcomes"]
    return plain | {name: getattr(summary, name) for name in _DERIVED}
