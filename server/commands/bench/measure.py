"""Trials: a run, its figures and the judgement on it; and the search for the capacity made of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil

from server.commands.bench.capacity import search
from server.commands.bench.fleet import Fleet, Load, Material, Progress, Run
from server.commands.bench.judge import Judgement, Verdict, judge
from server.commands.bench.options import Options
from server.commands.bench.stats import Summary, summarize
from server.process.cpus import usable_cpus

_EACH = 3000  # requests/s that one process is trusted with
_FIRST_CONNECTIONS, _FIRST_S = 32, 3.0  # of the closed loop that the search begins with
_FIRST_SHARE = 0.7  # of that loop's rate: where it begins


@dataclass(frozen=True, slots=True)
class Trial:
    """One run, judged."""

    run: Run
    summary: Summary
    judgement: Judgement

    @property
    def client_share(self) -> float:
        """CPU of the client, of all that this machine has."""
        return sum(self.run.cpu_s) / (self.summary.window_s * usable_cpus())


class NotMeasured(Exception):
    """A search that met a trial which is no measurement."""

    def __init__(self, trial: Trial) -> None:
        super().__init__("; ".join(trial.judgement.reasons))
        self.trial = trial


class Measurer:
    """Carries out trials with as many client processes as it takes; a context manager that ends them."""

    def __init__(
        self, options: Options, material: Material, begin: Callable[[Load], Callable[[Progress], None]]
    ) -> None:
        self._options = options
        self._material = material
        self._begin = begin  # called before each run; gives what shows its progress
        self._stack = ExitStack()
        self._fleet: Fleet | None = None

    def __enter__(self) -> Measurer:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def trial(self, rate: float) -> Trial:
        """One run at `rate`, 0 for a closed loop; again with more processes if the client was what limited it."""
        trial = self._judged(self._load(rate))
        while trial.judgement.saturated and not self._options.processes and self._size() < usable_cpus():
            self._resize(self._size() * 2)
            trial = self._judged(self._load(rate))
        return trial

    def capacity(self) -> tuple[float | None, list[Trial]]:
        """The highest rate that keeps the promise, and all trials. Raises `NotMeasured`.

        A rate at which nothing is answered, or at which the client has to wait for a CPU, is not kept: that can
        only make the capacity smaller than it is.
        """
        trials: list[Trial] = []
        steps = search(self._options.rates[0] if self._options.rates else self._first_rate())
        rate = next(steps)
        while True:
            trial = self.trial(rate)
            judgement = trial.judgement
            if judgement.verdict is Verdict.INVALID and not (judgement.silent or judgement.late):
                raise NotMeasured(trial)
            trials.append(trial)
            try:
                rate = steps.send(judgement.verdict is Verdict.KEPT)
            except StopIteration as stop:
                return stop.value, trials

    def _first_rate(self) -> float:
        load = self._load(0, min(_FIRST_S, self._options.duration_s), _FIRST_CONNECTIONS)
        trial = self._judged(load)
        if trial.judgement.verdict is Verdict.INVALID:
            raise NotMeasured(trial)
        return max(1.0, trial.summary.rate * _FIRST_SHARE)

    def _load(self, rate: float, duration_s: float = 0.0, connections: int = 0) -> Load:
        given = self._options
        return Load(
            rate=rate,
            connections=connections or given.connections,
            duration_s=duration_s or given.duration_s,
            warmup_s=given.warmup_s,
            timeout_s=given.timeout_s,
            slo_s=given.slo_s,
            pattern=given.pattern,
            seed=given.seed,
        )

    def _judged(self, load: Load) -> Trial:
        wanted = self._options.processes or max(self._size(), min(usable_cpus(), ceil(load.rate / _EACH)), 1)
        if wanted != self._size():
            self._resize(wanted)
        assert self._fleet
        run = self._fleet.run(load, self._begin(load))
        summary = summarize(run.rows, load.duration_s, load.slo_s)
        judgement = judge(
            summary,
            run.cpu_s,
            slo_s=load.slo_s,
            quantile=self._options.quantile,
            allow_cached=self._options.allow_cached,
        )
        return Trial(run, summary, judgement)

    def _size(self) -> int:
        return self._fleet.size if self._fleet else 0

    def _resize(self, processes: int) -> None:
        self._stack.close()
        self._fleet = self._stack.enter_context(Fleet(self._material, processes))
