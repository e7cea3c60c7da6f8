"""One image that kills, hangs or breaks whatever touches it, among many that do not."""

import asyncio
from collections import Counter

import pytest

from server import demo
from tests.end_to_end.harness import before_all, serving
from tests.photos import photo
from tests.reference import Reference

pytestmark = pytest.mark.timeout(180)

MARK = b"deadly nightshade"  # after the end of the picture: decoders do not look there
POISON = photo(1000) + MARK

ACTS = {
    "kills": "os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs": "signal.pause()",
}
REASONS = {"kills": "crash", "hangs": "hang"}


def environ(folder, act):
    """Workers whose decoder does `act` when it meets the mark; in a real process, at the real place."""
    (folder / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if 'server.inference.worker' in sys.orig_argv:\n"
        "    import preprocess.tensor as tensor\n"
        "    prepare = tensor.prepare\n"
        "    def deadly(data, *args):\n"
        f"        if bytes(data[-{len(MARK)}:]) == {MARK!r}:\n"
        f"            {act}\n"
        "        return prepare(data, *args)\n"
        "    tensor.prepare = deadly\n"
    )
    return {"PYTHONPATH": before_all(folder)}


@pytest.mark.parametrize("act", ACTS)
def test_poison_is_found_and_answered_alone_and_the_others_get_their_answers(tmp_path, act):
    """At most two workers die of it; then 500, its content is kept out, and the server lives."""
    good = [photo(n) for n in range(60)]
    with serving("--workers", "2", "--slo", "100s", environ=environ(tmp_path, ACTS[act])) as server:

        async def run():
            clients = [await server.connect() for _ in range(61)]
            poisoned = asyncio.ensure_future(clients[60].post(POISON))
            replies = await asyncio.gather(*(clients[n].post(good[n]) for n in range(60)))
            first = await poisoned
            again = await clients[0].post(POISON)
            await server.restarted(REASONS[act], 2)
            return replies, first, again, await server.metrics()

        replies, first, again, after = server.run(run())

    reference = Reference(demo.FOLDER)
    assert Counter({200: 60}) == Counter(reply.status for reply in replies)
    assert all(reference.agrees(good[n], reply.json()) for n, reply in enumerate(replies))
    assert (500, "worker_lost") == (first.status, first.json()["code"])
    assert (422, "quarantined") == (again.status, again.json()["code"])
    assert 2.0 == after[f'tureen_worker_restarts_total{{reason="{REASONS[act]}"}}']


@pytest.mark.long
def test_poison_is_kept_out_where_there_is_one_worker_and_the_default_promise(tmp_path):
    """The worker takes as long to come back as clients wait, so that nobody is there for a second try: the content is
    a suspect all the same, and kept out after the second worker."""
    with serving("--workers", "1", environ=environ(tmp_path, ACTS["kills"])) as server:

        async def run():
            codes = []
            while "quarantined" not in codes:
                await server.all_ready()
                reply = await (await server.connect()).post(POISON)
                codes.append(reply.json()["code"])
            await server.all_ready()
            return codes, await (await server.connect()).post(photo(1)), await server.metrics()

        codes, good, after = server.run(run())

    assert len(codes) <= 4
    assert 200 == good.status
    assert 2.0 == after['tureen_worker_restarts_total{reason="crash"}']
