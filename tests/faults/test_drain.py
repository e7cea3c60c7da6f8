"""The two steps of an end: unready first, then gone."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from tests.end_to_end.harness import HTTP_SERVERS, before_all, serving
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


@pytest.mark.parametrize("http", HTTP_SERVERS)
def test_upload_that_trickles_does_not_decide_the_exit_code(http):
    """It sends a byte now and then for as long as it is let: 408 in time, and the end is an orderly one."""
    limits = ("--shutdown-timeout", "6s", "--min-upload-rate", "1")
    with serving("--workers", "1", "--http-server", http, *limits) as server:

        async def run():
            client = await server.connect()
            await client.send("POST", "/v1/images", b"x", content_length="100000")
            while not (await server.metrics())["tureen_arriving_bytes"]:
                pass
            server.process.terminate()
            reading = asyncio.ensure_future(client.read())
            while not reading.done():
                client.writer.write(b"x")
                await asyncio.sleep(0.05)  # the rate of the trickle; nothing waits for it
            return reading.result()

        reply = server.run(run())

        assert (408, "upload_timeout") == (reply.status, reply.json()["code"])
        assert 0 == server.wait()


# What a process does, from its sitecustomize, when it comes to the place.
AT = """
import os, sys
def told(frame, event, _):
    if event == "call" and (frame.f_code.co_filename[-len({file!r}):], frame.f_code.co_name) == ({file!r}, {name!r}):
        sys.setprofile(None)
        {tell}
if {process!r} in sys.orig_argv:
    sys.setprofile(told)
"""
OWN, PARENTS = "os.killpg(0, {number})", "os.killpg(os.getpgid(os.getppid()), {number})"
WORKER = "server.inference.worker"
STAGES = {
    "the command loads": ("serve", "server/supervise/supervisor.py", "<module>", OWN),
    "web loads": ("server.web.process", "server/web/app.py", "<module>", OWN),
    "a worker loads": (WORKER, "server/inference/onnx/session.py", "<module>", PARENTS),
    "a worker ends of it": (WORKER, "server/inference/onnx/session.py", "<module>", PARENTS + "; os._exit(1)"),
    "a start-up benchmark": (WORKER, "server/inference/trials.py", "_follow", PARENTS),
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stage", STAGES)
def test_signal_during_the_start_ends_it_in_order(tmp_path, number, stage):
    """As a terminal or a service manager sends it: to all processes, however far they have come."""
    process, file, name, tell = STAGES[stage]
    told = AT.format(process=process, file=file, name=name, tell=tell.format(number=int(number)))
    (tmp_path / "sitecustomize.py").write_text(told)

    ended = subprocess.run(
        [sys.executable, "-m", "server", "serve", "--port", "0", "--drain-delay", "0"],
        capture_output=True, text=True, timeout=60, check=False, start_new_session=True,
        env={**os.environ, "PYTHONPATH": before_all(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip

    assert 0 == ended.returncode, ended.stderr
    assert "Traceback" not in ended.stderr
