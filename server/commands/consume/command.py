"""Carries out `tureen consume`."""

import argparse
from collections.abc import Sequence

from server.commands.consume.options import parse
from server.process import console
from server.settings import SettingsError

_USAGE_ERROR = 2


def run(argv: Sequence[str]) -> int:
    """Consume until told to end. Returns the exit code: 0, 1 after a failure, 2 for a usage error."""
    try:
        settings = parse(argv)
    except (SettingsError, argparse.ArgumentError) as error:
        console.complain(str(error))
        return _USAGE_ERROR
    from server.supervise import supervisor

    return supervisor.consume(settings)
