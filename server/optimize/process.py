"""An optimisation from the model to its proof: what is tried, in which order. It writes into a work folder only."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from pathlib import Path

from msgspec.structs import replace

from server.inference.pictures import pictures as built_in
from server.models.agreement import disagreement
from server.models.card import Located
from server.models.errors import ModelError
from server.optimize import choose
from server.optimize.agreement import Agreement, Compared, summary
from server.optimize.errors import OptimizeError
from server.optimize.gate import Verdict, judge, least_share
from server.optimize.graph import Prepared, prepare
from server.optimize.machine import cpu_flags
from server.optimize.paired import ROUNDS, Measure, Speed
from server.optimize.pictures import Pictures, Split
from server.optimize.quantise import ranges_of, rewritten
from server.optimize.report import ORIGINAL, Step
from server.optimize.rewrite import Recorded, Rewrite
from server.optimize.search import fewest_kept, ranked_by_error
from server.optimize.trials import Trials
from server.optimize.version import sha256

FLOAT = Rewrite("float")
_EXACT = 1e-3  # of an output's largest value: more than rounding
_SENSITIVITY = 16  # pictures, on which each layer alone is tried

Told = Callable[[float, float, str], None]
"""Hears how much is done, of how much, and what is being done."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found. `chosen`: what may be written, with its file; None with the `reason`."""

    steps: list[Step]
    chosen: Rewrite | None
    file: Path | None
    reason: str
    held_out: Agreement | None = None
    compared: list[Compared] = field(default_factory=list)
    layers: Mapping[str, float] = field(default_factory=dict)
    removed: int = 0


