"""Several children: kept running, drained in their order, and what their ends make of the server's exit code."""

import asyncio
import os
import signal
import socket

import pytest
import structlog

from server.settings import Settings
from server.supervise.child import ChildSpec
from server.supervise.restarts import RestartPolicy
from server.supervise.supervisor import Supervisor, exit_code

# A process that writes what happens to it into a file, and ends as its arguments say.
SCRIPT = """
import pathlib, sys, time
_, file, act = sys.argv
def tell(what):
    with open(file, "a") as told:
        told.write(f"{name} {what}\\n")
name = sys.stdin.readline().strip()
tell("started")
if act == "die":
    sys.exit(9)
if act == "die once" and not pathlib.Path(file + name).exists():
    pathlib.Path(file + name).touch()
    sys.exit(9)
tell(sys.stdin.readline().strip())
if act == "stay":
    time.sleep(1000)
tell("ended")
sys.exit(int(act) if act.isdigit() else 0)
"""
POLICY = RestartPolicy(pause_s=0.01, crashes=2, fatal=frozenset({3}))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a supervisor with one child per (name, act, drain order) until `events` are in the file, then tells it to
    end; its exit code and all events."""
    (tmp_path / "scripted.py").write_text(SCRIPT)
    (tmp_path / "told").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(*children, events=0, **settings):
        told = tmp_path / "told"
        specs = [
            ChildSpec(name, "scripted", name.encode(), (str(told), act), drain_order=order, policy=POLICY)
            for name, act, order in children
        ]

        async def end_after_events():
            for _ in iter(lambda: len(told.read_text().splitlines()) >= events, True):
                await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGTERM)

        async def both():
            supervisor = Supervisor(specs, Settings(server={"drain_delay": 7, **settings}), [socket.socket()])
            ending = asyncio.ensure_future(end_after_events() if events else asyncio.sleep(0))
            code = await asyncio.wait_for(supervisor.run(), 30)
            await ending
            return code

        return asyncio.run(both()), told.read_text().splitlines()

    return run


@pytest.mark.parametrize(("act", "code"), [("0", 0), ("1", 1), ("7", 1)])
def test_exit_code_is_0_only_if_the_child_ended_with_0(run, act, code):
    """A web process that failed while it drained must not look like an orderly end."""
    assert code == run(("web", act, 0), events=1)[0]


def test_children_drain_in_their_order(run):
    """The next is told once those before it have ended; the load balancer's delay is waited for once."""
    code, told = run(("cleanup", "0", 1), ("web", "0", 0), events=2)

    assert 0 == code
    assert ["web drain 7.0", "web ended", "cleanup drain 0.0", "cleanup ended"] == told[2:]


def test_one_child_that_failed_is_enough_for_exit_code_1(run):
    """Whichever it is."""
    assert 1 == run(("cleanup", "1", 1), ("web", "0", 0), events=2)[0]


def test_child_that_dies_is_started_again_and_the_others_run_on(run):
    """Each has a crash list of its own."""
    code, told = run(("cleanup", "0", 1), ("web", "die once", 0), events=3)

    assert 0 == code
    assert (2, 1) == (told.count("web started"), told.count("cleanup started"))


def test_child_that_keeps_dying_is_given_up_and_the_others_end_in_order(run):
    """The last line says why, and the exit code is 1."""
    with structlog.testing.capture_logs() as logged:
        code, told = run(("cleanup", "0", 1), ("web", "die", 0))

    assert 1 == code
    assert 3 == told.count("web started")
    assert "cleanup ended" == told[-1]
    assert "the web process died 3 times in 30 s" == logged[-1]["reason"]


def test_child_that_does_not_end_in_time_is_killed_and_so_are_all_behind_it(run):
    """`--shutdown-timeout` is for all of them together."""
    code, told = run(("cleanup", "0", 1), ("web", "stay", 0), events=2, shutdown_timeout=0.2)

    assert 1 == code
    assert not any(line.endswith("ended") for line in told)


@pytest.mark.parametrize(("codes", "code"), [([0, 0], 0), ([0, None], 0), ([0, 2], 1), ([-9, 0], 1)])
def test_exit_code_of_several(codes, code):
    """None ended between two lives: its death is in the log, and at the end nothing of it was under way."""
    assert code == exit_code(codes)
