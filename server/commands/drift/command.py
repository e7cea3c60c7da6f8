"""Carries out `tureen drift`."""

import argparse
import json
import sys
import time
from collections.abc import Sequence

import msgspec

from server.cleanup.stores import StoreError
from server.commands.admin_client import AdminClient, RemoteError
from server.commands.drift.options import add_arguments
from server.commands.drift.show import as_page, as_text
from server.drift.reference import BadReference
from server.drift.view import VersionView
from server.models.errors import ModelError

_FAILED = 1
_LOOK_S = 1.0


def run(argv: Sequence[str]) -> int:
    """Do one act. Returns the exit code: 0, or 1 with a reason on standard error."""
    parser = argparse.ArgumentParser(prog="tureen drift", allow_abbrev=False)
    add_arguments(parser)
    options = parser.parse_args(argv)
    try:
        _act(options)
    except (RemoteError, BadReference, ModelError, StoreError, OSError) as error:
        print(f"tureen drift: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return 130
    return 0


def _act(options: argparse.Namespace) -> None:
    if options.act == "report":
        _report(options)
    elif options.store:
        from server.commands.drift.from_store import from_store  # it opens the model

        print(from_store(options))
    else:
        _collect(AdminClient(options), options)


def _versions(document: object) -> list[VersionView]:
    return msgspec.convert(document, dict[str, list[VersionView]])["versions"]


def _collect(client: AdminClient, options: argparse.Namespace) -> None:
    """Have the server make a reference of what comes, and wait until it has."""
    path = f"/v1/models/{options.name}/drift"
    found = _versions(client.post(path, {"version": options.version, "looks": options.looks}))
    while left := next((one.collecting for one in found if one.version == options.version), 0):
        print(f"\r{options.looks - left:,} of {options.looks:,} images", end="", file=sys.stderr, flush=True)
        time.sleep(_LOOK_S)
        found = _versions(client.get(path))
    print(f"\n{options.name} {options.version}: the reference is saved with the version", file=sys.stderr)


def _report(options: argparse.Namespace) -> None:
    document = AdminClient(options).get(f"/v1/models/{options.name}/drift")
    if options.json:
        print(json.dumps(document, indent=2))
    elif options.html:
        options.html.write_text(as_page(options.name, _versions(document)), encoding="utf-8")
        print(options.html)
    else:
        print(as_text(options.name, _versions(document)), end="")
