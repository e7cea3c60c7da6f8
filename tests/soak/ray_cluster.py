"""Ray Serve on two nodes of this machine, under load; run by the phase `ray`, in an environment that has Ray.

Prints lines of JSON. `python -m tests.soak.ray_cluster SECONDS`: of load at each step.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import ray
import tureen_ray
from ray import serve
from ray.cluster_utils import Cluster

from tests.photos import photo

_NODE = {"num_cpus": 4, "object_store_memory": 100 * 2**20}
_CLIENTS = 8
_PORT = 18_777
_MANY = 32  # clients, for what is to be too much
_BODIES = [photo(seed, 320, 240) for seed in range(16)]
_HEAVY = [photo(seed, 2000, 1500, "WEBP") for seed in range(4)]  # it is the engine that they keep busy, not the proxy
_SLO = "10s"


class Load:
    """Clients that send at a rate, or as fast as they are answered; every status is counted."""

    def __init__(
        self, port: int, rate: float | None, bodies: Sequence[bytes] = _BODIES, clients: int = _CLIENTS
    ) -> None:
        self.statuses: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.without_retry_after = 0
        self._port, self._rate, self._bodies, self._clients = port, rate, bodies, clients
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        due = time.monotonic() + number / self._clients / (self._rate or 1000)
        while not self._over.is_set():
            if self._rate:
                due += self._clients / self._rate
                self._over.wait(max(0.0, due - time.monotonic()))
            self._once(self._bodies[number % len(self._bodies)])

    def _once(self, body: bytes) -> None:
        began = time.monotonic()
        status = self.send(body)
        self.statuses[status] += 1
        if status == "200":
            self.seconds.append(time.monotonic() - began)

    def send(self, body: bytes) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request("POST", "/v1/images", body, {"cache-control": "no-store"})
            reply = connection.getresponse()
            reply.read()
            self.without_retry_after += reply.status == 503 and not reply.getheader("retry-after")
            return str(reply.status)
        except (OSError, http.client.HTTPException):
            return "no answer"
        finally:
            connection.close()


def loaded(rate: float | None, seconds: float, meanwhile=lambda: None, port: int = _PORT) -> Load:
    """Load for so long; `meanwhile` is done after a third of it."""
    with Load(port, rate) as load:
        time.sleep(seconds / 3)
        meanwhile()
        time.sleep(2 * seconds / 3)
    return load


def replicas() -> int:
    return serve.status().applications["default"].deployments["Replica"].replica_states.get("RUNNING", 0)


def until(count: int, within_s: float = 60.0) -> float:
    """Seconds until so many replicas run."""
    began = time.monotonic()
    while replicas() != count and time.monotonic() - began < within_s:
        time.sleep(0.2)
    return time.monotonic() - began


def kill_a_replica() -> None:
    """The newest of this cluster, at once."""
    os.kill(max(pid for pid, name in _children() if "ServeReplica:default:Replica" in name), signal.SIGKILL)


def _children() -> Iterator[tuple[int, str]]:
    """The processes that this one and its own have started, with their command lines."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it has just ended
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                names[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    for pid, name in names.items():
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid():
            yield pid, name


def own_server() -> tuple[subprocess.Popen, int]:
    command = [
        sys.executable,
        "-m",
        "server",
        "serve",
        "--port",
        "0",
        "--workers",
        "1",
        "--threads",
        "1",
        "--slo",
        _SLO,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    address = next(line.split()[-1] for line in process.stdout if line.strip().startswith("address"))
    return process, urlsplit(address).port


def p50_ms(port: int, count: int) -> float:
    one = Load(port, None)
    seconds = []
    for number in range(count):
        began = time.monotonic()
        one.send(_BODIES[number % len(_BODIES)])
        seconds.append(time.monotonic() - began)
    return sorted(seconds)[count // 2] * 1e3


def overhead(count: int) -> list[tuple[float, float]]:
    """p50 through Ray's proxy and of our own HTTP, in turn."""
    process, port = own_server()
    try:
        p50_ms(_PORT, 10)
        return [(p50_ms(_PORT, count), p50_ms(port, count)) for _ in range(3)]
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    seconds = float(sys.argv[1])
    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
    other = cluster.add_node(**_NODE)
    ray.init(address=cluster.address, log_to_driver=False)
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": _PORT})
    serve.run(tureen_ray.app({"slo": _SLO, "num_cpus": "3", "replicas": "2"}))  # each node holds one
    tell("p50_ms", overhead(30))
    rate = sum(loaded(None, seconds).statuses.values()) / seconds / 4
    tell("kill -9 of a replica", loaded(rate, seconds, kill_a_replica).statuses)
    until(2)
    lost = loaded(rate, seconds, lambda: cluster.remove_node(other, allow_graceful=False))
    tell("kill -9 of a node", lost.statuses)
    tell("resubmitted", json.loads(_get("/healthz"))["resubmitted"])

    small = {"slo": "2s", "num_cpus": "1"}
    serve.run(tureen_ray.app({**small, "replicas": "1"}))
    with Load(_PORT, None, _HEAVY) as closed:
        time.sleep(seconds)
    most = closed.statuses["200"] / seconds
    with Load(_PORT, 2 * most, _HEAVY, _MANY) as load:
        time.sleep(seconds)
    tell("at 2x", {"closed loop": most, "good": load.statuses["200"] / seconds, "statuses": load.statuses,
                   "503 without Retry-After": load.without_retry_after})  # fmt: skip
    serve.run(tureen_ray.app(small))
    with Load(_PORT, None, _HEAVY):
        tell("scaled up to 2 after_s", until(2))
    tell("scaled down to 1 after_s", until(1, 120.0))
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


def tell(what: str, found: object) -> None:
    """One line of JSON."""
    print(json.dumps({what: found}), flush=True)


def _get(path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", _PORT, timeout=30)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


if __name__ == "__main__":
    main()
