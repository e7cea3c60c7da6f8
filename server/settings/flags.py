"""Flags: one for each setting, and what a command line says with them."""

import argparse
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

from server.settings.described import PREFIX, SETTINGS, Setting, flag_of
from server.settings.errors import SettingsError, did_you_mean
from server.settings.fields import Topic
from server.settings.layers import Given, Layer
from server.settings.units import SWITCH

_ALONE_MEANS_ON: Mapping[str, Any] = {"nargs": "?", "const": "on"}  # of a switch's flag


def add_arguments(parser: argparse.ArgumentParser, only: Collection[str] | None = None) -> None:
    """Give the parser a flag for each setting, or for those named in `only`, under a heading for each topic.

    The flags only collect text: what it means, and whether it is right, `load_settings` says.
    """
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help=f"TOML file to read settings from, a key for each ({PREFIX}CONFIG)",
    )
    for topic in Topic:
        group = parser.add_argument_group(topic.value)
        for setting in SETTINGS.values():
            if setting.topic is topic and (only is None or setting.name in only):
                group.add_argument(
                    setting.flag,
                    dest=setting.name,
                    metavar=setting.kind.metavar,
                    **_ALONE_MEANS_ON if setting.kind is SWITCH else {},
                    default=argparse.SUPPRESS,
                    help=_help(setting).replace("%", "%%"),
                )


def _help(setting: Setting) -> str:
    return f"{setting.meaning}: {setting.rule}; default: {setting.default}; {setting.variable}"


class _Flags(argparse.ArgumentParser):
    """A parser that raises where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError([message])


def from_flags(argv: Sequence[str]) -> Layer:
    """What the words of a command line say, `--config` included."""
    parser = _Flags(add_help=False, allow_abbrev=False)  # an abbreviation breaks when a setting is added
    add_arguments(parser)
    try:
        known, unknown = parser.parse_known_args(argv)
    except SettingsError as error:
        return Layer(problems=error.problems)
    flags = {name: Given(value, f"flag {flag_of(name)}") for name, value in vars(known).items()}
    return Layer(flags, _unknown_words(unknown))


def _unknown_words(words: Sequence[str]) -> list[str]:
    """Report words that are no flag; a word after an unknown flag is taken for its value and not repeated."""
    names = [word.partition("=")[0] for word in words if word.startswith("-")] or words
    flags = ["--config", *(setting.flag for setting in SETTINGS.values())]
    return [f"{name} (command line): no such flag{did_you_mean(name, flags)}" for name in names]
