"""The dashboards: as made, without overlaps; and each query gets an answer from a real Prometheus.

Prometheus scrapes two replicas behind nginx with the shipped rules, its ports and intervals changed.
"""

import asyncio
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from tests import dashboards
from tests.end_to_end.harness import serving
from tests.faults.fleet import connecting, free_ports, nginx, wait_listening
from tests.observability.test_rules import BURNS, RULES
from tests.photos import photo

pytestmark = pytest.mark.timeout(200)

ELSEWHERE = ("tureen_rollout", "tureen_drift", "tureen_gpu")  # only while there is such a thing


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_a_dashboard_is_as_it_is_made(name):
    """`make dashboards` renews it."""
    assert dashboards.text(name) == (dashboards.FOLDER / f"{name}.json").read_text()


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_panels_do_not_overlap(name):
    """Each has its own place, within 24 columns."""
    places = [panel["gridPos"] for panel in dashboards.dashboard(name)["panels"]]

    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


class Prometheus:
    """Asks a real one."""

    def __init__(self, port):
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def query(self, expression):
        """Give the labels of the values that are there now."""
        url = f"{self._url}/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return [one["metric"] for one in json.load(reply)["data"]["result"]]
        except urllib.error.HTTPError as error:
            if error.code != 503:  # it is starting
                raise
            return []

    def wait(self, expression, timeout_s=40.0):
        """Wait until there is a value."""
        deadline = time.monotonic() + timeout_s
        while not (found := self.query(expression)):
            assert time.monotonic() < deadline, f"no answer: {expression}"
            time.sleep(0.2)  # between two looks
        return found


@contextmanager
def prometheus(folder, backs):
    """The shipped configuration and rules, at an interval of half a second, windows and waits a fraction of theirs."""
    (port,) = free_ports(1)
    rules = re.sub(r"\[(5m|30m|1h|6h|3d)\]", "[4s]", RULES.read_text())
    (folder / "rules.yml").write_text(re.sub(r"for: \w+", "for: 0s", rules))
    text = (RULES.parent / "prometheus.yml").read_text().replace("15s", "500ms")
    (folder / "prometheus.yml").write_text(text.replace("8081", str(backs[0])).replace("8082", str(backs[1])))
    command = [
        shutil.which("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_listening(port)
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(30)


async def traffic(port, stop):
    """Images all along, good ones and one that is none: more than a queue of one takes."""
    bodies = [*map(photo, range(8)), b"no image"]
    clients = [await connecting(port)() for _ in bodies]

    async def post(client, body):
        while not stop.is_set():
            await client.post(body)

    await asyncio.gather(*map(post, clients, bodies))
    for client in clients:
        await client.close()


def test_every_query_is_answered_and_live_alerts_fire(tmp_path):
    """Two replicas behind nginx: all panels have data and the promise burns; then a replica that is stopped is down."""
    front, *backs = free_ports(3)
    flags = ("--workers", "1", "--max-queue", "1")
    with (
        serving(*flags, "--port", str(backs[0]), "--store", str(tmp_path / "store")),
        serving(*flags, "--port", str(backs[1])) as other,
        nginx(tmp_path, front, backs),
        prometheus(tmp_path, backs) as asked,
    ):
        here = 'job=~".*",instance=~".*"'
        panels = [panel for _, found in dashboards.DASHBOARDS.values() for panel in found]
        queries = [dashboards.expression(query, here, "4s") for panel in panels for _, query in panel.queries]
        queries = [query.replace("$job", ".*") for query in queries]
        awaited = [query for query in queries if not any(name in query for name in ELSEWHERE)]
        alerts = [f'ALERTS{{alertname="{name}",alertstate="firing"}}' for name in BURNS]

        async def run():
            stop = asyncio.Event()
            busy = asyncio.create_task(traffic(front, stop))
            for query in (*awaited, *alerts):
                await asyncio.to_thread(asked.wait, query)
            stop.set()
            await busy

        asyncio.run(run())
        for query in queries:
            asked.query(query)  # those of what is not there are valid, too
        other.process.terminate()
        other.wait()
        asked.wait('ALERTS{alertname="TureenDown",alertstate="firing"}')
