"""SIGTERM and Ctrl-C: refuse new, answer what was accepted, exit 0, leave nothing behind."""

import signal
import subprocess
import sys
from collections import Counter

import psutil
import pytest

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.models import dense, two_inputs
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

IN_FLIGHT = 64


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory):
    return dense(tmp_path_factory.mktemp("model") / "slow.onnx", size=32, hidden=(4096, 4096))


@pytest.fixture(scope="module")
def images():
    return [photo(n, 1200, 900) for n in range(IN_FLIGHT)]


@pytest.mark.parametrize("http", HTTP_SERVERS)
@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C"])
def test_every_accepted_request_is_answered(slow_model, images, how, http):
    """With many images waiting for a slow model, the signal comes and the port closes; all are answered 200, each with
    the request to close its connection."""
    with serving("--workers", "1", "--model", str(slow_model), "--slo", "60s", "--http-server", http) as server:
        tree = server.tree()
        worker = server.workers[0]
        worker.suspend()

        async def run():
            clients = [await server.connect() for _ in range(IN_FLIGHT)]
            for client, image in zip(clients, images, strict=True):
                await client.send("POST", "/v1/images", image)
            while not accepted(await server.metrics()):
                pass
            if how == "SIGTERM":
                server.process.send_signal(signal.SIGTERM)
            else:
                server.signal_group(signal.SIGINT)
            await until_refused(server)
            worker.resume()
            return [await client.read() for client in clients]

        replies = server.run(run())
        code = server.wait()
        _, alive = psutil.wait_procs(tree, timeout=10)

    assert Counter({200: IN_FLIGHT}) == Counter(reply.status for reply in replies)
    assert {"close"} == {reply.headers["connection"] for reply in replies}
    assert 0 == code
    assert [] == alive


async def until_refused(server):
    """Until nobody listens at the port any more: not the workers either."""
    try:
        while True:
            await (await server.connect()).close()
    except ConnectionError:  # refused; or reset, if it came to the backlog in the last moment
        return


def accepted(now: dict[str, float]) -> bool:
    """Whether every image has reached the queue."""
    done = now.get('tureen_requests_total{outcome="ok",resource="images"}', 0)
    return now["tureen_queue_images"] + now["tureen_running_images"] + done >= IN_FLIGHT


def test_new_connections_are_refused_once_it_has_ended():
    """The port is free again at the end."""
    with serving("--workers", "1") as server:
        server.process.terminate()

        assert 0 == server.wait()
        with pytest.raises(ConnectionRefusedError):
            server.run(server.connect())


@pytest.mark.parametrize("http", HTTP_SERVERS)
def test_idle_keep_alive_connection_does_not_hold_up_the_end(http):
    """A client that keeps its connection and says nothing is closed."""
    with serving("--workers", "1", "--http-server", http) as server:

        async def run():
            client = await server.connect()
            await client.post(photo(1))
            server.process.terminate()
            return await client.reader.read()

        assert b"" == server.run(run())
        assert 0 == server.wait()


def test_model_that_cannot_be_served_ends_the_start(tmp_path):
    """The last line says what was found and what is needed; the exit code is not 0."""
    model = two_inputs(tmp_path / "two.onnx")

    ended = run_serve("--model", str(model))

    assert 1 == ended.returncode
    assert "it has 2 inputs" in ended.stderr


def test_port_in_use_is_said_plainly():
    """Two servers cannot have one port."""
    with serving("--workers", "1") as server:
        ended = run_serve("--port", str(server.port))

    assert 1 == ended.returncode
    assert f'"address": "127.0.0.1:{server.port}", "reason": "Address already in use"' in ended.stderr


def run_serve(*flags):
    command = [sys.executable, "-m", "server", "serve", "--workers", "1", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
