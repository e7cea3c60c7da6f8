"""Asking the admin side of a running server."""

import argparse
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import msgspec

_LONGEST_S = 3600.0  # a load takes as long as the server lets it


class RemoteError(Exception):
    """The server cannot be asked, or says no; the message says why."""


class AdminClient:
    """One server. Its methods raise `RemoteError`."""

    def __init__(self, options: argparse.Namespace) -> None:
        """By the arguments of `add_server_arguments`. Raises `RemoteError`."""
        self._url: str = options.url
        try:
            self._key = options.key.read_text(encoding="utf-8").strip() if options.key else ""
        except (OSError, ValueError) as error:
            raise RemoteError(f"--key {options.key}: {error}") from None

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[str, dict[str, Any]]:
        """The answer as text and as a document."""
        return _call(self._url, self._key, method, path, body)

    def get(self, path: str) -> dict[str, Any]:
        """The document there."""
        return self.ask("GET", path)[1]

    def post(self, path: str, document: object = None) -> dict[str, Any]:
        """Send a document; what the server answers."""
        return self.ask("POST", path, msgspec.json.encode({} if document is None else document))[1]


def _call(url: str, key: str, method: str, path: str, body: bytes | None = None) -> tuple[str, dict[str, Any]]:
    """The answer as text and as a document. Raises `RemoteError`."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise RemoteError(f"--url {url}: must begin with http:// or https://")
    head = {"authorization": f"Bearer {key}"} if key else {}
    quoted, _, query = path.partition("?")
    whole = f"{url.rstrip('/')}{urllib.parse.quote(quoted)}{'?' if query else ''}{query}"
    data = (body or b"") if method == "POST" else None
    request = urllib.request.Request(whole, data, head, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_LONGEST_S) as response:
            text = response.read().decode()
    except urllib.error.HTTPError as error:
        raise RemoteError(_reason(error)) from None
    except OSError as error:
        raise RemoteError(f"{url}: {error}") from None
    return text, json.loads(text)


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(error.read())
        step = f"step {problem['step']}: " if "step" in problem else ""
        served = f" (served: {', '.join(problem['served'])})" if problem.get("served") else ""
        if problem["code"] == "not_found":
            return "this server has no model repository, or this is not its admin port: start it with --models"
        return f"{problem['code']}: {step}{problem.get('reason', problem['title'])}{served}"
    except (ValueError, KeyError, TypeError):
        return f"the server answers {error.code} {error.reason}"
