"""The two steps of an end: unready first, then gone."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("http", HTTP_SERVERS)
def test_unready_at_once_but_serving_until_the_delay_ends(http):
    """Between the two a load balancer has time to notice; every answer asks its connection to be closed."""
    delays = ("--drain-delay", "1h", "--shutdown-timeout", "2h")
    with serving("--workers", "1", "--http-server", http, *delays) as server:

        async def run():
            server.process.send_signal(signal.SIGTERM)
            while (ready := await ask(server, "/readyz")).status == 200:
                pass
            alive = await ask(server, "/healthz")
            answer = await (await server.connect()).post(photo(1))
            server.process.send_signal(signal.SIGTERM)  # a second signal hurries
            return ready, alive, answer

        ready, alive, answer = server.run(run())

        assert (503, 200, 200) == (ready.status, alive.status, answer.status)
        assert ["close"] * 3 == [reply.headers["connection"] for reply in (ready, alive, answer)]
        assert 0 == server.wait()


async def ask(server, path):
    return await (await server.connect()).request("GET", path)


def test_ctrl_c_does_not_wait():
    """Whoever presses it is watching."""
    with serving("--workers", "1", "--drain-delay", "1h", "--shutdown-timeout", "2h") as server:
        server.signal_group(signal.SIGINT)

        assert 0 == server.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stage", ["server.web.process", "server.inference.worker"])
def test_signal_during_the_start_ends_it_in_order(number, stage):
    """Before web has read its settings, or before its worker is ready."""
    command = (sys.executable, "-m", "server", "serve", "--port", "0", "--workers", "1", "--drain-delay", "0")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not any(stage in line for line in commands_below(process.pid)):
            assert process.poll() is None
        process.send_signal(number)
        _, said = process.communicate(timeout=60)

    assert 0 == process.returncode, said.decode()
    assert b"Traceback" not in said, said.decode()


def commands_below(pid):
    """The command lines of a process's descendants, as far as they live while this looks."""
    try:
        return [" ".join(child.cmdline()) for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
