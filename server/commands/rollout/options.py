"""The arguments of `tureen models rollout`."""

import argparse

from server.commands.server_arguments import add_server_arguments

ABOUT = """\
Bring a new version to traffic by steps, each of which can fail safely; show the progress until it has ended.
Ctrl-C ends the showing, not the rollout: the servers go on by themselves.
"""

EXAMPLES = """\
examples:
  tureen models rollout food 4                         shadow 10 %, canary 1, 10, 50 and 100 %
  tureen models rollout food 4 --plan plan.toml        by a plan of your own
  tureen models rollout food 4 --plan blue-green       all at once, guarded
  tureen models rollout food                           show the one under way
  tureen models rollout food --pause                   stay at this step; --resume goes on
  tureen models rollout food --rollback                the old version answers all again, at once
"""

CHANGES = ("pause", "resume", "promote", "rollback")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser what the command takes."""
    parser.add_argument("name", metavar="NAME", help="the model")
    parser.add_argument("version", metavar="VERSION", nargs="?", help="the new version; none shows what goes on")
    parser.add_argument("--plan", default="standard", metavar="PLAN", help="standard, blue-green or a TOML file")
    parser.add_argument("--detach", action="store_true", help="begin it, and do not wait for its end")
    change = parser.add_mutually_exclusive_group()
    for name in CHANGES:
        change.add_argument(f"--{name}", dest="change", action="store_const", const=name, help=f"{name} it")
    add_server_arguments(parser)
