"""The command line of `tureen tune`. It imports fast: the help loads nothing that measuring needs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from server.fleet.layout.choose import LayoutRequest
from server.settings import Settings, SettingsError, add_arguments, load_settings
from server.units import DURATION

ABOUT = """\
Measure the best layout for a model on this machine: how many worker processes with how many threads, and which batch
size. All workers of a layout run at the same time and decode a photo per image, as they do when they serve. The result
is saved as a profile. `tureen serve` uses it as long as the model, the machine and the versions are the same.

Without a profile, `tureen serve` measures briefly at each start.
"""

EXAMPLES = """\
examples:
  tureen tune food.onnx                                a minute; serve then uses the best layout
  tureen tune food.onnx --quick                        ten seconds
  tureen tune food.onnx --slo 100ms --max-batch 8      for your deadline and your largest batch
  tureen tune food.onnx --workers 2                    two workers, the best number of threads
  tureen tune food.onnx --plot layouts.svg             with a plot

exit code: 0 measured and saved, 1 not (the model cannot be served, or the file cannot be written), 2 usage error.
Run it on an otherwise idle machine. docs/tune.md explains the table.
"""

T = TypeVar("T")

_SHARED = ("workers", "threads", "profile_dir", "max_batch", "slo")  # settings shared with serve
_BUDGET_S, _QUICK_S, _LEAST_S, _MOST_S = 60.0, 10.0, 1.0, 3600.0
_PLOTS = (".svg", ".png")


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line. `settings`: those that `tureen serve` would have."""

    settings: Settings
    quick: bool
    budget_s: float
    plot: Path | None

    @property
    def asked(self) -> LayoutRequest:
        """What the operator has fixed of the layout."""
        return LayoutRequest(self.settings.worker.workers, self.settings.worker.threads)


def add_all_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all arguments. They only collect text: `parse` reads and checks it."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", default=argparse.SUPPRESS,
        help="an .onnx file or a model folder (default: the demo model)",
    )  # fmt: skip
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a first look: --budget {_QUICK_S:g}s, only layouts that use all CPUs, measured once",
    )
    parser.add_argument(
        "--budget", metavar="DURATION", help=f"total time, without loading models (default: {_BUDGET_S:g}s)"
    )
    parser.add_argument("--plot", metavar="FILE", help="plot it as .svg or .png (needs pip install 'tureen[report]')")
    add_arguments(parser, _SHARED)


def parse(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Options:
    """Read the words after `tune`, and the settings' other sources.

    Raises `SettingsError`, which lists all that is wrong.
    """
    parser = argparse.ArgumentParser(prog="tureen tune", allow_abbrev=False, exit_on_error=False)
    add_all_arguments(parser)
    known, unknown = parser.parse_known_args(argv)
    problems = [f"{word} (command line): tureen tune has no such flag or argument" for word in unknown]
    budget_s = _checked(_budget, known, problems)
    plot = _checked(_plot, known, problems)
    settings = _settings(vars(known), environ, problems)
    if problems or not settings or budget_s is None:
        raise SettingsError(problems)
    return Options(settings, known.quick, budget_s, plot)


def _settings(known: Mapping[str, Any], environ: Mapping[str, str] | None, problems: list[str]) -> Settings | None:
    words = [f"--{name.replace('_', '-')}={known[name]}" for name in ("config", *_SHARED) if name in known]
    words += ["--", known["model"]] if "model" in known else []
    try:
        settings = load_settings(words, environ)
    except SettingsError as error:
        problems += error.problems
        return None
    if settings.provider_name == "cuda":
        problems.append(
            f"provider = {settings.provider!r}: must be auto or cpu for tureen tune, which measures CPUs only"
        )
    return settings


def _checked(read: Callable[[argparse.Namespace], T], known: argparse.Namespace, problems: list[str]) -> T | None:
    try:
        return read(known)
    except ValueError as error:
        problems.append(str(error))
        return None


def _budget(known: argparse.Namespace) -> float:
    if known.budget is None:
        return _QUICK_S if known.quick else _BUDGET_S
    rule = f"must be {DURATION.noun} from {DURATION.show(_LEAST_S)} to {DURATION.show(_MOST_S)}"
    try:
        seconds = DURATION.read(known.budget)
    except ValueError as error:
        raise ValueError(f"budget = {known.budget!r} (flag --budget): {rule}; {error}") from None
    if not _LEAST_S <= seconds <= _MOST_S:
        raise ValueError(f"budget = {known.budget!r} (flag --budget): {rule}")
    return seconds


def _plot(known: argparse.Namespace) -> Path | None:
    if known.plot is None:
        return None
    path = Path(known.plot)
    wrong = f"plot = {known.plot!r} (flag --plot): "
    if path.suffix.lower() not in _PLOTS:
        raise ValueError(f"{wrong}must be a file whose name ends in {' or '.join(_PLOTS)}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{wrong}must be in a folder that is there; there is no {path.absolute().parent}")
    if not find_spec("matplotlib"):
        raise ValueError(f"{wrong}needs matplotlib, which is not installed: pip install 'tureen[report]'")
    return path
