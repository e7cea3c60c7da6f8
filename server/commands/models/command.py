"""Carries out `tureen models`."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from server.commands.admin_client import AdminClient, RemoteError
from server.commands.models import golden
from server.commands.models.options import parse
from server.process.printable import printable
from server.repository.errors import RepositoryError

_FAILED = 1


def run(argv: Sequence[str]) -> int:
    """Do one action. Returns the exit code: 0, or 1 with a reason on standard error."""
    options = parse(argv)
    try:
        if options.action == "golden":
            print(golden.record(options.folder, options.tolerance))
        else:
            _act(options)
    except (RemoteError, RepositoryError) as error:
        print(f"tureen models: {printable(str(error))}", file=sys.stderr)
        return _FAILED
    return 0


def _act(options: argparse.Namespace) -> None:
    method, path = _request(options)
    text, document = AdminClient(options).ask(method, path)
    print(text if options.json else printable_table(document.get("models", [document])))


def _request(options: argparse.Namespace) -> tuple[str, str]:
    """Method and path of an action."""
    match options.action:
        case "list":
            return "GET", "/v1/models"
        case "status":
            return "GET", f"/v1/models/{options.name}"
        case "rollback":
            return "POST", f"/v1/models/{options.name}/rollback"
        case action:
            force = "?force=true" if getattr(options, "force", False) else ""
            return "POST", f"/v1/models/{options.name}/versions/{options.version}/{action}{force}"


def printable_table(models: Sequence[dict[str, Any]]) -> str:
    """The models as a table, one version per line."""
    rows = [("MODEL", "VERSION", "STATUS", "WORKERS", "DIGEST", "")]
    for model in models:
        for version in model["versions"]:
            failure = f"{version['step']}: {version['reason']}" if version.get("reason") else ""
            rows.append(
                (model["name"], version["version"], version["status"], str(version.get("workers", "")),
                 version.get("digest", "")[:12], failure)
            )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(printable(_line(row, widths)) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*padded, *row[len(widths) :]]).rstrip()
