"""Carries out `tureen spool`."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import anyio
import msgspec

from server.cleanup.carrier import read_state
from server.cleanup.item import Damaged, encode_record, original_name, record_name
from server.cleanup.reading import Retry, Unavailable, ask
from server.cleanup.stores import FolderStore, StoreError
from server.commands.spool.contents import Entry, entries, load, put_back
from server.commands.spool.options import Options, parse
from server.settings import SettingsError

_OK, _FAILED, _USAGE = 0, 1, 2


def run(argv: Sequence[str]) -> int:
    """Do one act. Returns the exit code."""
    try:
        options = parse(argv)
    except SettingsError as error:
        print(str(error), file=sys.stderr)
        return _USAGE
    if not options.folder.is_dir():
        print(f"tureen spool: there is no spool at {options.folder}", file=sys.stderr)
        return _FAILED
    try:
        return {"list": _list, "retry": _retry, "export": _export, "drop": _drop}[options.act](options)
    except (OSError, StoreError) as error:
        print(f"tureen spool: {error}", file=sys.stderr)
        return _FAILED


def _list(options: Options) -> int:
    found = list(entries(options.folder))
    state = read_state(options.folder)
    running = _runs(options.folder)
    if options.json:
        document = {"folder": options.folder, "running": running, "trouble": state.trouble, "items": found}
        print(msgspec.json.encode(document, enc_hook=str).decode())
        return _OK
    for line in _told(options, found, state.trouble, running):
        print(line)
    return _OK


def _told(options: Options, found: Sequence[Entry], trouble: str, running: bool) -> Iterable[str]:
    damaged = sum(entry.condition == "damaged" for entry in found)
    size = sum(entry.bytes for entry in found)
    yield f"{options.folder}: {len(found) - damaged} waiting, {damaged} damaged, {size:,} bytes"
    if not running:
        yield "no clean-up process runs: what waits is stored after the server's next start"
    elif trouble:
        yield f"the store: {trouble}"
    for entry in found[: options.most]:
        yield f"  {entry.id}  {entry.condition:<7}  {_age(entry.age_s):>6}  {entry.bytes:>12,} bytes"
    if len(found) > options.most:
        yield f"  and {len(found) - options.most} more (--most {len(found)})"


def _retry(options: Options) -> int:
    damaged = [one for one in _chosen(options) if one.condition == "damaged"]
    back = sum(put_back(options.folder, entry) for entry in damaged)
    print(f"{back} of {len(damaged)} damaged items are whole and wait again")
    try:
        anyio.run(ask, options.folder, Retry())
    except Unavailable:
        print("no clean-up process runs: what waits is stored after the server's next start")
    else:
        print("the store is tried again now")
    return _OK if back == len(damaged) else _FAILED


def _export(options: Options) -> int:
    store, copied, failed = FolderStore(options.target.absolute()), 0, 0
    options.target.mkdir(parents=True, exist_ok=True)
    for entry in _chosen(options):
        try:
            item = load(entry)
        except Damaged as error:
            failed += 1
            print(f"{entry.id}: {error}", file=sys.stderr)
            continue
        if item:
            store.put(original_name(item.record), item.original, item.record.media_type)
            store.put(record_name(item.record.id), encode_record(item.record), "application/json")
            copied += 1
    print(f"{copied} images copied to {options.target}; nothing was removed")
    return _FAILED if failed or (options.ids and copied < len(options.ids)) else _OK


def _drop(options: Options) -> int:
    chosen = _chosen(options)
    if not chosen:
        print("nothing to drop")
        return _FAILED if options.ids else _OK
    size = sum(entry.bytes for entry in chosen)
    if not options.yes and not _confirmed(f"Drop {len(chosen)} images, {size:,} bytes, for ever? [y/N] "):
        print("nothing was dropped")
        return _FAILED
    for entry in chosen:
        Path(entry.path).unlink(missing_ok=True)
    print(f"{len(chosen)} images dropped; one that was under way may be stored all the same")
    return _OK


def _chosen(options: Options) -> list[Entry]:
    found = list(entries(options.folder))
    if options.ids:
        return [entry for entry in found if entry.id in options.ids]
    return [entry for entry in found if entry.condition == "damaged"] if options.damaged else found


def _confirmed(question: str) -> bool:
    print(question, end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _runs(folder: Path) -> bool:
    """Whether a clean-up process answers."""
    try:
        anyio.run(ask, folder, Retry(only_ask=True))
    except Unavailable:
        return False
    return True


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
