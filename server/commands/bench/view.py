"""What a person sees in the terminal: progress while it runs, a table when it is done."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from server.commands.bench.fleet import Load, Progress
from server.commands.bench.judge import Verdict
from server.commands.bench.measure import Trial
from server.commands.bench.records import outcome_name
from server.commands.bench.stats import Spread

COLUMNS = ("load", "200s/s", "good/s", "good", "p50", "p99", "refused", "errors", "")  # of several runs
_RECENT_S = 1.0
_STYLE = {Verdict.KEPT: "bold green", Verdict.MISSED: "bold red", Verdict.INVALID: "bold red"}
_WORD = {Verdict.KEPT: "KEPT", Verdict.MISSED: "MISSED", Verdict.INVALID: "NO FIGURE"}


class Ticker:
    """The line that moves. `begin` a run, and hand it what comes; it may come from other threads."""

    def __init__(self, console: Console) -> None:
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, Progress]] = deque()
        self._title = "starting"
        self._begun, self._length_s = time.monotonic(), 1.0
        self._failed = self._refused = 0
        self._live = Live(console=console, get_renderable=self._line, refresh_per_second=4, transient=True)

    def __enter__(self) -> Ticker:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, load: Load) -> Ticker:
        """A run of `load` starts now."""
        with self._lock:
            self._title = load_title(load)
            self._begun, self._length_s = time.monotonic(), load.warmup_s + load.duration_s
            self._failed = self._refused = 0
            self._recent.clear()
        return self

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            self._recent.append((time.monotonic(), progress))
            self._failed += progress.failed
            self._refused += progress.refused

    def _line(self) -> RenderableType:
        now = time.monotonic()
        with self._lock:
            while self._recent and self._recent[0][0] < now - _RECENT_S:
                self._recent.popleft()
            recent = [progress for _, progress in self._recent]
            elapsed = now - self._begun
        p99 = max((one.p99_s for one in recent if one.p99_s is not None), default=None)
        settled, good = (sum(getattr(one, name) for one in recent) / _RECENT_S for name in ("settled", "good"))
        line = Text(f"{self._title}  {min(elapsed, self._length_s):4.0f}/{self._length_s:.0f} s  ")
        line.append(f"{settled:,.0f}/s  good {good:,.0f}/s  ", "bold")
        line.append(f"p99 {_ms(p99)}  ")
        line.append(f"refused {self._refused:,}  ", "yellow" if self._refused else "dim")
        line.append(f"errors {self._failed:,}", "red" if self._failed else "dim")
        return line


def load_title(load: Load) -> str:
    """The load in some words."""
    if load.rate:
        return f"open loop, {load.pattern}, {load.rate:,.4g}/s"
    return f"closed loop, {load.connections} connection{'s' * (load.connections > 1)}"


def short_title(load: Load) -> str:
    """The load in one word, beside others of its kind."""
    return f"{load.rate:,.4g}/s" if load.rate else f"{load.connections} at a time"


def facts(trial: Trial) -> list[tuple[str, str]]:
    """A trial's figures, by name, as text; for the terminal and for the page."""
    one, load = trial.summary, trial.run.load
    rows = [
        ("load", f"{load_title(load)}, {load.duration_s:g} s"),
        ("offered", f"{one.offered:,} ({one.offered_rate:,.1f}/s)"),
        ("answered", f"{one.answered:,} ({one.ok:,} with 200; {one.rate:,.1f}/s)"),
        ("good", f"{one.good:,} ({one.goodput:,.1f}/s; {one.good_share:.2%} of the offered)"),
        ("by outcome", by_outcome(trial)),
        ("latency of 200s", spread_text(one.latency)),
    ]
    server = [("queue", one.queue), ("decode", one.decode), ("infer", one.infer)]
    said = [f"{name} {_ms(spread.p50)} / {_ms(spread.p99)}" for name, spread in server if spread]
    if said:
        rows.append(("server, p50 / p99", "  ".join(said)))
    if one.batches:
        rows.append(("batch sizes", batch_text(trial)))
    if one.refused and one.refusal:
        back = one.retry_after
        asked = f"; come back in {back.p50:.3g} s (at most {back.most:.3g})" if back else ""
        rows.append(("refusals", f"{one.refused:,}, p50 {_ms(one.refusal.p50)}, p99 {_ms(one.refusal.p99)}{asked}"))
        if one.kept_share is not None:
            rows.append(("of the admitted", f"{one.kept_share:.2%} good"))
    lag = f", late by {_ms(one.lag.p99)} (p99)" if one.lag and load.rate else ""
    busiest = max(trial.run.cpu_s, default=0.0) / one.window_s
    rows.append(("client", f"{trial.client_share:.1%} of this machine's CPU, {busiest:.0%} of a core{lag}"))
    return rows


