"""The command line of `tureen replay`."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.settings import Settings, SettingsError, add_arguments, load_settings

ABOUT = """\
Send stored images through a model and compare its answers with those that were given: how many agree, which images
changed, how long it takes. Nothing in the store is changed.
"""

EXAMPLES = """\
examples:
  tureen replay new.onnx --store s3://photos/tureen                      all stored images
  tureen replay new.onnx --store images/ --since 2026-11-01 --limit 1000
  tureen replay new.onnx --store images/ --json out.json --csv out.csv --html out.html

exit code: 0 compared, 1 not (no images, the model cannot be served, the store fails), 2 usage error.
"""

_SHARED = (
    "store", "s3_endpoint", "provider", "workers", "threads", "profile_dir", "max_batch", "max_pixels"
)  # fmt: skip
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line. `since`, `until`: days as YYYY-MM-DD, both included, or ""."""

    settings: Settings
    since: str
    until: str
    limit: int | None
    json: Path | None
    csv: Path | None
    html: Path | None


def add_all_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all arguments. They only collect text: `parse` reads and checks it."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", default=argparse.SUPPRESS,
        help="an .onnx file or a model folder (default: the demo model)",
    )  # fmt: skip
    parser.add_argument("--since", metavar="DAY", default="", help="images of this day (UTC) and later")
    parser.add_argument("--until", metavar="DAY", default="", help="images of this day and earlier")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many, the latest")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures and each image that changed")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="one line per image")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page with the pictures that changed")
    add_arguments(parser, _SHARED)


def parse(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Options:
    """Read the words after `replay`. Raises `SettingsError`, which lists all that is wrong."""
    parser = argparse.ArgumentParser(prog="tureen replay", allow_abbrev=False, exit_on_error=False)
    add_all_arguments(parser)
    try:
        known, unknown = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise SettingsError([str(error)]) from None
    problems = [f"{word} (command line): tureen replay has no such flag or argument" for word in unknown]
    for name in ("since", "until"):
        day = getattr(known, name)
        if day and not _DAY.fullmatch(day):
            problems.append(f"{name} = {day!r} (flag --{name}): must be a day such as 2026-11-28")
    if known.limit is not None and known.limit < 1:
        problems.append(f"limit = {known.limit} (flag --limit): must be at least 1")
    if problems:
        raise SettingsError(problems)
    given = vars(known)
    words = [f"--{name.replace('_', '-')}={given[name]}" for name in ("config", *_SHARED) if name in given]
    words += ["--", given["model"]] if "model" in given else []
    settings = load_settings(words, environ)
    if not settings.storage.store:
        raise SettingsError(["store: needs --store, with the images to replay"])
    return Options(settings, known.since, known.until, known.limit, known.json, known.csv, known.html)
