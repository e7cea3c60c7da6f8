"""Containers that lie about their sizes, sent to a running server beside good pictures."""

import asyncio
from collections import Counter

import pytest

from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.preprocess.liars import Liar

COUNT = 120

pytestmark = pytest.mark.timeout(180)


def test_lying_containers_harm_no_neighbour():
    """Each is answered or refused by itself; no worker is lost, and every good picture is answered."""
    liar = Liar(seed=4)
    lies = [liar.make()[1] for _ in range(COUNT)]
    with serving("--workers", "1", "--slo", "60s") as server:

        async def posting(pictures):
            client = await server.connect()
            return [(await client.post(picture)).status for picture in pictures]

        async def run():
            good = [photo(n) for n in range(COUNT)]
            return *await asyncio.gather(posting(lies), posting(good)), await server.metrics()

        bad, good, after = server.run(run())

    assert set(bad) <= {200, 413, 415, 422}
    assert Counter({200: COUNT}) == Counter(good)
    assert not any(value for name, value in after.items() if name.startswith("tureen_worker_restarts_total"))
