"""Asks a server each second, and draws what it says."""

import json
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from server.commands.top.options import add_arguments
from server.commands.top.view import view
from server.process.printable import printable

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
_PERIOD_S, _TIMEOUT_S = 1.0, 5.0


def run(argv: Sequence[str]) -> int:
    """Watch until interrupted; 0, 1 if the server cannot be watched, 2 for what is no address."""
    parser = ArgumentParser(prog="tureen top", allow_abbrev=False)
    add_arguments(parser)
    given = parser.parse_args(argv)
    if not given.url.startswith(("http://", "https://")):
        print(f"tureen: {printable(given.url)} is no address such as http://127.0.0.1:8080", file=sys.stderr)
        return EXIT_USAGE
    request = urllib.request.Request(f"{given.url.rstrip('/')}/watch", headers=_headers(given.key_file))
    try:
        document = _ask(request)
    except (OSError, ValueError) as error:
        print(f"tureen: {printable(given.url)} cannot be watched: {_why(error)}", file=sys.stderr)
        return EXIT_FAILED
    console = Console()
    if given.once:
        console.print(view(document, console.width))
        return EXIT_OK
    try:
        _watch(console, request, document)
    except KeyboardInterrupt:
        pass
    return EXIT_OK


def _watch(console: Console, request: urllib.request.Request, document: dict[str, Any]) -> None:
    with Live(view(document, console.width), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(_PERIOD_S)
            try:
                live.update(view(_ask(request), console.width), refresh=True)
            except (OSError, ValueError) as error:
                live.update(Text(f"No answer: {_why(error)}. Trying again."), refresh=True)


def _ask(request: urllib.request.Request) -> dict[str, Any]:
    """Raises `OSError`, `ValueError`."""
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:
        found: dict[str, Any] = json.load(reply)
        return found


def _why(error: Exception) -> str:
    match error:
        case urllib.error.HTTPError(code=401 | 403):
            return "it asks for a key with the scope metrics (--key-file)"
        case urllib.error.HTTPError(code=404):
            return "there is no /watch: give the admin port"
        case _:
            return printable(str(error))


def _headers(key_file: Path | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key_file.read_text().strip()}"} if key_file else {}
