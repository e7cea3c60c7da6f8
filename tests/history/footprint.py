"""What a server holds of the system: processes, descriptors, connections, threads, memory; and whether it is given
back."""

import time
from dataclasses import dataclass, field

import psutil

from tests.history.checker import Violation

WITHIN_S = 10.0  # after the last client has gone
SLACK = 2  # descriptors and threads, of a process


@dataclass(frozen=True)
class Process:
    """One process at one moment; `resident` in bytes."""

    pid: int
    descriptors: int
    threads: int
    resident: int


@dataclass(frozen=True)
class Footprint:
    """A server at one moment. Those of its workers that are new since are not compared."""

    supervisor: Process
    web: Process
    workers: dict[int, Process] = field(default_factory=dict)
    connections: int = 0

    @property
    def resident(self) -> int:
        """Bytes of all processes."""
        return sum(one.resident for one in (self.supervisor, self.web, *self.workers.values()))


def look(server) -> Footprint:
    """What it holds now. Raises `psutil.Error` or `StopIteration` while a process is replaced."""
    web = server.web
    workers = {worker.pid: _process(worker) for worker in server.workers}
    connections = sum(one.status == psutil.CONN_ESTABLISHED for one in web.net_connections("tcp"))
    return Footprint(_process(psutil.Process(server.process.pid)), _process(web), workers, connections)


def difference(before: Footprint, after: Footprint) -> list[Violation]:
    """What is more, or other, than before. The web process is compared if it is the same one."""
    found = []
    if after.supervisor.pid != before.supervisor.pid:
        found.append(Violation("supervisor", f"{before.supervisor.pid} became {after.supervisor.pid}"))
    pairs = [("supervisor", before.supervisor, after.supervisor), ("web", before.web, after.web)]
    pairs += [("worker", one, after.workers[pid]) for pid, one in before.workers.items() if pid in after.workers]
    for name, old, new in pairs:
        if old.pid == new.pid:
            found += _of_process(name, old, new)
    if len(after.workers) != len(before.workers):
        found.append(Violation("workers", f"{len(before.workers)} before, {len(after.workers)} now"))
    if after.connections > before.connections:
        found.append(Violation("connections", f"{before.connections} before, {after.connections} now"))
    return found


def growth(before: Footprint, after: Footprint, most: int) -> list[Violation]:
    """Whether all its processes together have grown by more than `most` bytes."""
    more = after.resident - before.resident
    return [Violation("memory", f"{more / 2**20:.1f} MiB more, {most / 2**20:.1f} allowed")] if more > most else []


def settled(server, before: Footprint, within_s: float = WITHIN_S) -> list[Violation]:
    """Wait until nothing is different any more; what still is when the time is over."""
    limit = time.monotonic() + within_s
    while True:
        try:
            found = difference(before, look(server))
        except (psutil.Error, StopIteration) as error:
            found = [Violation("processes", f"one is missing: {error!r}")]
        if not found or time.monotonic() > limit:
            return found
        time.sleep(0.05)


def _process(one: psutil.Process) -> Process:
    with one.oneshot():
        return Process(one.pid, one.num_fds(), one.num_threads(), one.memory_info().rss)


def _of_process(name: str, old: Process, new: Process) -> list[Violation]:
    found = []
    for what in ("descriptors", "threads"):
        was, now = getattr(old, what), getattr(new, what)
        if abs(now - was) > SLACK:
            found.append(Violation(what, f"{name}: {was} before, {now} now"))
    return found