class Optimizer:
    """One optimisation. Its state: the `steps` so far, with the file of each."""

    def __init__(self, located: Located, asked: Path, work: Path, told: Told, measure: Measure) -> None:
        """`work`: an empty folder. `measure` times the forms. Raises `ModelError` if the original cannot be served, and
        `OptimizeError`."""
        self._work = work
        self._asked = asked
        self._measure = measure
        self._progress = _Progress(told)
        self._progress.start("reading the model", 1)
        self.prepared: Prepared = prepare(located.model_file, work)
        self.trials = Trials(located, self.prepared, work)
        self._files: dict[str, Path] = {ORIGINAL: located.model_file}
        self._rewrites: dict[str, Rewrite] = {}
        self._steps: dict[str, Step] = {}
        self._layers: dict[str, float] = {}

    def run(self, pictures: Pictures | None, split: Split, least: float) -> Outcome:
        """Try, measure, judge. Raises `ModelError`, `OptimizeError`, `OSError`."""
        needed = least_share(len({picture.source for picture in split.held_out}), least)
        self._plan(split)
        self._float()
        if pictures and split.calibration:
            self.trials.see(pictures, split.calibration)
            self._int8(needed if needed is not None else least)
            if self.prepared.transformer:
                self._try(Rewrite("dynamic-int8"))
        speeds = self._measured(self._photos(pictures, split))
        return self._judged(pictures, split, speeds, least, needed if needed is not None else least)

    def again(self, recorded: Recorded, pictures: Pictures | None, split: Split, least: float) -> Outcome:
        """Do what a recipe says. The same file needs no new proof; another has to pass the gate. Raises as `run`."""
        rewrite, name = recorded.rewrite, str(recorded.rewrite)
        self._plan(Split((), split.held_out))
        file = rewritten(self.prepared, rewrite, self._work / "again.onnx")
        self._add(name, rewrite, file, Step(name))
        self._measured(self._photos(None, split))
        if sha256(file) == recorded.result:
            return self._outcome(name, "the file is the recorded one, byte for byte")
        if not pictures:
            there = ", ".join(f"{package} {version}" for package, version in recorded.versions.items())
            raise OptimizeError(
                f"the recipe gives another file here than with {there}: --calibrate has to show anew that it agrees"
            )
        rows = self._held_out(pictures, split, name)
        verdict = judge(summary(rows), least)
        outcome = self._outcome(name if verdict.passed else "", f"{name}: {verdict.reason}")
        return replaced(outcome, held_out=summary(rows), compared=rows)

    # -- what is tried -----------------------------------------------------------------------------

    def _float(self) -> None:
        self._progress.start("optimising the graph", 1)
        file = rewritten(self.prepared, FLOAT, self._work / "graph.onnx")
        apart = self._apart(file)
        if apart > _EXACT:
            self._steps["graph"] = Step("graph", note=f"differs by {apart:.2%} of the largest value")
            return
        self._add("graph", FLOAT, file, Step("graph"))

    def _int8(self, needed: float) -> None:
        """All layers by each method, then with the most sensitive ones in float as far as it must be."""
        ranges = ranges_of(self.prepared, self.trials.inputs, lambda: self._progress.step("calibrating"))
        found: dict[str, tuple[float, float]] = {}
        for rewrite in choose.whole_model(ranges, saturates=choose.saturates(cpu_flags())):
            if result := self._try(rewrite, measured=False):
                found[str(rewrite)] = result
        if not found:
            return
        name = choose.best(found)
        self._steps[name] = replace(self._steps[name], note="")
        if found[name][0] < needed and len(self.prepared.layers) > 1:
            self._mixed(self._rewrites[name], needed)

    def _mixed(self, whole: Rewrite, needed: float) -> None:
        for name in self.prepared.layers:
            self._layers[name] = self.trials.error_of_layer(whole, name, _SENSITIVITY)
            self._progress.step("finding sensitive layers")
        search = fewest_kept(ranked_by_error(self._layers), needed)
        tried: dict[str, float] = {}
        kept: tuple[str, ...] = next(search)
        chosen: str | None = None
        try:
            while True:
                mixed = replace(whole, kept=tuple(sorted(kept)))
                found = self._try(mixed, measured=False)
                tried[str(mixed)] = found[0] if found else 0.0
                kept = search.send(tried[str(mixed)])
        except StopIteration as stop:
            if stop.value:
                chosen = str(replace(whole, kept=stop.value))
        name = chosen or max(tried, key=lambda each: tried[each])
        self._steps[name] = replace(self._steps[name], note="")

    def _try(self, rewrite: Rewrite, *, measured: bool = True) -> tuple[float, float] | None:
        """Its agreement and error on the calibration pictures; None if it cannot be made."""
        name = str(rewrite)
        self._progress.step(f"trying {name}")
        try:
            trial = self.trials.try_(rewrite)
        except (OptimizeError, ModelError) as error:
            self._steps[name] = Step(name, note=str(error))
            return None
        note = "" if measured else _NOT_TIMED
        self._add(name, rewrite, trial.file, Step(name, trial.agreement, trial.error, note=note))
        return trial.agreement.share, trial.error

    def _add(self, name: str, rewrite: Rewrite, file: Path, step: Step) -> None:
        self._files[name], self._rewrites[name], self._steps[name] = file, rewrite, step

    # -- what is measured and judged ---------------------------------------------------------------

    def _measured(self, photos: Mapping[str, bytes]) -> dict[str, Speed]:
        folder = self._work / "photos"
        folder.mkdir()
        for name, data in photos.items():
            (folder / name).write_bytes(data)
        timed = {ORIGINAL: self._files[ORIGINAL]} | {
            name: self._files[name] for name, step in self._steps.items() if not step.note
        }
        speeds = self._measure(self._asked, timed, folder, lambda: self._progress.step("measuring"))
        for name, speed in speeds.items():
            before = self._steps.get(name, Step(name))
            self._steps[name] = Step(name, before.agreement, before.error, speed)
        return speeds

    def _judged(
        self, pictures: Pictures | None, split: Split, speeds: Mapping[str, Speed], least: float, needed: float
    ) -> Outcome:
        agreements = {name: step.agreement.share for name, step in self._steps.items() if step.agreement}
        timed = {name: speed for name, speed in speeds.items() if name != ORIGINAL}
        waiting = choose.to_the_gate(timed, agreements, needed if least else 0.0)
        reason = "" if waiting else choose.why_none(timed, agreements, needed)
        looked: tuple[Agreement | None, list[Compared]] = (None, [])
        for name in waiting:
            if self._rewrites[name].precision == "float":
                return self._outcome(name, "its answers are the original's but for rounding")
            if looked[0] is None and pictures:  # one look only: to look until something passes would prove nothing
                rows = self._held_out(pictures, split, name)
                looked = summary(rows), rows
                verdict: Verdict = judge(looked[0], least)
                reason = f"{name}: {verdict.reason}"
                if verdict.passed:
                    return replaced(self._outcome(name, reason), held_out=looked[0], compared=rows)
                self._steps[name] = replace(self._steps[name], note=verdict.outcome)
        return replaced(self._outcome("", reason), held_out=looked[0], compared=looked[1])

    def _held_out(self, pictures: Pictures, split: Split, name: str) -> list[Compared]:
        return self.trials.compare_on(
            pictures, split.held_out, self._files[name], lambda: self._progress.step("comparing on held-out pictures")
        )

    def _outcome(self, name: str, reason: str) -> Outcome:
        first = self._steps.pop(ORIGINAL)
        return Outcome(
            steps=[first, *self._steps.values()],
            chosen=self._rewrites.get(name),
            file=self._files.get(name) if name else None,
            reason=reason,
            layers=self._layers,
            removed=self.prepared.removed,
        )

    def _apart(self, file: Path) -> float:
        """How far a model is from the original on the built-in pictures, as a part of the largest value."""
        before, after = self.trials.on_built_in(file)
        return disagreement(before, after, self.trials.answers.model.output)[0]

    @staticmethod
    def _photos(pictures: Pictures | None, split: Split) -> dict[str, bytes]:
        if pictures and split.calibration:
            return {f"{number}": pictures.get(one.name) for number, one in enumerate(split.calibration[:8])}
        return {f"{number}": data for number, data in enumerate(built_in())}

    def _plan(self, split: Split) -> None:
        """How many steps are to come, at most."""
        batches = -(-len(split.calibration) // self.trials.batch)
        layers = len(self.prepared.layers) + 12 if split.calibration else 0
        self._progress.expect(1 + 3 * batches + 8 + layers + ROUNDS + -(-len(split.held_out) // 8))


_NOT_TIMED = "not timed"


class _Progress:
    """Counts steps. Its state: `_done` of `_total`."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._done, self._total = 0.0, 1.0
        self.begun = time.monotonic()

    def expect(self, steps: int) -> None:
        self._total = self._done + steps

    def start(self, doing: str, steps: int) -> None:
        self._told(self._done, self._total, doing)
        self._done += steps - 1

    def step(self, doing: str) -> None:
        self._done = min(self._done + 1, self._total)
        self._told(self._done, self._total, doing)
