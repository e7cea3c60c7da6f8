"""What a process does about rollouts: routes by them, gathers evidence, and takes the next step when it is due.

Every replica does the same with the same state. What one decides, all follow.
"""

import random
import secrets
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec
import structlog

from server.drift.monitor import Monitor
from server.engine.models import Models
from server.engine.routing import Asked, Observed, Route
from server.experiments.card import Experiment, ExperimentError, read_experiment
from server.models.serving import Serving
from server.repository import state as states
from server.repository.errors import RepositoryError
from server.repository.state import ModelState
from server.rollout import state as rollouts
from server.rollout.choice import choose
from server.rollout.compare import compare
from server.rollout.evidence import LATE, Evidence, Tally
from server.rollout.plan import Plan
from server.rollout.state import Rollout, RolloutError

_TICK_S = 0.5
_TELL_S = 1.0  # between two writes of nothing but evidence

log = structlog.stdlib.get_logger("tureen.rollout")


@dataclass(eq=False, slots=True)
class Live:
    """One model. `raw`: the document that `rollout` was read from. `evidence`: of this process, in this step."""

    raw: dict[str, Any] | None = None
    rollout: Rollout | None = None
    evidence: Evidence = field(default_factory=Evidence)
    changed: bool = False
    """Whether there is evidence that the state does not have."""
    told_at: float = 0.0
    serving: Serving | None = None
    experiment: Experiment | None = None


