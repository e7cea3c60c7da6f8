"""What a request costs with one and with several web processes: `python -m benchmarks.fronts [--web 2] [--seconds 8]`.

Both servers run at the same time and are asked in turn by `wrk`, so that they are compared on the same machine in the
same minute. CPU time is that of the processes which read requests and dispatch images; workers are left out. `miss`:
every image goes through a worker. `hit`: every answer comes from the cache, so that nothing but HTTP and dispatch is
there.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from server.commands.bench.photos import photo

_WEB = ("server.web.process", "server.web.front_process")
_LUA = """
local file = io.open("{image}", "rb"); wrk.body = file:read("*a"); file:close()
wrk.method, wrk.path, wrk.headers["Content-Type"] = "POST", "/v1/images", "image/jpeg"
{more}
"""
_MISS = 'wrk.headers["Cache-Control"] = "no-store"'


class Round(NamedTuple):
    """One run of `wrk`. `cpu_us`: per request, by module."""

    rate: float
    cpu_us: Mapping[str, float]

    @property
    def total_us(self) -> float:
        """Of all web processes, per request."""
        return sum(self.cpu_us.values())


class Server:
    """A server on a free port. `web`: its web processes."""

    def __init__(self, web: int, process: subprocess.Popen[bytes]) -> None:
        self.web = web
        self._top = psutil.Process(process.pid)
        assert process.stdout
        for line in process.stdout:
            if found := re.search(rb"address +(http\S+)", line):
                self.url = found[1].decode()
                return
        raise SystemExit("the server did not start")

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far, by module."""
        spent = dict.fromkeys(_WEB, 0.0)
        for child in self._top.children():
            for module in _WEB:
                if module in child.cmdline():
                    times = child.cpu_times()
                    spent[module] += times.user + times.system
        return spent


@contextmanager
def serving(web: int, cache: str) -> Iterator[Server]:
    """A server with so many web processes, ended at the end."""
    command = [sys.executable, "-m", "server", "serve", "--port", "0", "--web", str(web), "--slo", "10s"]
    command += ["--workers", "1", "--threads", "1", "--drain-delay", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "XDG_CACHE_HOME": cache}
    )
    try:
        yield Server(web, process)
    finally:
        process.terminate()
        process.wait()


def measured(server: Server, script: Path, connections: int, seconds: float) -> Round:
    """One run. Raises `SystemExit` if any request was not answered with 200."""
    before = server.cpu_s()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script), server.url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told:
        raise SystemExit(told)
    after = server.cpu_s()
    count = int(re.search(r"(\d+) requests in", told)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec: +([\d.]+)", told)[1])  # type: ignore[index]
    return Round(rate, {module: 1e6 * (after[module] - before[module]) / count for module in _WEB})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--web", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("this needs wrk")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "image.jpg").write_bytes(photo(96, 96, 0))
        servers = [stack.enter_context(serving(web, str(folder))) for web in (1, given.web)]
        for name, more in (("miss", _MISS), ("hit", "")):
            script = folder / f"{name}.lua"
            script.write_text(_LUA.format(image=folder / "image.jpg", more=more))
            rounds: dict[int, list[Round]] = {server.web: [] for server in servers}
            for server in servers:
                measured(server, script, given.connections, 1)
            for _ in range(given.rounds):
                for server in servers:
                    rounds[server.web].append(measured(server, script, given.connections, given.seconds))
                    time.sleep(0.2)
            show(name, rounds)


def show(name: str, rounds: Mapping[int, list[Round]]) -> None:
    """A line per server, by the medians."""
    for web, ran in rounds.items():
        rate = statistics.median(one.rate for one in ran)
        total = statistics.median(one.total_us for one in ran)
        engine, fronts = (statistics.median(one.cpu_us[module] for one in ran) for module in _WEB)
        print(
            f"{name:5} web {web}: {rate:7.0f}/s, {total:6.0f} us of CPU per request "
            f"(engine {engine:.0f}, fronts {fronts:.0f})"
        )


if __name__ == "__main__":
    main()
