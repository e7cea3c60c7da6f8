"""Tureen with nothing to do: how long it takes to start, and what it costs to have it."""

from __future__ import annotations

import time
from typing import Any

import psutil

from benchmarks.machine import cpu_s
from benchmarks.meter import memory_of
from benchmarks.served import serving, tureen

_SETTLE_S = 1.0


def at_rest(seconds: float) -> dict[str, Any]:
    """Of the demo model: seconds from the command to the address; CPU (of a core) and memory (bytes) when idle."""
    with serving(tureen([])) as served:
        time.sleep(_SETTLE_S)
        pids = served.pids()
        before, began = cpu_s(pids), time.monotonic()
        time.sleep(seconds)
        used = (cpu_s(pids) - before) / (time.monotonic() - began)
        (web,) = [pid for pid in pids if "server.web.process" in psutil.Process(pid).cmdline()]
        return {
            "start_s": served.start_s,
            "idle_cpu": used,
            "web_memory": psutil.Process(web).memory_info().rss,
            "memory": memory_of(pids),
        }
