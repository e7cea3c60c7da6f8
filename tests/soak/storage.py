"""Web and clean-up are killed at random while images are stored: what an answer called stored is there once."""

import asyncio
import random
import tempfile
import time
from collections import deque
from pathlib import Path

from tests.end_to_end.harness import serving
from tests.end_to_end.test_storage import child, lost
from tests.photos import photo
from tests.soak.phase import Findings, Job

_KILLS, _LEAST = 50, 10_000
_CLIENTS = 8
_KILLED = ("server.cleanup.process", "server.web.process")
_MOST, _WITHIN_S = 5, 30.0  # deaths of one process; a server gives it up when there are more
_PICTURES = [photo(seed) for seed in range(64)]


def run(job: Job) -> Findings:
    found = Findings()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        with serving("--store-policy", "required", "--store", folder, "--cache", "off") as server:
            stored = server.run(_under_fire(job, server, store))
        missing = lost(store, stored)
        found.holds("answers that said stored", f"{len(stored):,}", ">= the least", len(stored) >= _least(job))
        found.none(f"not in the store exactly once, to the byte, after {_kills(job)} kills", len(missing))
        victim = next(iter(stored))
        next(store.glob(f"2*/{victim}.jpg")).unlink()
        found.none("planted losses that the checker does not see", int(lost(store, stored) != [victim]))
    return found


def _kills(job: Job) -> int:
    return job.count(_KILLS)


def _least(job: Job) -> int:
    return job.count(_LEAST, 200)


async def _under_fire(job: Job, server, store: Path) -> dict[str, bytes]:
    stored: dict[str, bytes] = {}
    done = asyncio.Event()
    clients = [asyncio.create_task(_client(server, stored, done, number)) for number in range(_CLIENTS)]
    chance = random.Random(job.seed)
    deaths: dict[str, deque[float]] = {name: deque(maxlen=_MOST) for name in _KILLED}
    kills = 0
    while kills < _kills(job) or len(stored) < _least(job):
        share = min(kills / _kills(job), len(stored) / _least(job))
        job.say(f"{len(stored):,} stored, {kills} kills", min(1.0, share))
        await asyncio.sleep(chance.uniform(0.1, 1.0))  # it is the nemesis
        name, now = chance.choice(_KILLED), time.monotonic()
        may_die = len(deaths[name]) < _MOST or now - deaths[name][0] > _WITHIN_S + 1
        if may_die and kills <= _kills(job) * len(stored) / _least(job):
            child(server, name).kill()
            deaths[name].append(now)
            kills += 1
    done.set()
    await asyncio.gather(*clients)
    while [*(store / ".spool").glob("*.item")]:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.1)
    return stored


async def _client(server, stored: dict[str, bytes], done: asyncio.Event, number: int) -> None:
    count = 0
    while not done.is_set():
        try:
            client = await server.connect()
            while not done.is_set():
                count += 1
                text = b"%d-%d" % (number, count)
                picture = _PICTURES[count % len(_PICTURES)]
                body = picture[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + picture[2:]
                reply = await client.post(body)
                if reply.status == 200 and reply.json().get("stored") is True:
                    stored[reply.json()["id"]] = body
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.05)  # web is being replaced
