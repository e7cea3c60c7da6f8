"""The forms of a model that are tried: made, compared with the original on the calibration pictures, and kept."""

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from server.models.agreement import disagreement
from server.models.errors import ModelError
from server.optimize import choose
from server.optimize.errors import OptimizeError
from server.optimize.graph import Prepared
from server.optimize.machine import cpu_flags
from server.optimize.progress import Progress
from server.optimize.quantise import METHODS, PASSES, ranges_of, rewritten
from server.optimize.report import ORIGINAL, Step
from server.optimize.rewrite import Rewrite
from server.optimize.search import fewest_kept, ranked_by_error
from server.optimize.trials import Trials

GRAPH = str(Rewrite())
_EXACT = 1e-3  # of an output's largest value: more than rounding
_SENSITIVITY = 16  # pictures, on which each layer alone is tried
_CALIBRATION = 9  # work per calibration picture: three passes that look at every tensor
_NOT_TIMED = "not timed"


class Forms:
    """Its state: of each form, by its name, the `steps`, `files` and `rewrites`; of each of the `layers` its error."""

    def __init__(self, original: Path, prepared: Prepared, trials: Trials, work: Path, progress: Progress) -> None:
        self.files: dict[str, Path] = {ORIGINAL: original}
        self.rewrites: dict[str, Rewrite] = {}
        self.steps: dict[str, Step] = {}
        self.layers: dict[str, float] = {}
        self._prepared = prepared
        self._trials = trials
        self._work = work
        self._progress = progress

    def expected_work(self, count: int) -> float:
        """What is to come at most with so many calibration pictures, in runs on one of them."""
        return count * (_CALIBRATION + 2 * len(METHODS) + 1) + self._mixed_work(count)

    def to_time(self) -> Mapping[str, Path]:
        """The files that are worth it, the original first."""
        chosen = (name for name, step in self.steps.items() if not step.note)
        return {name: self.files[name] for name in (ORIGINAL, *chosen)}

    def add_graph(self) -> None:
        """The optimised graph, if it answers as the original but for rounding. Raises `OptimizeError`, `ModelError`."""
        self._progress.doing("optimising the graph")
        file = rewritten(self._prepared, Rewrite(), self._work / "graph.onnx")
        before, after = self._trials.on_built_in(file)
        apart, _ = disagreement(before, after, self._trials.answers.model.output)
        note = f"differs by {apart:.2%} of the largest value" if apart > _EXACT else ""
        self.add(GRAPH, Rewrite(), file, Step(GRAPH, note=note))

    def add_int8(self, needed: float) -> None:
        """All layers by each method; then, if fewer than `needed` agree, with the most sensitive ones in float."""
        work = _CALIBRATION / PASSES * self._trials.batch
        ranges = ranges_of(self._prepared, self._trials.inputs, lambda: self._progress.step("calibrating", work))
        found: dict[str, tuple[float, float]] = {}
        for group in choose.whole_model(ranges, saturates=choose.saturates(cpu_flags())):
            if found and max(share for share, _ in found.values()) >= needed:
                self._progress.skip(self._trials.count * len(group))
                break
            for rewrite in group:
                if result := self.try_(rewrite, note=_NOT_TIMED):
                    found[str(rewrite)] = result
        name = choose.best(found) if found else ""
        if name:
            self._to_be_timed(name)
        if name and found[name][0] < needed and len(self._prepared.layers) > 1:
            self._add_mixed(self.rewrites[name], needed)
        else:
            self._progress.skip(self._mixed_work(self._trials.count))

    def try_(self, rewrite: Rewrite, note: str = "") -> tuple[float, float] | None:
        """Its agreement and error on the calibration pictures; None if it cannot be made."""
        name = str(rewrite)
        self._progress.step(f"trying {name}", self._trials.count)
        try:
            trial = self._trials.try_(rewrite)
        except (OptimizeError, ModelError) as error:
            self.steps[name] = Step(name, note=str(error))
            return None
        self.add(name, rewrite, trial.file, Step(name, trial.agreement, trial.error, note=note))
        return trial.agreement.share, trial.error

    def add(self, name: str, rewrite: Rewrite, file: Path, step: Step) -> None:
        """A form that has been made."""
        self.files[name], self.rewrites[name], self.steps[name] = file, rewrite, step

    def _add_mixed(self, whole: Rewrite, needed: float) -> None:
        for layer in self._prepared.layers:
            self._progress.step("finding sensitive layers", 2 * _SENSITIVITY)
            self.layers[layer] = self._trials.error_of_layer(whole, layer, _SENSITIVITY)
        search = fewest_kept(ranked_by_error(self.layers), needed)
        tried: dict[str, float] = {}
        chosen: str | None = None
        try:
            kept = next(search)
            while True:
                mixed = replace(whole, kept=tuple(sorted(kept)))
                found = self.try_(mixed, note=_NOT_TIMED)
                tried[str(mixed)] = found[0] if found else 0.0
                kept = search.send(tried[str(mixed)])
        except StopIteration as stop:
            if stop.value:
                chosen = str(replace(whole, kept=stop.value))
        self._to_be_timed(chosen or max(tried, key=lambda each: tried[each]))

    def _to_be_timed(self, name: str) -> None:
        if self.steps[name].note == _NOT_TIMED:
            self.steps[name] = replace(self.steps[name], note="")

    def _mixed_work(self, count: int) -> float:
        layers = len(self._prepared.layers)
        return (2 * _SENSITIVITY * layers + 2 * layers.bit_length() * count) if count else 0.0
