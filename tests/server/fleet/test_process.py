"""A worker's process ends, whoever loses patience."""

import asyncio
import os
import signal

import pytest

from batcher import Batcher
from server.contract.wire import Load
from server.fleet.process import WorkerProcess, end_all


@pytest.mark.parametrize("end", [lambda one: one.end(), lambda one: end_all([one])])
def test_whoever_stops_waiting_for_the_end_kills_it_and_goes_on(end):
    """The process hangs: it is stopped. Its keeper, cancelled meanwhile, must not go on to start another."""

    async def test():
        one = await WorkerProcess.start(Batcher(), Load("m.onnx", 1, 1))
        os.kill(one.pid, signal.SIGSTOP)
        ending = asyncio.ensure_future(end(one))
        for _ in range(3):  # until it waits
            await asyncio.sleep(0)
        ending.cancel()
        await asyncio.wait([ending])

        assert (True, -signal.SIGKILL) == (ending.cancelled(), one.exit)

    asyncio.run(asyncio.wait_for(test(), 20))


def test_it_is_in_a_group_of_its_own_but_not_in_a_session_of_its_own():
    """Ctrl-C in a terminal is not for it; and where a session is the unit of scheduling its niceness has to count."""

    async def test():
        one = await WorkerProcess.start(Batcher(), Load("m.onnx", 1, 1))
        found = (os.getpgid(one.pid), os.getsid(one.pid))
        await one.end()
        assert (one.pid, os.getsid(0)) == found

    asyncio.run(asyncio.wait_for(test(), 20))
