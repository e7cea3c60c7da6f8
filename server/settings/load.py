"""Read all sources into one set of settings, or into one list of all mistakes."""

import os
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from server.settings.environment import from_system, from_variables
from server.settings.errors import SettingsError
from server.settings.fields import Settings
from server.settings.flags import from_flags
from server.settings.layers import Layer, broken_rules, merged
from server.settings.toml_file import from_file


def load_settings(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: flags before environment before file before default.

    Args:
        argv: the flags, without the command's name.
        environ: the environment; None reads this process's own.

    Raises:
        SettingsError: if anything is unknown, unreadable or outside its rule. It lists all mistakes.
    """
    environ = os.environ if environ is None else environ
    flags = from_flags(argv)
    variables = from_variables(environ)
    config = flags.given.get("config") or variables.given.get("config")
    layers = (flags, variables, from_file(config) if config else Layer(), from_system(environ))
    given = [{name: layer.given[name] for name in layer.given if name != "config"} for layer in layers]
    problems = [problem for layer in layers for problem in layer.problems]
    try:
        settings = merged(given)
    except ValidationError as error:
        raise SettingsError([*problems, *broken_rules(error, given)]) from None
    if problems:
        raise SettingsError(problems)
    return settings
