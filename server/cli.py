"""The `tureen` command: it reads the command line, hands over, and knows nothing of serving.

It is quick to import, so that `--help` is quick to answer: what a sub-command needs, it imports when it runs.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from server.commands import inspect as inspection
from server.commands.bench import options as bench
from server.commands.tune import options as tune
from server.process import console
from server.settings import SettingsError, add_arguments, load_settings

USAGE_ERROR = 2  # what argparse exits with, too

ABOUT = """\
Tureen answers image uploads with a model's verdict, in batches, each within its deadline.
What it could not answer in time it refuses at once, and says when to come back.
"""

EXAMPLES = """\
example:
  tureen serve                                         start with the demo model
  curl --data-binary @photo.jpg http://127.0.0.1:8080/v1/images
  tureen inspect food.onnx                             how a model of yours would be served
  tureen tune food.onnx                                how this machine serves it best

`tureen COMMAND --help` tells more.
"""

ABOUT_SERVE = """\
Answer images over HTTP until SIGTERM or Ctrl-C, which finish what has been accepted first.
"""

EXAMPLES_SERVE = """\
examples:
  tureen serve                                         the demo model on http://127.0.0.1:8080
  tureen serve --model food.onnx --slo 500ms           your model, your promise
  tureen serve --host 0.0.0.0 --port 80 --workers 4    for other machines, with four inference processes
  tureen serve --config tureen.toml                    settings from a file

Every flag may also stand in the environment or in a TOML file. These three say the same:
  flag         --max-batch 16 --slo 500ms
  environment  TUREEN_MAX_BATCH=16 TUREEN_SLO=500ms
  TOML         max_batch = 16
               slo = "500ms"
A flag goes before the environment, which goes before the file. An unknown name or a bad value stops the
start.
"""


ABOUT_INSPECT = """\
Say what a model takes and gives and how it will be served, and write a card to start from.
What is printed is a TOML file: what was found in its comments, the card below them.
"""

EXAMPLES_INSPECT = """\
examples:
  tureen inspect food.onnx                             read it
  tureen inspect food.onnx > food/model.toml           start the card of food/1/model.onnx with it
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A sub-command: what it is called with, and what it tells."""

    summary: str
    about: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Sequence[str]], int]  # takes the words after the command's name, returns the exit code


def _serve(argv: Sequence[str]) -> int:
    try:
        settings = load_settings(argv)
    except SettingsError as error:
        console.complain(str(error))
        return USAGE_ERROR
    from server.supervise import supervisor

    return supervisor.serve(settings)


def _bench(argv: Sequence[str]) -> int:
    from server.commands.bench import command

    return command.run(argv)


def _tune(argv: Sequence[str]) -> int:
    from server.commands.tune import command

    return command.run(argv)


# A further sub-command is one more line here.
COMMANDS: Mapping[str, Command] = {
    "serve": Command("answer images over HTTP", ABOUT_SERVE, EXAMPLES_SERVE, add_arguments, _serve),
    "inspect": Command(
        "say how a model will be served", ABOUT_INSPECT, EXAMPLES_INSPECT, inspection.add_arguments, inspection.run
    ),
    "tune": Command(
        "measure how a model is served best here", tune.ABOUT, tune.EXAMPLES, tune.add_all_arguments, _tune
    ),
    "bench": Command(
        "measure a server: is its promise kept?", bench.ABOUT, bench.EXAMPLES, bench.add_arguments, _bench
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, this process's own if None, and return the exit code.

    Raises:
        SystemExit: with 0 after --help, and with 2 if a word makes no sense.
    """
    words = sys.argv[1:] if argv is None else argv
    parser = _parser()
    known, _ = parser.parse_known_args(words)  # the unknown are reported by the command, with all else that is wrong
    if known.version:
        print(f"tureen {_version()}")
        return 0
    if known.command is None:
        parser.print_help(sys.stderr)
        return USAGE_ERROR
    return COMMANDS[known.command].run(words[1:])  # the command is the first word: no option before it lets it run


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="tureen", description=ABOUT, epilog=EXAMPLES, formatter_class=raw, allow_abbrev=False
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(
            commands.add_parser(
                name,
                help=command.summary,
                description=command.about,
                epilog=command.examples,
                formatter_class=raw,
                allow_abbrev=False,
            )
        )
    return parser


def _version() -> str:
    from importlib.metadata import version  # slow to import, and this is the only use

    return version("tureen")
