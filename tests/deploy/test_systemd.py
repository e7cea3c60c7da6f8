"""The service files, by systemd's own tools; and what the server says to a service manager, heard on its socket."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
TUREEN = (sys.executable, "-m", "server", "serve")


@pytest.fixture
def manager(tmp_path):
    """The socket on which a service manager hears its services."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(30)
        yield heard


def test_units_are_valid_and_confine_the_service(tmp_path):
    """No complaint; and an exposure of at most 2.5 of 10 by systemd's own count."""
    for name in ("tureen.socket", "tureen.service"):
        text = (UNITS / name).read_text().replace("/opt/tureen/bin/tureen", shutil.which("true"))
        (tmp_path / name).write_text(text)
    units = [str(tmp_path / name) for name in ("tureen.socket", "tureen.service")]

    verified = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", units[1]], capture_output=True, text=True
    )

    assert (0, "", 0) == (verified.returncode, verified.stderr, rated.returncode), rated.stdout[-200:]


def test_manager_hears_of_readiness_life_and_the_end(manager):
    """READY once an image would be answered, signs of life, and STOPPING at SIGTERM; exit code 0."""
    environment = os.environ | {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"}
    server = subprocess.Popen([*TUREEN, "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True)
    heard = []
    while "READY=1" not in heard or "WATCHDOG=1" not in heard[heard.index("READY=1") :]:
        heard.append(manager.recv(64).decode())
    server.send_signal(signal.SIGTERM)
    while "STOPPING=1" not in heard:
        heard.append(manager.recv(64).decode())

    log = server.communicate(timeout=30)[1]
    assert 0 == server.returncode, log
    assert 1 == heard.count("READY=1")


def test_port_that_systemd_holds_is_served(manager):
    """With socket activation the server listens on what it is given; --port and --host count for nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = [f"--setenv=NOTIFY_SOCKET={manager.getsockname()}", f"--setenv=PATH={os.environ['PATH']}"]
    activate = ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", *environment, *TUREEN, "--port", "1"]
    server = subprocess.Popen(activate, stderr=subprocess.PIPE, text=True)
    lines = iter(server.stderr.readline, "")
    next(line for line in lines if "Listening on" in line)

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as reply:
        status = reply.status
    while manager.recv(64) != b"READY=1":
        pass
    server.send_signal(signal.SIGTERM)
    log = server.communicate(timeout=30)[1]

    assert (200, 0) == (status, server.returncode), log
