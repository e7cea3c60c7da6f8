"""`tureen tune`: from words to a profile."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from server import demo
from server.commands.bar import Bar
from server.commands.tune.measure import Findings, Tuner
from server.commands.tune.options import Options, parse
from server.commands.tune.view import show_table, verdict
from server.contract.wire import Load
from server.fleet.layout import profile as file
from server.fleet.layout.choose import LayoutRequest, Row, choose, every, full
from server.fleet.layout.machine import Key, key_for
from server.models.card import find_model
from server.models.digest import digest
from server.models.errors import ModelError
from server.process.cpus import usable_cpus
from server.process.printable import printable
from server.settings import SettingsError

_OK, _FAILED, _USAGE = 0, 1, 2
_INTERRUPTED, _TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
_WIDTH = 120  # columns, where it goes to a file or a pipe


@dataclass(frozen=True, slots=True)
class Subject:
    """The model that is measured: its name, where its file lies, and all that the result depends on."""

    name: str
    path: Path
    key: Key


def run(argv: Sequence[str]) -> int:
    """Measure, show, save. Returns the exit code."""
    try:
        options = parse(argv)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return _USAGE
    try:
        subject = _subject(options)
        with Bar(_console(stderr=True), "tuning") as bar:
            findings = asyncio.run(_measure(options, subject, bar))
    except (ModelError, OSError) as error:
        return _fail(f"{options.settings.model} cannot be tuned: {error}")
    except KeyboardInterrupt:
        return _INTERRUPTED
    except asyncio.CancelledError:
        return _TERMINATED
    return _conclude(options, subject, findings)


def _subject(options: Options) -> Subject:
    """Raises `ModelError`, `OSError`."""
    path = options.settings.model or demo.FOLDER
    located = find_model(path)
    return Subject(located.card.name, path, key_for(digest(located.model_file), "cpu"))


async def _measure(options: Options, subject: Subject, bar: Bar) -> Findings:
    task = asyncio.current_task()
    assert task
    # SIGINT does the same, by asyncio.run: what waits is cancelled, and the processes are put away.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    settings = options.settings
    load = Load(
        model=str(subject.path),
        max_batch=settings.queue.max_batch,
        max_pixels=settings.upload.max_pixels,
        provider="cpu",
    )
    layouts = (full if options.quick else every)(usable_cpus(), options.asked)
    return await Tuner(load, settings.slo, options.budget_s, bar.show).measure(layouts, 1 if options.quick else 2)


def _conclude(options: Options, subject: Subject, findings: Findings) -> int:
    slo_s, max_batch = options.settings.slo, options.settings.queue.max_batch
    chosen = choose(findings.rows, slo_s, max_batch)
    if not chosen:
        reasons = dict.fromkeys(findings.lost.values())
        return _fail(f"{subject.path} cannot be tuned: {'; '.join(reasons)}")
    out = _console()
    out.print(f"{printable(subject.name)} on {subject.key.cpu}, {subject.key.cpus} CPUs\n", markup=False)
    show_table(out, findings, chosen, slo_s)
    out.print(f"\n{verdict(findings.rows, chosen, slo_s)}", markup=False)
    return _save(options, subject, findings, chosen, out)


def _save(options: Options, subject: Subject, findings: Findings, chosen: Row, out: Console) -> int:
    if options.plot:
        from server.commands.tune.plot import draw  # needs the extra

        try:
            draw(options.plot, f"{subject.name} on {subject.key.cpu}", findings.rows, chosen)
        except OSError as error:
            return _fail(f"plot = {str(options.plot)!r}: cannot be written: {error.strerror}")
    profile = file.Profile(
        name=subject.name,
        when=file.now(),
        key=subject.key,
        workers=options.asked.workers,
        threads=options.asked.threads,
        whole=findings.looked_at >= {*every(usable_cpus(), options.asked)},
        rows=tuple(findings.rows),
    )
    folder = options.settings.worker.profile_folder
    try:
        told = _written(folder, profile)
    except OSError as error:
        return _fail(f"profile_dir = {str(folder)!r}: must be a folder that can be written to: {error.strerror}")
    out.print(told, markup=False, soft_wrap=True)
    return _OK


def _written(folder: Path, profile: file.Profile) -> str:
    """Save it, unless a better one is there; what a person is told about it. Raises `OSError`."""
    path = file.path_of(folder, profile.key, profile.asked)
    if better := file.better(folder, profile):
        return f"Not saved: {path} of {better.date} has more layouts, and stays."
    file.write(folder, profile)
    return f"Saved as {path}: {_use(profile.asked)}."


def _use(asked: LayoutRequest) -> str:
    if len(asked.given) == 2:
        return "to be read, since tureen serve asks no profile where both are given"
    return " ".join(("tureen serve", *(f"--{name} {number}" for name, number in asked.given.items()), "starts with it"))


def _fail(reason: str) -> int:
    print(printable(f"tureen: {reason}"), file=sys.stderr)
    return _FAILED


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_WIDTH)
