"""Damaged files of every format over HTTP: each gets an honest status, and no worker minds.

By hand, for more of them: TEST_MUTATIONS=20000 make test ARGS="tests/faults/test_mutations.py -s"
"""

import asyncio
import itertools
import os
import time
from collections import Counter

import pytest

from tests.end_to_end.harness import serving
from tests.preprocess.mutations import good_files, mutations

pytestmark = pytest.mark.timeout(1800)

COUNT = int(os.environ.get("TEST_MUTATIONS", "500"))
SEED = 7
CONNECTIONS = 8


def test_damaged_files_get_their_statuses_and_kill_nobody():
    """200, 413, 415 or 422; the same workers at the end, no larger than they may be."""
    todo = itertools.islice(mutations(good_files(), SEED), COUNT)
    statuses, slowest = Counter(), 0.0

    with serving("--workers", "2", "--slo", "60s", "--max-pixels", "4M") as server:
        workers = {worker.pid: worker.memory_info().rss for worker in server.workers}

        async def work():
            nonlocal slowest
            client = await server.connect()
            for _, body in todo:
                started = time.monotonic()
                statuses[(await client.post(body)).status] += 1
                slowest = max(slowest, time.monotonic() - started)

        async def run():
            await asyncio.gather(*(work() for _ in range(CONNECTIONS)))

        server.run(run())
        grown = {worker.pid: worker.memory_info().rss - workers.get(worker.pid, 0) for worker in server.workers}

    print(
        f"{COUNT} files: {dict(statuses)}, slowest {slowest:.3f} s, grown {[round(g / 1e6) for g in grown.values()]} MB"
    )
    assert COUNT == statuses.total()
    assert statuses.keys() <= {200, 413, 415, 422}
    assert workers.keys() == grown.keys(), "a worker died"
    assert max(grown.values()) < 400e6
    assert slowest < 20  # a guard; two seconds are the aim
