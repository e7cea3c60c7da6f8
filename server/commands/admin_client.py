"""Asking a running server as its operator does, with the arguments that such commands share."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from server.commands.models.remote import RemoteError, call

_URL = "http://127.0.0.1:8080"


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the server is, and by which key it knows its operator."""
    parser.add_argument("--url", default=_URL, help=f"the server, its admin port if it has one (default: {_URL})")
    parser.add_argument("--key", type=Path, metavar="FILE", help="file that holds an API key with the scope admin")


class AdminClient:
    """One server. Its methods raise `RemoteError`."""

    def __init__(self, options: argparse.Namespace) -> None:
        """By the arguments of `add_server_arguments`. Raises `RemoteError`."""
        self._url: str = options.url
        try:
            self._key = options.key.read_text(encoding="utf-8").strip() if options.key else ""
        except (OSError, ValueError) as error:
            raise RemoteError(f"--key {options.key}: {error}") from None

    def get(self, path: str) -> dict[str, Any]:
        """The document there."""
        return call(self._url, self._key, "GET", path)[1]

    def post(self, path: str, document: object = None) -> dict[str, Any]:
        """Send a document; what the server answers."""
        body = msgspec.json.encode({} if document is None else document)
        return call(self._url, self._key, "POST", path, body)[1]
