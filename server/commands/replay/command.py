"""Carries out `tureen replay`."""

import asyncio
import signal
import sys
from collections.abc import Sequence

import anyio
from rich.console import Console

from server.cleanup.opening import open_store
from server.cleanup.stores import Store, StoreError
from server.commands.replay import view
from server.commands.replay.compare import Compared, summary
from server.commands.replay.options import Options, parse
from server.commands.replay.replaying import Replay, names
from server.engine import Engine, EngineFailed
from server.engine.groups import leaves
from server.settings import SettingsError

_OK, _FAILED, _USAGE = 0, 1, 2
_WIDTH = 120


def run(argv: Sequence[str]) -> int:
    """Replay, show, write. Returns the exit code."""
    try:
        options = parse(argv)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return _USAGE
    try:
        store = open_store(options.settings.storage)
        model, rows = asyncio.run(_replayed(options, store))
        return _conclude(options, store, model, rows)
    except (EngineFailed, OSError, StoreError) as error:
        print(f"tureen replay: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


async def _replayed(options: Options, store: Store) -> tuple[str, list[Compared]]:
    """The model's name, and a row per image. Raises `EngineFailed`, `StoreError`."""
    found = await anyio.to_thread.run_sync(names, store, options.since, options.until, options.limit)
    if not found:
        return "", []
    try:
        async with Engine(options.settings) as engine:
            model = await engine.wait_ready()
            with view.bar(Console(stderr=True)) as bar:
                task = bar.add_task("", total=len(found))
                replay = Replay(engine, store, lambda done: bar.update(task, completed=done))
                await replay.run(found)
    except BaseExceptionGroup as group:
        raise leaves(group)[0] from None
    return f"{model.name} {model.version} ({model.digest[:12]})", replay.rows


def _conclude(options: Options, store: Store, model: str, rows: list[Compared]) -> int:
    if not rows:
        print("tureen replay: there are no such images in the store", file=sys.stderr)
        return _FAILED
    total = summary(rows)
    out = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    view.show(out, total, model)
    view.write(options.json, view.as_json(total, model, rows))
    view.write(options.csv, view.as_csv(rows))
    if options.html:
        view.write(options.html, view.as_html(total, model, rows, store.get))
    return _OK
