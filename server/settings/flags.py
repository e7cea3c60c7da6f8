"""Flags: one for each setting, and what a command line says with them."""

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn

from server.settings.described import POSITIONAL, PREFIX, SETTINGS, Setting, flag_of
from server.settings.errors import SettingsError, did_you_mean
from server.settings.layers import Given, Layer
from server.units import SWITCH

_ALONE_MEANS_ON: Mapping[str, Any] = {"nargs": "?", "const": "on"}  # of a switch's flag


def add_arguments(parser: argparse.ArgumentParser, only: Collection[str] | None = None) -> None:
    """Give the parser the argument MODEL and a flag for each setting, under a heading for each topic.

    `--help` shows the settings that every operator meets, `--help-all` all of them, with rule and variable. `only`:
    names of settings; then the parser gets the flags of these alone, and `--help` shows them.

    The parser only collects text: `load_settings` reads and checks it.
    """
    _add_config(parser)
    full: dict[argparse.Action, str] = {}
    for heading in dict.fromkeys(setting.heading for setting in SETTINGS.values()):
        group = parser.add_argument_group(heading)
        for setting in SETTINGS.values():
            if setting.heading == heading and (only is None or setting.name in only):
                action = _add(group.add_argument, setting, positional=setting.name == POSITIONAL)
                full[action] = _full_help(setting)
                action.help = argparse.SUPPRESS if setting.advanced and only is None else _help(setting)
    if only is None:
        parser.add_argument("--help-all", action=_HelpAll, full=full, help="show every setting and exit")


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help=f"TOML file to read settings from ({PREFIX}CONFIG)",
    )


def _add(
    add_argument: Callable[..., argparse.Action], setting: Setting, *, positional: bool = False
) -> argparse.Action:
    if positional:
        return add_argument(setting.name, nargs="?", metavar=setting.name.upper(), default=argparse.SUPPRESS)
    return add_argument(
        setting.flag,
        dest=setting.name,
        metavar=setting.kind.metavar,
        **_ALONE_MEANS_ON if setting.kind is SWITCH else {},
        default=argparse.SUPPRESS,
    )


def _help(setting: Setting) -> str:
    return f"{setting.meaning} (default: {setting.default})".replace("%", "%%")


def _full_help(setting: Setting) -> str:
    words = f"{setting.meaning}: {setting.rule}; default: {setting.default}; {setting.variable}"
    return words.replace("%", "%%")


class _HelpAll(argparse.Action):
    """Print the help with every setting, and exit."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, *, full: Mapping[argparse.Action, str], help: str
    ) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)
        self._full = full

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        for action, text in self._full.items():
            action.help = text
        parser.print_help()
        parser.exit()


class _Flags(argparse.ArgumentParser):
    """A parser that raises where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError([message])


def from_flags(argv: Sequence[str]) -> Layer:
    """What the words of a command line say, `--config` and the argument MODEL included."""
    parser = _Flags(add_help=False, allow_abbrev=False)  # an abbreviation breaks when a setting is added
    _add_config(parser)
    for setting in SETTINGS.values():
        _add(parser.add_argument, setting)
    before, after = _split(argv)
    try:
        known, others = parser.parse_known_args(before)
    except SettingsError as error:
        return Layer(problems=error.problems)
    given = {name: Given(value, f"flag {flag_of(name)}") for name, value in vars(known).items()}
    if unknown := [word.partition("=")[0] for word in others if word.startswith("-")]:
        return Layer(given, _unknown_flags(unknown))  # a word beside one is taken for its value
    arguments = [*others, *after]
    if arguments:
        given[POSITIONAL] = Given(arguments[0], f"argument {POSITIONAL.upper()}")
    return Layer(given, [f"{word} (command line): one model is served, not several" for word in arguments[1:]])


def _split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The words before "--", and those after it, which are no flags."""
    end = argv.index("--") if "--" in argv else len(argv)
    return argv[:end], argv[end + 1 :]


def _unknown_flags(names: Sequence[str]) -> list[str]:
    flags = ["--config", *(setting.flag for setting in SETTINGS.values())]
    return [f"{name} (command line): no such flag{did_you_mean(name, flags)}" for name in names]
