"""The prediction log of a real server: whatever becomes of its lines, images are answered as ever."""

import os

import pytest

from tests.end_to_end.harness import serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def stalled(tmp_path):
    """A pipe that somebody holds open and never reads."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path
    os.close(reader)


async def statuses(server, count):
    client = await server.connect()
    return {(await client.post(photo(number % 20))).status for number in range(count)}


def test_a_full_disk_costs_lines_and_no_answer():
    """/dev/full takes nothing: what is lost is counted."""
    with serving("--prediction-log", "/dev/full", "--workers", "1", "--slo", "60s") as server:

        async def run():
            found = await statuses(server, 20)
            while (lost := (await server.metrics()).get('tureen_lost_predictions_total{reason="disk"}', 0)) < 20:
                pass
            return found, lost

        assert ({200}, 20) == server.run(run())


def test_a_reader_that_stalls_costs_no_answer_and_does_not_hold_up_the_end(stalled):
    """Its pipe is full long before the last image; the server ends all the same."""
    with serving("--prediction-log", str(stalled), "--workers", "1", "--slo", "60s") as server:
        assert {200} == server.run(statuses(server, 300))
        server.process.terminate()
        assert 0 == server.wait()
