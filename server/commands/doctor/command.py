"""`tureen doctor`: every check, each finding with what to do."""

import sys
from collections.abc import Sequence

from server.commands.doctor import files, machine, network
from server.commands.doctor.findings import Finding
from server.process.printable import printable
from server.settings import Settings, SettingsError, load_settings

EXIT_WELL, EXIT_FOUND, EXIT_USAGE = 0, 1, 2


def run(argv: Sequence[str]) -> int:
    """Check the machine and the settings of a command line; 0 if nothing is wrong, else 1."""
    try:
        settings = load_settings(argv)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    found = diagnose(settings, machine.measure())
    for finding in found:
        print(printable(f"{finding.about}: {finding.found}"))
        print(printable(f"  do: {finding.advice}"))
    print(f"{len(found)} finding{'' if len(found) == 1 else 's'}" if found else "Nothing is wrong.")
    return EXIT_FOUND if found else EXIT_WELL


def diagnose(settings: Settings, facts: machine.Machine) -> list[Finding]:
    """All that is wrong."""
    return [*machine.check(facts, settings), *files.check(settings), *network.check(settings)]
