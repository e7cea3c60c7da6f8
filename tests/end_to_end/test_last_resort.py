"""When nothing helps any more the server ends, non-zero, and its last line says why."""

import signal
import subprocess
import sys
import time

import pytest

from tests.end_to_end.harness import before_all, serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)


def run_serve(folder, doomed):
    """Serve with a `sitecustomize` that kills every process of one kind at its start."""
    (folder / "sitecustomize.py").write_text(
        f"import os, sys\nif {doomed!r} in sys.orig_argv:\n    os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    )
    command = [sys.executable, "-m", "server", "serve", "--port", "0", "--workers", "1"]
    environ = {"PYTHONPATH": before_all(folder), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environ)


def test_workers_that_never_become_ready_end_the_server(tmp_path):
    """Five in a row, each after a longer pause; the supervisor does not try again."""
    ended = run_serve(tmp_path, "server.inference.worker")

    assert 1 == ended.returncode
    assert "5 workers in a row died before they were ready" in ended.stderr.splitlines()[-1]


def test_web_process_that_never_lives_ends_the_server(tmp_path):
    """A few times within half a minute, then no more."""
    ended = run_serve(tmp_path, "server.web.process")

    assert 1 == ended.returncode
    assert "the web process died 6 times in 30 s" in ended.stderr.splitlines()[-1]
    assert "signal SIGKILL" in ended.stderr


def test_shutdown_timeout_ends_what_does_not_end():
    """A stopped worker cannot finish its image: at the limit everything is ended all the same."""
    with serving("--workers", "1", "--slo", "60s", "--shutdown-timeout", "2s") as server:
        worker = server.workers[0]
        worker.suspend()

        async def run():
            client = await server.connect()
            await client.send("POST", "/v1/images", photo(1))
            while not (await server.metrics())["tureen_running_images"]:
                pass
            server.process.terminate()

        started = time.monotonic()
        server.run(run())
        code = server.wait()
        took = time.monotonic() - started
        worker.resume()

    assert 1 == code
    assert took < 20
    assert "shutdown_timeout" in server.final_log
