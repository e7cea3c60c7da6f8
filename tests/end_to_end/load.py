"""Clients that post without pause, or at a steady rate, until they are told to stop."""

import asyncio

from tests.photos import photo

IMAGES = [photo(seed) for seed in range(40)]


class Load:
    """`answered` holds, in order, which of `IMAGES` each request was for and what came back."""

    def __init__(self, connect, connections, pause_s=0.0):
        self._connect = connect
        self._connections = connections
        self._pause_s = pause_s
        self._stopping = False
        self._progress = asyncio.Event()
        self.answered = []

    async def __aenter__(self):
        self._task = asyncio.gather(*(self._work(k) for k in range(self._connections)))
        return self

    async def __aexit__(self, *_):
        self._stopping = True
        await self._task

    async def answers(self, more):
        """Wait until so many more requests have been answered."""
        enough = len(self.answered) + more
        while len(self.answered) < enough and not self._task.done():
            self._progress.clear()
            await self._progress.wait()

    async def _work(self, n):
        client = await self._connect()
        try:
            while not self._stopping:
                self.answered.append((n % len(IMAGES), await client.post(IMAGES[n % len(IMAGES)])))
                n += self._connections
                self._progress.set()
                await asyncio.sleep(self._pause_s)  # sets the rate; nothing waits for it
        finally:
            self._progress.set()
            await client.close()
