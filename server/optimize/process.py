"""An optimisation from the model to its proof: what is tried, in which order. It writes into a work folder only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from pathlib import Path

from msgspec.structs import replace

from server.inference.pictures import pictures as built_in
from server.models.card import Located
from server.optimize import choose
from server.optimize.agreement import Agreement, Compared, summary
from server.optimize.answers import BATCH
from server.optimize.errors import OptimizeError
from server.optimize.forms import Forms
from server.optimize.gate import judge, least_share
from server.optimize.graph import prepare
from server.optimize.paired import ROUNDS, Measure, Speed
from server.optimize.pictures import Pictures, Split
from server.optimize.progress import Progress, Told
from server.optimize.quantise import rewritten
from server.optimize.report import ORIGINAL, Step
from server.optimize.rewrite import Recorded, Rewrite
from server.optimize.trials import Trials
from server.optimize.version import sha256

_ROUND = 100  # work per round of timing, in runs on one picture
_PHOTOS = 8  # that are decoded while the forms are timed


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
    """One optimisation."""

    def __init__(self, located: Located, asked: Path, work: Path, told: Told, measure: Measure) -> None:
        """`work`: an empty folder. `measure` times the forms. Raises `ModelError` if the original cannot be served, and
        `OptimizeError`."""
        self._work = work
        self._asked = asked
        self._measure = measure
        self._progress = Progress(told)
        self._progress.doing("reading the model")
        self.prepared = prepare(located.model_file, work)
        self.trials = Trials(located, self.prepared, work)
        self._forms = Forms(located.model_file, self.prepared, self.trials, work, self._progress)

    def run(self, pictures: Pictures | None, split: Split, least: float, prune: float = 0.0) -> Outcome:
        """Try, time, judge. `prune`: the share of weights to try without.

        Raises `ModelError`, `OptimizeError`, `OSError`.
        """
        share = least_share(len({picture.source for picture in split.held_out}), least)
        needed = least if share is None else share
        calibration = self._forms.expected_work(len(split.calibration))
        self._progress.expect(calibration + ROUNDS * _ROUND + 2 * len(split.held_out))
        self._forms.add_graph()
        if pictures and split.calibration:
            self.trials.see(pictures, split.calibration)
            self._forms.add_int8(needed)
            if self.prepared.transformer:
                self._forms.try_(Rewrite("dynamic-int8"))
            if prune:
                self._forms.try_(Rewrite(pruned=prune))
        return self._judged(pictures, split, self._timed(pictures, split), least, needed)

    def again(self, recorded: Recorded, pictures: Pictures | None, split: Split, least: float) -> Outcome:
        """Do what a recipe says. The same file needs no new proof; another has to pass the gate. Raises as `run`."""
        rewrite, name = recorded.rewrite, str(recorded.rewrite)
        self._progress.expect(ROUNDS * _ROUND + 2 * len(split.held_out))
        file = rewritten(self.prepared, rewrite, self._work / "again.onnx")
        self._forms.add(name, rewrite, file, Step(name))
        self._timed(None, split)
        if sha256(file) == recorded.result:
            return self._outcome(name, "the file is the recorded one, byte for byte")
        if not pictures:
            there = ", ".join(f"{package} {version}" for package, version in recorded.versions.items())
            raise OptimizeError(
                f"the recipe gives another file here than with {there}: --calibrate has to show anew that it agrees"
            )
        return self._looked_at(name, pictures, split, least)

    # -- timing and judging ------------------------------------------------------------------------

    def _timed(self, pictures: Pictures | None, split: Split) -> dict[str, Speed]:
        folder = self._work / "photos"
        folder.mkdir()
        photos = built_in()
        if pictures and split.calibration:
            photos = [pictures.get(one.name) for one in split.calibration[:_PHOTOS]]
        for number, data in enumerate(photos):
            (folder / str(number)).write_bytes(data)
        speeds = self._measure(
            self._asked, self._forms.to_time(), folder, lambda: self._progress.step("measuring", _ROUND)
        )
        steps = self._forms.steps
        for name, speed in speeds.items():
            steps[name] = replace(steps.get(name, Step(name)), speed=speed)
        return {name: speed for name, speed in speeds.items() if name != ORIGINAL}

    def _judged(
        self, pictures: Pictures | None, split: Split, speeds: Mapping[str, Speed], least: float, needed: float
    ) -> Outcome:
        """The held-out pictures are looked at once: whoever looks until something passes has proved nothing."""
        agreements = {name: step.agreement.share for name, step in self._forms.steps.items() if step.agreement}
        waiting = choose.to_the_gate(speeds, agreements, needed if least else 0.0)
        exact = next((name for name in waiting if self._forms.rewrites[name].exact), "")
        missed: Outcome | None = None
        if pictures and waiting and waiting[0] != exact:
            missed = self._looked_at(waiting[0], pictures, split, least)
            if missed.file:
                return missed
        if exact:
            before = f"{missed.reason}; " if missed else ""
            return self._outcome(exact, f"{before}{exact}: its answers are the original's but for rounding")
        return missed or self._outcome("", choose.why_none(speeds, agreements, needed))

    def _looked_at(self, name: str, pictures: Pictures, split: Split, least: float) -> Outcome:
        rows = self.trials.compare_on(
            pictures, split.held_out, self._forms.files[name],
            lambda: self._progress.step("comparing on held-out pictures", 2 * BATCH),
        )  # fmt: skip
        found = summary(rows)
        verdict = judge(found, least)
        if not verdict.passed:
            self._forms.steps[name] = replace(self._forms.steps[name], note=verdict.outcome)
        outcome = self._outcome(name if verdict.passed else "", f"{name}: {verdict.reason}")
        return replaced(outcome, held_out=found, compared=rows)

    def _outcome(self, name: str, reason: str) -> Outcome:
        steps = self._forms.steps
        return Outcome(
            steps=[steps[ORIGINAL], *(step for each, step in steps.items() if each != ORIGINAL)],
            chosen=self._forms.rewrites.get(name),
            file=self._forms.files.get(name) if name else None,
            reason=reason,
            layers=self._forms.layers,
            removed=self.prepared.removed,
        )
