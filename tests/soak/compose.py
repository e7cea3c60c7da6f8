"""The Compose stack of Debian's packages, and its README's walk-through against it; then a replica is killed."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from tests.aws import free_port
from tests.deploy.container import IMAGE, ROOT, Podman
from tests.photos import photo
from tests.soak.phase import Findings, Job

_FOLDER = ROOT / "deploy" / "compose"
_SERVICES = ("tureen-1", "tureen-2", "nginx", "setup", "prometheus")  # without Grafana
_WITHIN_S = 90.0
_IMAGES = 200


class Stack:
    """The running stack."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.url = f"http://127.0.0.1:{environment['PORT']}"
        self.prometheus = f"http://127.0.0.1:{environment['PROMETHEUS_PORT']}"

    def __call__(self, *words: str, given: bytes = b"") -> str:
        command = [
            Path(sys.executable).parent / "podman-compose", "-p", "tureen-soak",
            "-f", _FOLDER / "compose.yaml", "-f", _FOLDER / "compose.debian.yaml", *words,
        ]  # fmt: skip
        done = subprocess.run(command, env=self._environment, input=given, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        return done.stdout.decode()

    def post(self, image: bytes) -> int:
        """The status of one image's answer; 0 for no answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/v1/images", image, timeout=20) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def kept(self) -> int:
        """How many objects there are below kept/."""
        return self("run", "--rm", "-T", "setup", "list").count("kept/")

    def up(self) -> int:
        """How many replicas Prometheus sees."""
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?query=up", timeout=10) as reply:
            found = json.load(reply)["data"]["result"]
        return sum(one["value"][1] == "1" for one in found)


def run(job: Job) -> Findings:
    found = Findings()
    with tempfile.TemporaryDirectory() as folder:
        job.say("building images", 0.0)
        podman = Podman(Path(folder))
        podman.build()
        podman.build_file(_FOLDER / "Dockerfile.debian", "localhost/tureen-services:13", _FOLDER)
        with _running(podman, job) as stack:
            _walk_through(job, found, stack)
            _kill(job, found, stack, podman)
    return found


@contextmanager
def _running(podman: Podman, job: Job):
    ports = {"PORT": str(free_port()), "PROMETHEUS_PORT": str(free_port())}
    stack = Stack(podman.environment | ports | {"TUREEN_IMAGE": IMAGE})
    try:
        job.say("starting", 0.4)
        began = time.monotonic()
        stack("up", "-d", "--no-build", *_SERVICES)
        _until(lambda: stack.post(photo(0)) == 200)
        job.say(f"up after {time.monotonic() - began:.0f} s", 0.5)
        yield stack
    finally:
        stack("down", "-v")


def _walk_through(job: Job, found: Findings, stack: Stack) -> None:
    job.say("the walk-through", 0.6)
    statuses = Counter(stack.post(photo(seed)) for seed in range(1, 5))
    found.none("images not answered, of 4", 4 - statuses[200])
    stack("run", "--rm", "-T", "setup", "put", "one.jpg", given=photo(5))
    wanted = 2 * (1 + 4 + 1)  # an original and a record of each
    found.holds("kept in the store within 90 s", str(wanted), str(wanted), _until(lambda: stack.kept() >= wanted))
    found.holds("replicas that Prometheus sees", "2", "2", _until(lambda: stack.up() == 2))


def _kill(job: Job, found: Findings, stack: Stack, podman: Podman) -> None:
    job.say("killing a replica", 0.8)
    statuses: Counter[int] = Counter()
    count = job.count(_IMAGES, 20)
    for number in range(count):
        if number == count // 4:
            podman("kill", "--signal=KILL", "tureen-soak_tureen-1_1")
        statuses[stack.post(photo(100 + number))] += 1
    found.none(f"images not answered, of {count}, while a replica is killed", count - statuses[200])
    found.raw["statuses"] = dict(statuses)


def _until(holds) -> bool:
    deadline = time.monotonic() + _WITHIN_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True
