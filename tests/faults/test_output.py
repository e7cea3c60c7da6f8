"""What is printed for people may go nowhere: that ends no server, and takes no client's answer."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import psutil
import pytest

from tests.end_to_end.harness import Client
from tests.faults.fleet import free_ports
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

IMAGE = photo(1)


def closed():
    """All three are closed, as some service managers start programs."""
    for number in range(3):
        os.close(number)


def full_and_left():
    """The disk that standard output is on is full, and whoever read standard error has left."""
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    os.dup2(writing, 2)


def unread():
    """Whoever should read the output does not: it takes one page, and then nothing more."""
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, bytes(4096))
    os.dup2(writing, 1)
    os.dup2(writing, 2)


@contextmanager
def started(prepare):
    """A server with its standard descriptors as `prepare` leaves them; its process and its port."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "serve", "--port", str(port), "--drain-delay", "0", "--workers", "1"],
        start_new_session=True, preexec_fn=prepare, close_fds=False, env={**os.environ, "TUREEN_THREADS": "1"},
    )  # fmt: skip
    try:
        yield process, port
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def answered(port):
    """The status of an image, once a worker is ready."""
    while True:
        try:
            client = Client(*await asyncio.open_connection("127.0.0.1", port))
        except ConnectionRefusedError:
            continue
        try:
            if (await client.request("GET", "/readyz")).status == 200:
                return (await client.post(IMAGE)).status
        except (ConnectionError, EOFError):  # it was with the web process that died
            pass
        finally:
            await client.close()


@pytest.mark.parametrize("prepare", [closed, full_and_left, unread])
def test_server_without_a_usable_output_serves_survives_the_death_of_web_and_ends_in_order(prepare):
    """It prints its start-up block and logs deaths all the same; nobody but a reader misses any of it."""
    with started(prepare) as (process, port):
        first = asyncio.run(answered(port))
        (web,) = psutil.Process(process.pid).children()
        web.kill()
        web.wait()
        second = asyncio.run(answered(port))
        process.terminate()

        assert (200, 200, 0) == (first, second, process.wait(30))
