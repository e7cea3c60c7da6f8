"""The `tureen` command: it reads the command line and hands over to the module of the sub-command.

It imports fast, so that `--help` answers fast: what a sub-command needs, it imports when it runs.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from server.commands import completion, ready
from server.commands import inspect as inspection
from server.commands.ab import options as ab
from server.commands.bench import options as bench
from server.commands.consume import options as consume
from server.commands.doctor import options as doctor
from server.commands.drift import options as drift
from server.commands.export_web import options as export_web
from server.commands.keys import options as keys
from server.commands.models import options as models
from server.commands.optimize import options as optimize
from server.commands.replay import options as replay
from server.commands.send import options as send
from server.commands.spool import options as spool
from server.commands.top import options as top
from server.commands.tune import options as tune
from server.commands.validate import options as validate
from server.process import console
from server.settings import SettingsError, add_arguments, load_settings
from server.settings.conflicts import check

USAGE_ERROR = 2  # what argparse exits with, too

ABOUT = """\
Tureen runs an ONNX model on uploaded images, in batches, and answers each image within its deadline.
An image that it could not answer in time is refused at once, with the time to come back.
"""

EXAMPLES = """\
examples:
  tureen serve                                         start with the demo model
  curl --data-binary @photo.jpg http://127.0.0.1:8080/v1/images
  tureen inspect food.onnx                             show how your model would be served
  tureen tune food.onnx                                find the best layout on this machine

`tureen COMMAND --help` describes each command.
"""

ABOUT_SERVE = """\
Answer images over HTTP. On SIGTERM or Ctrl-C, answer the accepted images and exit.
"""

EXAMPLES_SERVE = """\
examples:
  tureen serve                                         the demo model on http://127.0.0.1:8080
  tureen serve food.onnx --slo 500ms                   your model, your deadline
  tureen serve food/ --host 0.0.0.0 --port 80          a model folder, open to other machines
  tureen serve --config tureen.toml                    settings from a file

Each flag is also an environment variable and a TOML key. These three mean the same:
  flag         --slo 500ms --max-pixels 20M
  environment  TUREEN_SLO=500ms TUREEN_MAX_PIXELS=20M
  TOML         slo = "500ms"
               [upload]
               max_pixels = "20M"
