"""Where a running server is, and by which key it knows its operator: the arguments that such commands share."""

import argparse
from pathlib import Path

_URL = "http://127.0.0.1:8080"


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--url` and `--key`, as `AdminClient` takes them. Here, apart from it, since the help needs no client."""
    parser.add_argument("--url", default=_URL, help=f"the server, its admin port if it has one (default: {_URL})")
    parser.add_argument("--key", type=Path, metavar="FILE", help="file that holds an API key with the scope admin")
