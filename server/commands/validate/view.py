"""What a person sees of `tureen validate`."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.commands.validate.checks import Report
from server.process.printable import printable

_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def show(out: Console, report: Report) -> None:
    """A line per check, and the verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("check", "outcome", "found"):
        table.add_column(heading, no_wrap=heading != "found", overflow="fold")
    for check in report.checks:
        table.add_row(check.check, Text(check.outcome, _STYLES[check.outcome]), Text(printable(check.found)))
    out.print(table)
    verdict = "may be released" if report.valid else "must not be released"
    out.print(printable(f"{report.model} {verdict}"), markup=False, highlight=False)
