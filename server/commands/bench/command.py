"""`tureen bench`: from words to an exit code."""

from __future__ import annotations

import json
import platform
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from rich.console import Console

from server.commands.bench.fleet import ClientDied, Material
from server.commands.bench.judge import Verdict, overall
from server.commands.bench.measure import Measurer, NotMeasured, Trial
from server.commands.bench.options import Options, parse
from server.commands.bench.output import as_json
from server.commands.bench.pictures import BadInput, expected_labels, own_pictures, pictures_in
from server.commands.bench.probe import NoServer, probe
from server.commands.bench.target import request
from server.commands.bench.view import Ticker, reasons_of, show_trial, show_trials, show_verdict
from server.process.cpus import usable_cpus
from server.units import DURATION

_INTERRUPTED = 130
_WIDTH = 120  # columns, where it goes to a file or a pipe


def run(argv: Sequence[str]) -> int:
    """Measure, show, write. Returns the exit code: 0 kept, 1 missed, 2 no measurement."""
    options = parse(argv)
    signal.signal(signal.SIGTERM, _end)  # so that the client processes are put away
    out, err = _console(), _console(stderr=True)
    try:
        _check_files(options)
        with TemporaryDirectory(prefix="tureen-bench-") as folder:
            material = _material(options, Path(folder), err)
            trials, capacity, verdict = _measure(options, material, err)
    except (BadInput, NoServer, ClientDied) as error:
        show_verdict(err, Verdict.INVALID, [str(error)])
        return Verdict.INVALID.value
    except KeyboardInterrupt:
        return _INTERRUPTED
    out.print(f"[bold]{options.target.url}[/]  {_promise(options)}\n")
    _show(out, options, trials, capacity, verdict)
    _write(options, trials, capacity, verdict)
    return verdict.value


def _measure(options: Options, material: Material, err: Console) -> tuple[list[Trial], float | None, Verdict]:
    capacity = None
    with ExitStack() as stack:
        ticker = stack.enter_context(Ticker(err))
        measurer = stack.enter_context(Measurer(options, material, ticker.begin))
        if options.find_capacity:
            try:
                capacity, trials = measurer.capacity()
            except NotMeasured as error:
                return [error.trial], None, Verdict.INVALID
            return trials, capacity, Verdict.MISSED if capacity is None else Verdict.KEPT
        trials = [measurer.trial(rate) for rate in options.rates or (0.0,)]
    return trials, None, overall([trial.judgement.verdict for trial in trials])


def _material(options: Options, folder: Path, err: Console) -> Material:
    """The pictures, once the server has taken one of them. Raises `BadInput`, `NoServer`."""
    pictures = pictures_in(options.images) if options.images else own_pictures(folder)
    expected = expected_labels(options.expect, pictures) if options.expect else ()
    first = request(options.target, pictures[0].name, pictures[0].read_bytes(), options.headers, options.multipart)
    probe(options.target, first, options.timeout_s)
    return Material(
        target=options.target,
        pictures=pictures,
        headers=options.headers,
        multipart=options.multipart,
        expected=expected,
    )


def _check_files(options: Options) -> None:
    """What would fail at the end fails at the start. Raises `BadInput`."""
    if options.report:
        try:
            import matplotlib  # noqa: F401  # looked for, not used here
        except ImportError:
            raise BadInput("--report needs matplotlib: pip install 'tureen[report]'") from None
    for flag, file in (("--json", options.json), ("--report", options.report)):
        if file and not file.absolute().parent.is_dir():
            raise BadInput(f"{flag} {file}: there is no folder {file.absolute().parent}")


def _show(out: Console, options: Options, trials: Sequence[Trial], capacity: float | None, verdict: Verdict) -> None:
    if len(trials) == 1 and not options.find_capacity:
        show_trial(out, trials[0])
        return
    if verdict is Verdict.INVALID:
        bad = next(trial for trial in trials if trial.judgement.verdict is Verdict.INVALID)
        if len(trials) > 1:
            show_trials(out, trials)
        show_trial(out, bad)
        return
    show_trials(out, trials)
    if not options.find_capacity:
        reasons = reasons_of(trials)
    elif capacity is None:
        reasons = ["no rate kept the promise"]
    else:
        reasons = [f"capacity: {capacity:,.4g} images/s"]
    show_verdict(out, verdict, reasons)


def _write(options: Options, trials: Sequence[Trial], capacity: float | None, verdict: Verdict) -> None:
    meta = {
        "tool": f"tureen bench {version('tureen')}",
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "client": f"{platform.platform()}, {usable_cpus()} CPUs, Python {platform.python_version()}",
        "url": options.target.url,
        "promise": _promise(options),
    }
    if options.json:
        options.json.write_text(json.dumps(meta | as_json(trials, capacity, verdict), indent=1) + "\n")
    if options.report:
        from server.commands.bench.page import page  # needs the extra

        options.report.write_text(page(meta, trials, capacity, verdict), encoding="utf-8")


def _promise(options: Options) -> str:
    return f"{options.quantile * 100:.6g} % of the offered within {DURATION.show(options.slo_s)}"


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_WIDTH)


def _end(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
