"""Carries out `tureen send`."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio

from server.commands.send.options import add_arguments
from server.process.printable import printable
from server.units import DURATION

_FAILED, _USAGE = 1, 2
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif", ".heic"})

Said = Callable[[Path, dict[str, Any] | Exception], None]


def run(argv: Sequence[str]) -> int:
    """Send the photos. Returns the exit code: 0 if each was answered, 1 if one was not, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="tureen send", allow_abbrev=False)
    add_arguments(parser)
    options = parser.parse_args(argv)
    if not find_spec("httpx"):
        return _complain("this needs its extra: pip install 'tureen[client]'")
    try:
        deadline_s = float(DURATION.read(options.deadline)) if options.deadline else None
        photos = list(find(options.photos))
    except (OSError, ValueError) as error:
        return _complain(str(error))
    return _send_all(photos, options, deadline_s)


def find(given: Iterable[Path]) -> Iterator[Path]:
    """The photos: files as they are named, and the images in folders. Raises `OSError` where there is no such file."""
    for path in given:
        if path.is_dir():
            yield from (one for one in sorted(path.rglob("*")) if one.suffix.lower() in _SUFFIXES and one.is_file())
        else:
            path.stat()
            yield path


def describe(answer: dict[str, Any]) -> str:
    """An answer in a few words."""
    if best := answer.get("predictions"):
        return f"{best[0]['label']} {best[0]['score']:.3f}"
    if "score" in answer:
        return " ".join(str(answer[name]) for name in ("label", "score") if name in answer)
    return "answered"


def _complain(text: str) -> int:
    print(f"tureen send: {printable(text)}", file=sys.stderr)
    return _USAGE


def _send_all(photos: Sequence[Path], options: argparse.Namespace, deadline_s: float | None) -> int:
    from rich.console import Console  # slow to import
    from rich.progress import Progress

    failed = 0
    console = Console(stderr=True)
    with Progress(console=console, disable=len(photos) < 2 or not console.is_terminal) as progress:
        bar = progress.add_task("photos", total=len(photos))

        def said(photo: Path, outcome: dict[str, Any] | Exception) -> None:
            nonlocal failed
            failed += isinstance(outcome, Exception)
            print(_line(photo, outcome, as_json=options.json))
            progress.advance(bar)

        anyio.run(_send, photos, options, deadline_s, said)
    return _FAILED if failed else 0


def _line(photo: Path, outcome: dict[str, Any] | Exception, *, as_json: bool) -> str:
    if as_json:
        members = {"error": str(outcome)} if isinstance(outcome, Exception) else outcome
        return json.dumps({"file": str(photo), **members})
    return (
        f"{printable(str(photo))}: {printable(str(outcome) if isinstance(outcome, Exception) else describe(outcome))}"
    )


async def _send(photos: Sequence[Path], options: argparse.Namespace, deadline_s: float | None, said: Said) -> None:
    from server.client import AsyncClient, TureenError  # its extra may be missing

    limiter = anyio.CapacityLimiter(max(1, options.at_once))
    async with AsyncClient(options.url, key=options.key) as client, anyio.create_task_group() as tasks:

        async def send(photo: Path) -> None:
            try:
                said(photo, await client.send(photo, deadline_s=deadline_s, model=options.model))
            except (TureenError, OSError) as error:
                said(photo, error)
            finally:
                limiter.release_on_behalf_of(photo)

        for photo in photos:
            await limiter.acquire_on_behalf_of(photo)
            tasks.start_soon(send, photo)
