"""Who is compared: Tureen, and the baselines. To add a server of your own: a row in `CONTENDERS`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks.served import Served, serving, tureen
from benchmarks.works import Work
from server.process.cpus import usable_cpus


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that takes `POST /v1/images`. `command`: for a work, what starts it; it has to print a line
    `address http://HOST:PORT` when it is ready, `ready` times in all."""

    title: str
    command: Callable[[Work], Sequence[str]]
    ready: int = 1
    checked: bool = True  # whether its pixels are those of our own recipe, so that its labels have to be ours

    def start(self, work: Work) -> AbstractContextManager[Served]:
        """The server, ready. Raises `StartFailed`."""
        return serving(self.command(work), self.ready)


def _tureen(*flags: str) -> Callable[[Work], list[str]]:
    many = ("--trusted-proxies", "127.0.0.1")  # the load generator plays many clients: none waits for another's haste
    return lambda work: tureen([*work.serve_flags(), "--slo", f"{work.slo_s:g}s", *many, *flags])


def _baseline(name: str) -> Callable[[Work], list[str]]:
    return lambda work: [sys.executable, "-m", f"benchmarks.baselines.{name}", str(work.model_path())]


CONTENDERS: Mapping[str, Contender] = {
    "tureen": Contender("Tureen on hypercorn", _tureen("--http-server", "hypercorn")),
    "uvicorn": Contender("Tureen on uvicorn", _tureen("--http-server", "uvicorn")),
    "usual": Contender("FastAPI, as usual", _baseline("usual"), checked=False),
    "tuned": Contender("FastAPI, tuned", _baseline("tuned"), ready=usable_cpus()),
}
