"""Asking a running server as its operator does: JSON over HTTP, one request at a time."""

import argparse
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_URL = "http://127.0.0.1:8080"
_TIMEOUT_S = 600.0  # loading a version takes as long as it takes


class AdminError(Exception):
    """The server did not do it, or does not answer; the message says why."""


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the server is, and by which key it knows its operator."""
    parser.add_argument("--url", default=_URL, help=f"the server's admin address ({_URL})")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file with an API key of scope admin (none)")


class AdminClient:
    """One server."""

    def __init__(self, url: str, key: str = "") -> None:
        """Raises `AdminError` for a URL that is none of a web server."""
        if not url.startswith(("http://", "https://")):
            raise AdminError(f"{url!r} must begin with http:// or https://")
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """The document there. Raises `AdminError`."""
        return self._ask("GET", path, None)

    def post(self, path: str, document: object = None) -> Any:  # noqa: ANN401 - JSON
        """Send a document; what the server answers. Raises `AdminError`."""
        return self._ask("POST", path, json.dumps({} if document is None else document).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:  # noqa: ANN401 - JSON
        headers = {**self._headers, **({"content-type": "application/json"} if body else {})}
        request = urllib.request.Request(self._url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AdminError(_reason(error.code, error.read())) from None
        except (OSError, ValueError) as error:
            raise AdminError(f"{self._url} does not answer: {error}") from None


def client_of(options: argparse.Namespace) -> AdminClient:
    """By the arguments of `add_server_arguments`. Raises `AdminError`."""
    try:
        key = options.key_file.read_text(encoding="utf-8").strip() if options.key_file else ""
    except OSError as error:
        raise AdminError(f"{options.key_file}: {error.strerror}") from None
    return AdminClient(options.url, key)


def _reason(status: int, body: bytes) -> str:
    """What a problem document says."""
    try:
        problem = json.loads(body)
        return str(problem.get("reason") or problem["title"])
    except (ValueError, KeyError, AttributeError):
        return f"the server answered {status}"