A flag takes precedence over the environment, and the environment over the file. An unknown name or an invalid
value aborts start-up. Durations are 250ms, 1s, 2m or plain seconds; sizes are 20MB, 20MiB, 1kB or plain bytes.
"""

ABOUT_INSPECT = """\
Show a model's inputs and outputs and how it will be served, and print a model card to start from.
The output is a TOML file: the findings are comments, and the card follows them.
"""

EXAMPLES_INSPECT = """\
examples:
  tureen inspect food.onnx                             read it
  tureen inspect food.onnx > food/model.toml           write the first card of food/1/model.onnx
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A sub-command: its help, its arguments and its code."""

    summary: str
    about: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Sequence[str]], int]  # takes the words after the command's name, returns the exit code


def _serve(argv: Sequence[str]) -> int:
    try:
        settings = check(load_settings(argv))
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


def _optimize(argv: Sequence[str]) -> int:
    from server.commands.optimize import command

    return command.run(argv)


def _keys(argv: Sequence[str]) -> int:
    from server.commands.keys import command

    return command.run(argv)


def _send(argv: Sequence[str]) -> int:
    from server.commands.send import command

    return command.run(argv)


def _consume(argv: Sequence[str]) -> int:
    from server.commands.consume import command

    return command.run(argv)


def _ab(argv: Sequence[str]) -> int:
    from server.commands.ab import command

    return command.run(argv)


def _spool(argv: Sequence[str]) -> int:
    from server.commands.spool import command

    return command.run(argv)


def _drift(argv: Sequence[str]) -> int:
    from server.commands.drift import command

    return command.run(argv)


def _top(argv: Sequence[str]) -> int:
    from server.commands.top import command

    return command.run(argv)


def _doctor(argv: Sequence[str]) -> int:
    from server.commands.doctor import command

    return command.run(argv)


def _replay(argv: Sequence[str]) -> int:
    from server.commands.replay import command

    return command.run(argv)


def _validate(argv: Sequence[str]) -> int:
    from server.commands.validate import command

    return command.run(argv)


def _export_web(argv: Sequence[str]) -> int:
    from server.commands.export_web import command

    return command.run(argv)


def _completion(argv: Sequence[str]) -> int:
    return completion.run(argv, _parser)


def _models(argv: Sequence[str]) -> int:
    if argv[:1] == ["rollout"]:
        from server.commands.rollout import command as rollout

        return rollout.run(argv[1:])
    from server.commands.models import command

    return command.run(argv)


COMMANDS: Mapping[str, Command] = {
    "serve": Command("answer images over HTTP", ABOUT_SERVE, EXAMPLES_SERVE, add_arguments, _serve),
    "consume": Command(
        "answer images that a queue names", consume.ABOUT, consume.EXAMPLES, consume.add_all_arguments, _consume
    ),
    "inspect": Command(
        "show how a model will be served", ABOUT_INSPECT, EXAMPLES_INSPECT, inspection.add_arguments, inspection.run
    ),
    "tune": Command("measure the best layout for a model", tune.ABOUT, tune.EXAMPLES, tune.add_all_arguments, _tune),
    "optimize": Command(
        "make a faster version that answers the same",
        optimize.ABOUT,
        optimize.EXAMPLES,
        optimize.add_arguments,
        _optimize,
    ),
    "bench": Command(
        "measure a server: does it meet its deadline?", bench.ABOUT, bench.EXAMPLES, bench.add_arguments, _bench
    ),
    "send": Command("send photos to a server", send.ABOUT, send.EXAMPLES, send.add_arguments, _send),
    "spool": Command("show what waits to be stored", spool.ABOUT, spool.EXAMPLES, spool.add_arguments_of_spool, _spool),
    "replay": Command(
        "compare a model with stored answers", replay.ABOUT, replay.EXAMPLES, replay.add_all_arguments, _replay
    ),
    "validate": Command(
        "is a model fit to be released?", validate.ABOUT, validate.EXAMPLES, validate.add_arguments, _validate
    ),
    "models": Command(
        "show and change what a running server serves", models.ABOUT, models.EXAMPLES, models.add_arguments, _models
    ),
    "export-web": Command(
        "write a page that runs a model in the browser",
        export_web.ABOUT,
        export_web.EXAMPLES,
        export_web.add_arguments,
        _export_web,
    ),
    "keys": Command("make and revoke API keys", keys.ABOUT, keys.EXAMPLES, keys.add_arguments, _keys),
    "ready": Command(
        "is a server ready? (for health checks)", ready.ABOUT, ready.EXAMPLES, ready.add_arguments, ready.run
    ),
    "top": Command("watch a server in a terminal", top.ABOUT, top.EXAMPLES, top.add_arguments, _top),
    "doctor": Command("check a machine and settings", doctor.ABOUT, doctor.EXAMPLES, add_arguments, _doctor),
    "ab": Command("report an A/B experiment", ab.ABOUT, ab.EXAMPLES, ab.add_arguments, _ab),
    "drift": Command("compare live images with a reference", drift.ABOUT, drift.EXAMPLES, drift.add_arguments, _drift),
    "completion": Command(
        "print a script for bash, zsh or fish",
        completion.ABOUT,
        completion.EXAMPLES,
        completion.add_arguments,
        _completion,
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (None: this process's own) and return the exit code.

    Raises:
        SystemExit: with 0 after --help, with 2 after an unknown word.
    """
    words = sys.argv[1:] if argv is None else argv
    parser = _parser()
    known, _ = parser.parse_known_args(words)  # the unknown are reported by the command, with all else that is wrong
    if known.show_version:
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
    parser.add_argument("--version", dest="show_version", action="store_true", help="show the version and exit")
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
