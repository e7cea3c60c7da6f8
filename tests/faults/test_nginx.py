"""Two replicas behind a real nginx with the shipped configuration: restarts and kills cost no client anything."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from server import demo
from tests.end_to_end.harness import Client, serving
from tests.end_to_end.load import IMAGES, Load
from tests.reference import Reference

pytestmark = pytest.mark.timeout(600)

CONFIG = Path(__file__).parents[2] / "deploy/nginx/nginx.conf"
ROUNDS = int(os.environ.get("TEST_RESTARTS", "2"))  # restarts of each replica
FLAGS = ("--workers", "1", "--slo", "10s", "--drain-delay", "1s")


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def nginx(folder, front, backs, repeat=True):
    """The shipped configuration with other ports; `repeat=False` leaves out the repeating of POSTs."""
    text = CONFIG.read_text()
    for old, new in zip(("8080", "8081", "8082"), (front, *backs), strict=True):
        text = re.sub(rf"\b{old}\b", str(new), text)
    if not repeat:
        text = text.replace(" non_idempotent", "")
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("http {", f"http {{\n    access_log off;\n{temporary}")
    file = folder / "nginx.conf"
    file.write_text(f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n{text}")
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(folder), "-c", str(file)])
    try:
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)


def clients_of(port):
    """A steady rate well below what one replica can do."""

    async def connect():
        return Client(*await asyncio.open_connection("127.0.0.1", port))

    return Load(connect, connections=4, pause_s=0.02)


@contextmanager
def fleet(folder, repeat=True):
    """Two replicas and nginx; `restart(k)` and `replicas[k]` work on them while it is entered."""
    front, *backs = free_ports(3)
    with ExitStack() as stack:
        replicas = [stack.enter_context(serving(*FLAGS, "--port", str(port))) for port in backs]

        async def restart(k):
            replicas[k].process.terminate()
            assert 0 == await asyncio.to_thread(replicas[k].wait)
            successor = serving(*FLAGS, "--port", str(backs[k]))
            replicas[k] = await asyncio.to_thread(stack.enter_context, successor)

        stack.enter_context(nginx(folder, front, backs, repeat))
        wait_listening(front)
        yield front, replicas, restart


def wait_listening(port):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError("nginx does not listen")


def test_rolling_restarts_lose_no_request(tmp_path):
    """Each replica is restarted in turn, again and again; every client gets its own image's answer."""
    with fleet(tmp_path) as (front, _, restart):

        async def run():
            async with clients_of(front) as clients:
                for _ in range(ROUNDS):
                    await restart(0)
                    await restart(1)
            return clients.answered

        replies = asyncio.run(run())

    reference = Reference(demo.FOLDER)
    assert Counter({200: len(replies)}) == Counter(reply.status for _, reply in replies)
    assert all(reference.agrees(IMAGES[n], reply.json()) for n, reply in replies)
    assert len(replies) > 100 * ROUNDS


@pytest.mark.parametrize("which", ["supervisor", "web", "worker"])
def test_killed_process_of_a_replica_costs_no_request(tmp_path, which):
    """kill -9 of any one process of a replica: what it had in flight is answered by the other."""
    with fleet(tmp_path) as (front, replicas, _):

        async def run():
            async with clients_of(front) as clients:
                await clients.answers(100)
                victims = {"supervisor": replicas[0].process, "web": replicas[0].web, "worker": replicas[0].workers[0]}
                victims[which].kill()
                await clients.answers(300)
            return clients.answered

        replies = asyncio.run(run())

    assert Counter({200: len(replies)}) == Counter(reply.status for _, reply in replies)
