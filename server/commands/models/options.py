"""The command line of `tureen models`. It imports fast: the help needs nothing else."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from server.commands.rollout import options as rollout
from server.commands.server_arguments import add_server_arguments

ABOUT = """\
Show and change what a running server serves. It must have been started with --models.
A new version is opened in fresh processes and checked before it takes traffic. If a check fails, nothing changes.
"""

EXAMPLES = """\
examples:
  tureen models list                                   all models with their versions
  tureen models promote food 4                         load version 4, check it, and let it answer
  tureen models rollback food                          return to the version before
  tureen models golden record models/food              record the expected answers of models/food/golden/*.jpg
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser an action for each thing that can be done."""
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    _remote(actions.add_parser("list", help="show all models"))
    _remote(_named(actions.add_parser("status", help="show one model")))
    for action, summary in (
        ("load", "load and check a version, and hold it ready"),
        ("promote", "let a version answer, loading it first if it is not loaded"),
    ):
        versioned = _versioned(actions.add_parser(action, help=summary))
        versioned.add_argument(
            "--force", action="store_true", help="although its inputs or outputs differ from the present version's"
        )
        _remote(versioned)
    _remote(_versioned(actions.add_parser("unload", help="let go of a version once it has answered what it has")))
    _remote(_named(actions.add_parser("rollback", help="return to the version before")))
    rollout.add_arguments(
        actions.add_parser(
            "rollout", help="bring a version to traffic by steps", description=rollout.ABOUT, epilog=rollout.EXAMPLES,
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )  # fmt: skip
    golden = actions.add_parser("golden", help="the expected answers that each version must give")
    golden.add_argument("act", choices=("record",), help="record them: run the model on NAME/golden/*.jpg")
    golden.add_argument("folder", type=Path, metavar="NAME[/VERSION]", help="the model's folder")
    golden.add_argument("--tolerance", type=float, default=0.01, help="by how much a score may differ (default: 0.01)")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """What the words say. Raises `SystemExit` with 2 after an unknown one."""
    parser = argparse.ArgumentParser(
        prog="tureen models", description=ABOUT, epilog=EXAMPLES, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_arguments(parser)
    return parser.parse_args(argv)


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME", help="the model")
    return parser


def _versioned(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    _named(parser).add_argument("version", metavar="VERSION", help="its version")
    return parser


def _remote(parser: argparse.ArgumentParser) -> None:
    add_server_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the server's answer as it is")
