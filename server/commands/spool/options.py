"""The command line of `tureen spool`."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.settings import SettingsError, add_arguments, load_settings

ABOUT = """\
Show the images that wait on their way to the store, and why; try again, copy them elsewhere, or give them up.
It works beside a running server and without one.
"""

EXAMPLES = """\
examples:
  tureen spool list --store s3://photos/tureen         what waits, what is damaged, what the store says
  tureen spool retry --store s3://photos/tureen        try again now, damaged items included
  tureen spool export out/ --store s3://photos/tureen  originals and records as files; nothing is removed
  tureen spool drop ID ID --store s3://photos/tureen   give these up, after a question (--yes: without)
  tureen spool drop --damaged --spool-dir /var/spool/tureen

exit code: 0 done, 1 not done, 2 usage error.
"""

_SHARED = ("store", "spool_dir")


@dataclass(frozen=True, slots=True)
class Options:
    """The parsed command line. No `ids` means all, but for `drop`."""

    act: str
    folder: Path
    ids: tuple[str, ...] = ()
    damaged: bool = False
    everything: bool = False
    yes: bool = False
    json: bool = False
    most: int = 20
    target: Path = Path()


def add_arguments_of_spool(parser: argparse.ArgumentParser) -> None:
    """Give the parser the acts, each with its arguments. They only collect text."""
    acts = parser.add_subparsers(title="acts", dest="act", metavar="ACT", required=True)
    listing = _act(acts, "list", "show what waits")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.add_argument("--most", type=int, default=20, metavar="N", help="items to show (20)")
    retry = _act(acts, "retry", "try again now")
    retry.add_argument("ids", nargs="*", metavar="ID", help="which damaged items to try again, too (all)")
    export = _act(acts, "export", "copy originals and records to a folder")
    export.add_argument("target", type=Path, metavar="FOLDER", help="where to")
    export.add_argument("ids", nargs="*", metavar="ID", help="which (all)")
    drop = _act(acts, "drop", "give items up, for ever")
    drop.add_argument("ids", nargs="*", metavar="ID", help="which")
    drop.add_argument("--damaged", action="store_true", help="all that are damaged")
    drop.add_argument("--all", dest="everything", action="store_true", help="everything")
    drop.add_argument("--yes", action="store_true", help="do not ask")


def _act(acts: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str) -> argparse.ArgumentParser:
    parser = acts.add_parser(name, help=text, allow_abbrev=False)
    add_arguments(parser, _SHARED)
    return parser


def parse(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Options:
    """Read the words after `spool`. Raises `SettingsError`; argparse exits with 2 for what it does not know."""
    parser = argparse.ArgumentParser(prog="tureen spool", allow_abbrev=False)
    add_arguments_of_spool(parser)
    given = vars(parser.parse_args(argv))
    words = [f"--{name.replace('_', '-')}={given.pop(name)}" for name in ("config", *_SHARED) if name in given]
    storage = load_settings(words, environ).storage
    if not (storage.store or storage.spool_dir):
        raise SettingsError(["store: needs --store, as the server has it, or --spool-dir"])
    given["ids"] = tuple(given.get("ids", ()))
    options = Options(folder=storage.spool_folder, **given)
    if options.act == "drop" and not (options.ids or options.damaged or options.everything):
        raise SettingsError(["drop: needs ids, --damaged or --all"])
    return options