def by_outcome(trial: Trial) -> str:
    """Each outcome with its count, the most frequent first."""
    ordered = sorted(trial.summary.outcomes.items(), key=lambda item: -item[1])
    return "  ".join(f"{outcome_name(kind)}: {count:,}" for kind, count in ordered) or "nothing"


def batch_text(trial: Trial) -> str:
    """Which share of the images was answered in a batch of which size."""
    batches = trial.summary.batches
    total = sum(batches.values())
    return "  ".join(f"{size}: {count / total:.0%}" for size, count in sorted(batches.items()) if count / total > 0.005)


def spread_text(spread: Spread | None) -> str:
    """The quantiles in milliseconds."""
    if not spread:
        return "none"
    values = (spread.p50, spread.p90, spread.p99, spread.p999, spread.most)
    names = ("p50", "p90", "p99", "p99.9", "max")
    return "  ".join(f"{name} {_ms(value)}" for name, value in zip(names, values, strict=True))


def show_trial(console: Console, trial: Trial) -> None:
    """The final table of one run; of an invalid one only why it is none, and what came."""
    if trial.judgement.verdict is Verdict.INVALID:
        console.print(_grid([("load", load_title(trial.run.load)), ("by outcome", by_outcome(trial))]))
    else:
        console.print(_grid(facts(trial)))
    show_verdict(console, trial.judgement.verdict, trial.judgement.reasons)


def show_trials(console: Console, trials: Iterable[Trial]) -> None:
    """Several runs, a row each."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "load" else "right", no_wrap=True)
    for trial in trials:
        table.add_row(*trial_row(trial))
    console.print(table)


def trial_row(trial: Trial) -> list[str]:
    """The cells of a row of several runs; a run that is no measurement has no figures."""
    one, verdict = trial.summary, trial.judgement.verdict
    word = _WORD[verdict].lower()
    if verdict is Verdict.INVALID:
        return [short_title(trial.run.load), *[""] * (len(COLUMNS) - 2), word]
    rates = [f"{value:,.1f}" for value in (one.rate, one.goodput)]
    times = [_ms(one.latency.p50), _ms(one.latency.p99)] if one.latency else ["", ""]
    errors = one.offered - one.ok - one.refused
    return [
        short_title(trial.run.load),
        *rates,
        f"{one.good_share:.1%}",
        *times,
        f"{one.refused:,}",
        f"{errors:,}",
        word,
    ]


def reasons_of(trials: Sequence[Trial]) -> list[str]:
    """Why not, each with its run where there are several."""
    several = len(trials) > 1
    return [
        f"{short_title(trial.run.load)}: {reason}" if several else reason
        for trial in trials
        for reason in trial.judgement.reasons
    ]


def show_verdict(console: Console, verdict: Verdict, reasons: Sequence[str]) -> None:
    console.print()
    console.print(Text(_WORD[verdict], _STYLE[verdict]), Text("; ".join(reasons)))


def _grid(rows: Iterable[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, text in rows:
        grid.add_row(name, Text(text))
    return grid


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    ms = seconds * 1000
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:,.1f} ms" if ms < 100 else f"{ms:,.0f} ms"
