"""Recorded clients by the dozen, each seeded, until they are told to stop."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from functools import cache

from server import demo
from tests.history.client import Connect, Recorder
from tests.history.operations import History, Pictures
from tests.photos import photo
from tests.reference import Reference

Turn = Callable[[Recorder, random.Random], Awaitable[object]]
"""What a client does each time it is its turn."""


@cache
def demo_pictures(count: int = 40) -> Pictures:
    """Good pictures for the demo model, and their answers."""
    return Pictures([photo(seed) for seed in range(count)], Reference(demo.FOLDER))


def post_good(pictures: Pictures) -> Turn:
    """The turn of a client that has nothing in mind but its answer."""

    async def turn(recorder: Recorder, random_: random.Random):
        picture = random_.randrange(len(pictures.bodies))
        return await recorder.post(picture, pictures.bodies[picture])

    return turn


class RecordedLoad:
    """`clients` of them, each taking its turn again and again; `rate`: turns a second of all together, 0 for no pause.

    A client that is late with its turn takes it at once and does not make up for others it missed.
    """

    def __init__(
        self,
        history: History,
        connect: Connect,
        turn: Turn,
        *,
        slo_s: float,
        clients: int = 8,
        rate: float = 0.0,
        seed: int = 0,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self.history = history
        self._recorders = [Recorder(history, connect, slo_s, credentials) for _ in range(clients)]
        self._turn = turn
        self._each_s = clients / rate if rate else 0.0
        self._seed = seed
        self._stopping = False
        self._progress = asyncio.Event()

    async def __aenter__(self):
        self._task = asyncio.gather(*(self._work(n, one) for n, one in enumerate(self._recorders)))
        return self

    async def __aexit__(self, *_):
        self._stopping = True
        await self._task

    async def more(self, count: int) -> None:
        """Wait until so many more operations have begun."""
        enough = len(self.history.operations) + count
        while len(self.history.operations) < enough and not self._task.done():
            self._progress.clear()
            await self._progress.wait()

    async def _work(self, number: int, recorder: Recorder) -> None:
        random_ = random.Random(f"{self._seed}-{number}")
        loop = asyncio.get_running_loop()
        due = loop.time() + random_.random() * self._each_s
        try:
            while not self._stopping:
                await asyncio.sleep(due - loop.time())  # sets the rate; nothing waits for it
                await self._turn(recorder, random_)
                self._progress.set()
                due = max(due + self._each_s, loop.time())
        finally:
            self._progress.set()
            await recorder.finish()
