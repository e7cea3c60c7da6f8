"""Carries out `tureen keys`."""

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from server.access import admin
from server.access.errors import KeyFileError
from server.access.key_file import KeyRecord, read_keys
from server.commands.keys.options import add_arguments

_FAILED = 1
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_LONGEST_S = 100 * 365 * 86400


def run(argv: Sequence[str]) -> int:
    """Do one act. Returns the exit code: 0, or 1 with a reason on standard error."""
    parser = argparse.ArgumentParser(prog="tureen keys", allow_abbrev=False)
    add_arguments(parser)
    options = parser.parse_args(argv)
    try:
        _act(options)
    except (KeyFileError, OSError) as error:
        print(f"tureen keys: {error}", file=sys.stderr)
        return _FAILED
    return 0


def _act(options: argparse.Namespace) -> None:
    match options.act:
        case "add":
            _show(admin.add(options.keys, _record(options)))
        case "rotate":
            _show(admin.rotate(options.keys, options.name, _duration(options.grace)))
        case "revoke":
            admin.revoke(options.keys, options.name)
        case _:
            _list(read_keys(options.keys))


def _show(secret: str) -> None:
    """The secret alone on standard output, so that it can be piped."""
    print(secret)
    print("This key is shown only now. Send it as: Authorization: Bearer KEY", file=sys.stderr)


def _record(options: argparse.Namespace) -> KeyRecord:
    """The key as asked for; its hash comes later. Raises `KeyFileError` for a name that cannot be one."""
    now = datetime.now(UTC)
    record = KeyRecord(
        name=options.name,
        hash="0" * 64,
        scopes=tuple(options.scope or ["infer"]),
        created=now,
        expires=now + _duration(options.expires) if options.expires else None,
        rate=options.rate,
        burst=options.burst,
        in_flight=options.in_flight,
        weight=options.weight,
    )
    try:
        return msgspec.convert(msgspec.to_builtins(record), KeyRecord)
    except msgspec.ValidationError as error:
        raise KeyFileError(str(error)) from None


def _duration(text: str) -> timedelta:
    """Raises `KeyFileError`."""
    found = re.fullmatch(r"([0-9]{1,9})([mhd])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else _LONGEST_S + 1
    if seconds > _LONGEST_S:
        raise KeyFileError(f"{text!r} must be a time such as 30m, 12h or 90d, of 100 years at most")
    return timedelta(seconds=seconds)


def _list(keys: Sequence[KeyRecord]) -> None:
    rows = [("NAME", "SCOPES", "RATE", "IN FLIGHT", "WEIGHT", "CREATED", "EXPIRES")]
    rows += [
        (
            key.name,
            ",".join(key.scopes),
            f"{key.rate:g}/s" if key.rate else "-",
            str(key.in_flight or "-"),
            f"{key.weight:g}",
            f"{key.created:%Y-%m-%d}",
            f"{key.expires:%Y-%m-%d %H:%M}" if key.expires else "never",
        )
        for key in keys
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
