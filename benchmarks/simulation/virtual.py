"""Time that passes at once: an event loop that jumps to its next timer."""

import asyncio
import selectors

_FOREVER_S = 86_400.0  # asyncio never sleeps longer at a time: a timer as far off as that is no hope
_SPINNING = 10_000  # polls in a row at one moment: something wakes itself without end


class Hang(Exception):
    """Everything waits and nothing is going to happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to the next timer instead of sleeping. Its time starts at 0.

    It raises `Hang` where a real loop would wait for ever. What escapes a callback is kept in `escaped`.
    """

    def __init__(self):
        self._seconds = 0.0
        self._polls = 0
        self._until_blocked = []
        self.escaped = []
        super().__init__(_Selector(self._on_poll))
        self.set_exception_handler(lambda _, context: self.escaped.append(context))

    def time(self):
        return self._seconds

    async def all_blocked(self):
        """Wait until every other task waits for the test or for a timer; time stands still."""
        blocked = self.create_future()
        self._until_blocked.append(blocked)
        await blocked

    def _on_poll(self, timeout):
        self._polls = self._polls + 1 if timeout == 0 else 0
        if self._polls > _SPINNING:
            raise Hang("tasks wake each other without end")
        if timeout == 0:
            return
        if self._until_blocked:
            self._until_blocked.pop().set_result(None)
        elif timeout is None or timeout >= _FOREVER_S:
            raise Hang("every task waits, and there is no timer")
        else:
            self._seconds += timeout


class _Selector(selectors.DefaultSelector):
    """Tells the loop how long it would sleep, and does not."""

    def __init__(self, on_poll):
        super().__init__()
        self._on_poll = on_poll

    def select(self, timeout=None):
        self._on_poll(timeout)
        return super().select(0)
