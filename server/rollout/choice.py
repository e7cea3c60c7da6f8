"""Which version answers, by a rollout, an experiment, or neither. Pure, but for the dice that pick shadows."""

from collections.abc import Callable, Collection

from server.engine.routing import Asked, Route
from server.experiments.card import Experiment
from server.rollout.assignment import arm_of, position, pseudonym, within
from server.rollout.state import Rollout

CANARY = "canary"


def choose(
    asked: Asked,
    default: str,
    ready: Collection[str],
    rollout: Rollout | None,
    experiment: Experiment | None,
    dice: Callable[[], float],
) -> Route:
    """A version that is asked for by name is given. A rollout takes precedence over an experiment. A version that is
    not ready gets nothing. `dice`: evenly from 0 to 1."""
    if asked.version:
        return Route(asked.version)
    if rollout and rollout.active:
        return _by_rollout(asked, default, ready, rollout, dice)
    if experiment:
        return _by_experiment(asked, default, ready, experiment)
    return Route(default)


def _by_rollout(
    asked: Asked, default: str, ready: Collection[str], rollout: Rollout, dice: Callable[[], float]
) -> Route:
    step, candidate = rollout.current, rollout.candidate
    if candidate not in ready:
        return Route(default)
    if step.kind == "shadow":
        return Route(default, (candidate,) if dice() < step.share else ())
    if step.share >= 1.0 or within(position(rollout.salt, asked.key()), step.share):
        return Route(candidate, arm=CANARY, fallback=default)
    return Route(default)


def _by_experiment(asked: Asked, default: str, ready: Collection[str], experiment: Experiment) -> Route:
    key = asked.key()
    arm = experiment.arm(arm_of(position(experiment.seed, key), experiment.shares))
    if arm.version not in ready:
        return Route(default)  # and it is no part of the experiment
    return Route(arm.version, arm=f"{experiment.name}/{arm.name}", unit=pseudonym(experiment.seed, key))
