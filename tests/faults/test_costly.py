"""Images that cost far more than their headers promise, in CPU or in memory, on a running server."""

import asyncio
from collections import Counter

import pytest

from tests.end_to_end.harness import before_all, serving
from tests.photos import photo
from tests.preprocess.pictures import encode
from tests.preprocess.pictures import photo as smooth

pytestmark = pytest.mark.timeout(180)

MARK = b"a decoder in C that does not end"  # after the end of the picture: decoders do not look there


def environ(folder):
    """Workers whose decoder computes for ever, and lets other threads run, when it meets the mark."""
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'server.inference.worker' in sys.orig_argv:\n"
        "    import preprocess.tensor as tensor\n"
        "    prepare = tensor.prepare\n"
        "    def endless(data, recipe, slot, limits, allow=None, *rest):\n"
        f"        if bytes(data[-{len(MARK)}:]) == {MARK!r}:\n"
        "            allow(0.001)\n"
        "            while True: pass\n"
        "        return prepare(data, recipe, slot, limits, allow, *rest)\n"
        "    tensor.prepare = endless\n"
    )
    return {"PYTHONPATH": before_all(folder)}


def test_an_image_that_takes_too_much_cpu_is_answered_alone(tmp_path):
    """One worker is lost, no neighbour is suspected, and the same content is not begun again."""
    good = [photo(n) for n in range(40)]
    bad = photo(1000) + MARK
    with serving("--workers", "1", "--slo", "60s", environ=environ(tmp_path)) as server:

        async def run():
            clients = [await server.connect() for _ in range(41)]
            costly = asyncio.ensure_future(clients[40].post(bad))
            replies = await asyncio.gather(*(clients[n].post(good[n]) for n in range(40)))
            first = await costly
            again = await clients[0].post(bad)
            await server.restarted("cpu", 1)
            return replies, first, again, await server.metrics()

        replies, first, again, after = server.run(run())

    assert Counter({200: 40}) == Counter(reply.status for reply in replies)
    assert (422, "image_too_costly") == (first.status, first.json()["code"])
    assert (422, "quarantined") == (again.status, again.json()["code"])
    assert after['tureen_worker_restarts_total{reason="cpu"}'] == 1
    assert after['tureen_worker_restarts_total{reason="crash"}'] == 0


def test_an_image_that_takes_too_much_memory_is_answered_alone():
    """The worker lives and answers the next: the ceiling is below what this picture needs."""
    large = encode(smooth(7000, 6000), "PNG", compress_level=1, transparency=(1, 2, 3))  # 12 bytes per pixel: 504 MB
    with serving("--workers", "1", "--slo", "60s", "--max-worker-growth", "200MB") as server:

        async def run():
            client = await server.connect()
            return await client.post(large), await client.post(photo(1))

        costly, good = server.run(run())

    assert (422, "image_too_costly") == (costly.status, costly.json()["code"])
    assert good.status == 200
