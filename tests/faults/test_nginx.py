"""Two replicas behind a real nginx with the shipped configuration: restarts and kills cost no client anything.

More restarts of each, and what it costs without the repeating of POSTs: `make soak ARGS="--only restarts"`.
"""

import asyncio
import json

import pytest

from tests.end_to_end.harness import Client, serving
from tests.faults.fleet import connecting, fleet, free_ports, nginx, wait_listening
from tests.history import checker
from tests.history.load import RecordedLoad, demo_pictures, post_good
from tests.history.operations import History

pytestmark = pytest.mark.timeout(600)


def test_client_behind_nginx_is_known_by_its_own_address(tmp_path):
    """Whatever it says of itself: nginx adds what it sees, and takes away what else could be believed."""
    front, back, other = free_ports(3)
    flags = ("--workers", "1", "--access-log", "--trusted-proxies", "127.0.0.1", "--port", str(back))
    with serving(*flags) as server, nginx(tmp_path, front, (back, other)):
        wait_listening(front)

        async def run():
            client = Client(*await asyncio.open_connection("127.0.0.1", front, local_addr=("127.0.0.5", 0)))
            made_up = {"x_forwarded_for": "6.6.6.6", "forwarded": "for=7.7.7.7"}
            status = (await client.request("GET", "/healthz", **made_up)).status
            await client.close()
            return status

        assert 200 == server.run(run())

    assert "127.0.0.5" in {json.loads(line).get("client") for line in server.final_log.splitlines()}


def clients_of(port):
    """A steady rate well below what one replica can do."""
    turn = post_good(demo_pictures())
    return RecordedLoad(History(), connecting(port), turn, slo_s=10, clients=4, rate=100)


def statuses(history):
    return {ending.status for one in history.operations for ending in one.endings}


@pytest.mark.long
@pytest.mark.parametrize("count", [2, 4])
def test_rolling_restarts_lose_no_request(tmp_path, count):
    """Each replica is restarted in turn; every client gets its own image's answer."""
    with fleet(tmp_path, count=count) as (front, _, restart):

        async def run():
            async with clients_of(front) as clients:
                for number in range(count):
                    await restart(number)
            return clients.history

        history = asyncio.run(run())

    assert [] == checker.check(history, demo_pictures())
    assert {200} == statuses(history)
    assert len(history.operations) > 100


def test_killed_processes_of_a_replica_cost_no_request(tmp_path):
    """kill -9 of any one process of a replica, as soon as it is whole again: what it had in flight is answered by the
    other."""
    with fleet(tmp_path) as (front, (replica, _), _):

        async def run():
            async with clients_of(front) as clients:
                for victim in (lambda: replica.workers[0], lambda: replica.web, lambda: replica.process):
                    await clients.more(100)
                    await replica.all_ready()
                    victim().kill()
                    await clients.more(200)
            return clients.history

        history = asyncio.run(run())

    assert [] == checker.check(history, demo_pictures())
    assert {200} == statuses(history)