class Steering:
    """A `Router` and an `Observer`. Its state: what is live of each model, and the rollouts that ended, by result."""

    def __init__(
        self,
        drift: Monitor,
        standby_s: float,
        wall_s: Callable[[], float],
        dice: Callable[[], float] = random.random,
        *,
        stored: bool = True,
    ) -> None:
        """`standby_s`: for which the version before stays loaded. `wall_s`: seconds since 1970. `stored`: records are
        kept, which experiments need."""
        self._stored = stored
        self.drift = drift
        self.live: dict[str, Live] = {}
        self.ended: Counter[tuple[str, str]] = Counter()
        """By model and result."""
        self._standby_s = standby_s
        self._wall_s = wall_s
        self._dice = dice
        self._process = secrets.token_hex(6)
        self._urgent = anyio.Event()

    # -- Router and Observer ---------------------------------------------------------------------------

    def route(self, asked: Asked, state: ModelState, ready: Collection[str], /) -> Route:
        """As `Router`."""
        live = self._follow(asked.model, state)
        return choose(asked, state.default, ready, live.rollout, live.experiment, self._dice)

    def observed(self, one: Observed, /) -> None:
        """As `Observer.observed`."""
        inferred = one.reply if one.reply and one.reply.source == "inference" else None
        if inferred and inferred.features:
            self.drift.note(inferred)
        live = self.live.get(one.model)
        if live is None or live.rollout is None or not live.rollout.active:
            return
        tally = self._tally(live.rollout, live.evidence, one)
        if tally is None or (one.shadow and one.error in LATE):  # a shadow gets what time is left
            return
        tally.count(one.error, one.detail, late=not one.shadow and one.latency_s > one.due_s)
        if inferred:
            tally.took(inferred.batch, inferred.infer_s)
        live.changed = True
        if one.error:
            self._urgent.set()

    def compared(self, primary: Observed, shadow: Observed, /) -> None:
        """As `Observer.compared`."""
        live = self.live.get(primary.model)
        if not (live and live.rollout and live.rollout.active and primary.reply and shadow.reply):
            return
        found = compare(primary.reply.members, shadow.reply.members, live.rollout.plan.guards.tolerance)
        seen = live.evidence.agreement
        seen.pairs += 1
        if not found.same:
            seen.different += 1
            seen.example = seen.example or primary.id
        if found.score_difference is not None:
            seen.scored += 1
            seen.score_difference += found.score_difference
        live.changed = True

    def rollout(self, name: str, state: ModelState) -> Rollout | None:
        """The rollout of a model, as its state says; the last one if none is under way. Raises `RolloutError`."""
        return self._follow(name, state).rollout

    # -- what an operator does ---------------------------------------------------------------------------

    async def begin(self, models: Models, name: str, version: str, plan: Plan) -> Rollout:
        """Load a version and begin to roll it out. Raises `RolloutError`, and what `Models.load` raises."""
        self._check_free(models, name)
        await models.load(name, version)

        def change(state: ModelState) -> ModelState:
            running = _rollout_of(state)
            if running and running.active:
                raise RolloutError(f"version {running.candidate} is being rolled out: end that first")
            begun = rollouts.begun(version, state.default, plan, self._wall_s())
            return _with(states.with_loaded(state, version), begun)

        state = await models.change(name, change)
        rollout = _rollout_of(state)
        assert rollout, "it was just written"
        return rollout

    async def change(self, models: Models, name: str, change: Callable[[Rollout, float], Rollout]) -> Rollout:
        """Change the rollout of a model. Raises `RolloutError`, `StateError`, `StoreFailed`, and what `change` does."""

        def whole(state: ModelState) -> ModelState:
            rollout = _rollout_of(state)
            if rollout is None:
                raise RolloutError(f"no version of {name} has been rolled out")
            return self._applied(state, change(rollout, self._wall_s()))

        rollout = _rollout_of(await models.change(name, whole))
        assert rollout, "it was just written"
        return rollout

    # -- what goes on ------------------------------------------------------------------------------------

    async def run(self, models: Models) -> None:
        """Take the steps of all rollouts when they are due, until cancelled."""
        for name in models.known:
            self._adopt(models, name, models.state(name))
        models.on_state.append(lambda name, state: self._adopt(models, name, state))
        while True:
            with anyio.move_on_after(_TICK_S):
                await self._urgent.wait()
            self._urgent = anyio.Event()
            for name in list(models.known):
                self._read_card(models, name)
                try:
                    await self._step(models, name)
                except (RepositoryError, RolloutError) as error:
                    log.warning("rollout_waits", model=name, reason=str(error))

    async def _step(self, models: Models, name: str) -> None:
        """Decide by the evidence of all; write what is decided, and now and then what was seen here."""
        live, now = self.live.get(name), self._wall_s()
        if live is None or live.rollout is None or not live.rollout.active:
            return
        rollout = live.rollout
        moved = _place(rollouts.decided(self._with_own(rollout, live), now)) != _place(rollout)
        if not moved and not (live.changed and now - live.told_at >= _TELL_S):
            return
        live.changed, live.told_at = False, now

        def change(state: ModelState) -> ModelState:
            there = _rollout_of(state)
            if there is None or _place(there) != _place(rollout):
                return state  # another replica was faster
            return self._applied(state, rollouts.decided(self._with_own(there, live), now))

        await models.change(name, change)

    def _with_own(self, rollout: Rollout, live: Live) -> Rollout:
        return rollouts.with_evidence(rollout, self._process, live.evidence)

    def _applied(self, state: ModelState, rollout: Rollout) -> ModelState:
        """The model's state with this rollout in it, and what follows for its versions."""
        if rollout.phase == "promoted":
            state = states.promoted(state, rollout.candidate, self._wall_s(), self._standby_s)
        elif rollout.phase == "rolled_back" and rollout.candidate != state.default:
            state = states.without(state, rollout.candidate)
        return _with(state, rollout)

    def _check_free(self, models: Models, name: str) -> None:
        self._adopt(models, name, models.state(name))
        if self.live[name].experiment:
            raise RolloutError(f"an experiment with {name} is under way: take [experiment] out of its card first")

    # -- following ---------------------------------------------------------------------------------------

    def _adopt(self, models: Models, name: str, state: ModelState) -> None:
        self._follow(name, state)
        self._read_card(models, name)

    def _follow(self, name: str, state: ModelState) -> Live:
        """What is live of a model by its state. Decodes only what has changed."""
        live = self.live.get(name)
        if live is None:
            live = self.live[name] = Live()
        if state.rollout is not live.raw:
            before, live.raw = live.rollout, state.rollout
            live.rollout = _rollout_of(state)
            if live.rollout and (before is None or _place(before)[:-1] != _place(live.rollout)[:-1]):
                live.evidence, live.changed = Evidence(), False
            if live.rollout:
                self._tell(name, live.rollout, before)
        return live

    def _read_card(self, models: Models, name: str) -> None:
        live, serving = self.live.setdefault(name, Live()), models.known[name].serving
        if serving is live.serving:
            return
        live.serving, live.experiment = serving, None
        try:
            live.experiment = read_experiment(serving.experiment)
        except ExperimentError as error:
            log.error("experiment_unusable", model=name, reason=str(error))
        if live.experiment:
            log.info("experiment", model=name, name=live.experiment.name, arms=dict(live.experiment.shares))
            if not self._stored:
                log.warning("experiment_not_stored", model=name, advice="start with --store: outcomes need the records")

    def _tell(self, name: str, rollout: Rollout, before: Rollout | None) -> None:
        """Log what has happened since."""
        same = before is not None and before.started == rollout.started
        known = before.events[-1].at if same and before and before.events else 0.0
        for event in rollout.events:
            if event.at > known:
                log.info("rollout", model=name, version=rollout.candidate, what=event.what)
        if same and before and before.active and not rollout.active:
            self.ended[name, rollout.phase] += 1

    @staticmethod
    def _tally(rollout: Rollout, evidence: Evidence, one: Observed) -> Tally | None:
        if one.version == rollout.candidate:
            return evidence.shadow if one.shadow else evidence.new
        return evidence.old if one.version == rollout.stable else None


def _rollout_of(state: ModelState) -> Rollout | None:
    """Raises `RolloutError` for a document that this version of Tureen does not know."""
    if not state.rollout:
        return None
    try:
        return msgspec.convert(state.rollout, Rollout, str_keys=True)
    except msgspec.MsgspecError as error:
        raise RolloutError(f"the state of the rollout cannot be read: {error}") from None


def _with(state: ModelState, rollout: Rollout) -> ModelState:
    return msgspec.structs.replace(state, rollout=msgspec.to_builtins(rollout, str_keys=True))


def _place(rollout: Rollout) -> tuple[str, float, int, str]:
    """Which rollout this is, and how far it has come; the phase last."""
    return rollout.candidate, rollout.started, rollout.step, rollout.phase
