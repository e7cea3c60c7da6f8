"""Carries out `tureen models rollout`: tells the server what to do, and shows what it does."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.live import Live

from server.commands.admin_client import AdminClient, RemoteError
from server.commands.rollout.options import add_arguments
from server.commands.rollout.show import line, picture
from server.rollout.plan import NAMED
from server.rollout.view import RolloutView

_FAILED, _ROLLED_BACK, _LEFT = 1, 3, 130
_LOOK_S = 0.5


def run(argv: Sequence[str]) -> int:
    """Returns 0; 1 with a reason on standard error; 3 if it was rolled back; 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="tureen models rollout", allow_abbrev=False)
    add_arguments(parser)
    options = parser.parse_args(argv)
    try:
        return _act(AdminClient(options), options)
    except (RemoteError, OSError) as error:
        print(f"tureen models rollout: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        print("the rollout goes on; --pause stops it at its step, --rollback takes it back", file=sys.stderr)
        return _LEFT


def _act(client: AdminClient, options: argparse.Namespace) -> int:
    path = f"/v1/models/{options.name}/rollout"
    if options.change:
        now = _view(client.post(f"{path}/{options.change}"))
    elif options.version:
        now = _view(client.post(path, {"version": options.version, "plan": _plan(options.plan)}))
    else:
        now = _view(client.get(path))
    if not (options.detach or options.change):
        now = _watch(client, path, now)
    print(line(now))
    return _ROLLED_BACK if now.phase == "rolled_back" and options.change != "rollback" else 0


def _plan(given: str) -> str:
    """The name of a plan, or the text of one. Raises `OSError`."""
    return given if given in NAMED else Path(given).read_text(encoding="utf-8")


def _view(document: object) -> RolloutView:
    return msgspec.convert(document, RolloutView)


def _watch(client: AdminClient, path: str, now: RolloutView) -> RolloutView:
    """Show it until it has ended: as a picture that moves on a terminal, else a line per event."""
    console = Console(stderr=True)
    shown = 0
    with Live(picture(now), console=console, transient=True, auto_refresh=False) as live:
        while True:
            if console.is_terminal:
                live.update(picture(now), refresh=True)
            else:
                for event in now.events[shown:]:
                    print(event.what, file=sys.stderr, flush=True)
                shown = len(now.events)
            if now.phase not in ("running", "paused"):
                return now
            time.sleep(_LOOK_S)
            now = _view(client.get(path))
