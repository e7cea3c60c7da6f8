"""Replicas behind a real nginx with the shipped configuration, but for its ports and the number of back ends."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.end_to_end.harness import Client, serving

CONFIG = Path(__file__).parents[2] / "deploy/nginx/nginx.conf"
FLAGS = ("--workers", "1", "--slo", "10s", "--drain-delay", "1s")


def free_ports(count):
    """Ports that were free just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def nginx(folder, front, backs, repeat=True, log=False, change=str):
    """The shipped configuration with other ports; `repeat=False` leaves out the repeating of POSTs.

    `log`: write for each request, into access.log of the folder, to whom it was passed on; `-` for nobody. `change`:
    what else to do to the text.
    """
    text = re.sub(r"\b8080\b", str(front), CONFIG.read_text())
    shipped = re.findall(r" *server 127\.0\.0\.1:808[12] .*\n", text)
    assert 2 == len(shipped)
    text = text.replace(shipped[1], "")
    text = text.replace(shipped[0], "".join(shipped[0].replace("8081", str(back)) for back in backs))
    if not repeat:
        text = text.replace(" non_idempotent", "")
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    access = f"log_format passed '$upstream_addr'; access_log {folder}/access.log passed" if log else "access_log off"
    text = text.replace("http {", f"http {{\n    {access};\n{temporary}")
    text = change(text)
    file = folder / "nginx.conf"
    user = "user root;\n" if os.getuid() == 0 else ""  # large bodies are written into the folder, which is private
    file.write_text(f"{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n{text}")
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(folder), "-c", str(file)])
    try:
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)


@contextmanager
def fleet(folder, repeat=True, count=2):
    """Replicas and nginx; `restart(k)` and `replicas[k]` work on them while it is entered."""
    front, *backs = free_ports(1 + count)
    with ExitStack() as stack:
        replicas = [stack.enter_context(serving(*FLAGS, "--port", str(port))) for port in backs]

        async def restart(k):
            if replicas[k].process.poll() is None:
                replicas[k].process.terminate()
                assert 0 == await asyncio.to_thread(replicas[k].wait)
            successor = serving(*FLAGS, "--port", str(backs[k]))
            replicas[k] = await asyncio.to_thread(stack.enter_context, successor)

        stack.enter_context(nginx(folder, front, backs, repeat))
        wait_listening(front)
        yield front, replicas, restart


def wait_listening(port):
    """Return once somebody listens there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError("nginx does not listen")


def connecting(port, address="127.0.0.1"):
    """What gives a new connection to it, from an address of this machine."""

    async def connect():
        return Client(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))

    return connect
