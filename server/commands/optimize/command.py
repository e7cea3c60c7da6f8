"""Carries out `tureen optimize`."""

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from server.cleanup.opening import open_store
from server.cleanup.stores import StoreError
from server.commands.bar import Bar
from server.commands.optimize import page, view
from server.commands.optimize.options import Options, parse
from server.models.card import Located, find_model
from server.models.errors import ModelError
from server.optimize import report as reports
from server.optimize.agreement import most_different
from server.optimize.errors import OptimizeError
from server.optimize.gate import too_few
from server.optimize.machine import machine, versions
from server.optimize.paired import Measure, measure
from server.optimize.pictures import SOURCE, Folder, Pictures, Split, Stored, look_through, split
from server.optimize.process import Optimizer, Outcome
from server.optimize.providers import check_provider
from server.optimize.publish import golden_of, publish
from server.optimize.report import Counts, Report
from server.optimize.rewrite import Recorded, load
from server.optimize.version import sha256, target
from server.process.printable import printable
from server.settings.topics import StorageSettings

_OK, _FAILED = 0, 1
_DIFFERENT = 12  # pictures in the report


@dataclass(frozen=True, slots=True)
class _Input:
    """What the command line names. `pictures`: None without `--calibrate`."""

    located: Located
    pictures: Pictures | None
    split: Split
    counts: Counts
    recorded: Recorded | None


def run(argv: Sequence[str], measure: Measure = measure) -> int:
    """Optimise, write, show. `measure` times the forms. Returns the exit code."""
    options = parse(argv)
    signal.signal(signal.SIGTERM, _interrupt)  # the same clean end
    try:
        return _run(options, measure)
    except (ModelError, OptimizeError, StoreError) as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename or options.model}: {error.strerror}"
    except KeyboardInterrupt:
        print("tureen optimize: interrupted; nothing was written", file=sys.stderr)
        return 128 + signal.SIGINT
    print(printable(f"tureen optimize: {options.model}: {reason}"), file=sys.stderr)
    return _FAILED


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(options: Options, measure: Measure) -> int:
    begun = time.monotonic()
    check_provider(options.provider)
    given = _read(options)
    final = target(given.located, options.model, options.out)
    with tempfile.TemporaryDirectory(prefix="tureen-optimize-") as name:
        with Bar(Console(stderr=True), "optimizing", time_left=True) as bar:

            def told(done: float, total: float, doing: str) -> None:
                bar.show(done, doing, total)

            optimizer = Optimizer(given.located, options.model, Path(name), told, measure)
            if given.recorded:
                outcome = optimizer.again(given.recorded, given.pictures, given.split, options.agree)
            else:
                outcome = optimizer.run(given.pictures, given.split, options.agree, options.prune)
        report = _report(options, given, final, optimizer, outcome, begun)
        if outcome.file:
            report = _publish(options, given, final, optimizer, outcome, report)
    view.show(options, report, final if outcome.file else None)
    return _OK if outcome.file else _FAILED


def _read(options: Options) -> _Input:
    located = find_model(options.model)
    recorded = load(options.recipe) if options.recipe else None
    if recorded and recorded.original != sha256(located.model_file):
        raise OptimizeError(f"{options.recipe} is about another model: SHA-256 {recorded.original}")
    pictures = _pictures(options)
    if pictures is None:
        return _Input(located, None, Split((), ()), Counts(), recorded)
    found = look_through(pictures, pictures.names(), options.source or SOURCE)
    if not found:
        raise OptimizeError(f"{options.calibrate}: there are no pictures")
    parts = split(found)
    sources = len({picture.source for picture in found})
    if reason := too_few(sources, options.agree):
        raise OptimizeError(reason)
    counts = Counts(len(found), sources, len(parts.calibration), len(parts.held_out))
    return _Input(located, pictures, parts, counts, recorded)


def _pictures(options: Options) -> Pictures | None:
    if not options.calibrate:
        return None
    if "://" not in options.calibrate:
        return Folder(Path(options.calibrate))
    try:
        settings = StorageSettings(store=options.calibrate, s3_endpoint=options.s3_endpoint)
    except ValueError:  # pydantic's
        raise OptimizeError(f"--calibrate {options.calibrate}: must be a folder or s3://BUCKET/PREFIX") from None
    return Stored(open_store(settings))


def _report(
    options: Options, given: _Input, final: Path, optimizer: Optimizer, outcome: Outcome, begun: float
) -> Report:
    counts = given.counts
    skipped = len({*optimizer.trials.answers.skipped})
    return Report(
        model=given.located.card.name,
        original=given.located.card.version,
        version=final.name,
        machine=machine(),
        least=options.agree,
        pictures=Counts(counts.found, counts.sources, counts.calibration, counts.held_out, skipped),
        steps=outcome.steps,
        chosen=str(outcome.chosen) if outcome.file else "",
        reason=outcome.reason,
        held_out=outcome.held_out,
        different=most_different(outcome.compared, _DIFFERENT),
        layers=outcome.layers,
        removed_channels=outcome.removed,
        seconds=round(time.monotonic() - begun, 1),
    )


def _publish(
    options: Options, given: _Input, final: Path, optimizer: Optimizer, outcome: Outcome, report: Report
) -> Report:
    assert outcome.file
    assert outcome.chosen
    golden = golden_of(given.located, options.model, optimizer.trials, outcome.file)
    report = reports.with_golden(report, golden.tolerance if golden else None)
    recorded = Recorded(
        original=sha256(given.located.model_file),
        result=sha256(outcome.file),
        calibration=given.recorded.calibration if given.recorded else given.split.digest,
        versions=versions(),
        rewrite=outcome.chosen,
    )
    document = page.page(report, _reader(given.pictures))
    publish(given.located, options.model, final, outcome.file, recorded, report, document, golden)
    return report


def _reader(pictures: Pictures | None) -> Callable[[str], bytes]:
    return pictures.get if pictures else lambda _: b""
