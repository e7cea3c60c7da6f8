"""Decoding beside the model: the loops of a worker whose model runs on a device of its own.

    inbox ──► fillers (several threads) ──► filled slots ──► device (this thread) ──► answers (one thread)
                  ▲                                             │
                  └──────────────── free slots ◄────────────────┘

The device runs whatever is filled when it falls free, up to the batch that pays, and waits for nothing more.
There are at least twice as many slots as it runs at once, so that the next batch is filled meanwhile. Nothing
here has a bound of its own: there are as many images under way as slots.
"""

import heapq
import os
import threading
import traceback
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Condition, Lock

from server.inference.inbox import Inbox
from server.inference.onnx.sizes import slots_beside
from server.inference.sampling import Sampler
from server.inference.stages import Ended, Filled, Filler, Runner, Send


class Slots:
    """Which slots are free, and which are filled and wait for the device. Thread-safe."""

    # The whole state: `_free` and `_filled`, under one lock. A slot in neither is being filled or run. Each has those
    # that wait for it: to wake every filler for each picture filled is a crowd at the interpreter's lock.

    def __init__(self, count: int) -> None:
        self._free = list(range(count))
        self._filled: deque[Filled] = deque()
        lock = Lock()
        self._has_free, self._has_filled = Condition(lock), Condition(lock)

    def take_free(self) -> int:
        """The first free slot; blocks until there is one. Then batches mostly lie in a row, and need no copy."""
        with self._has_free:
            self._has_free.wait_for(lambda: bool(self._free))
            return heapq.heappop(self._free)

    def give_back(self, *slots: int) -> None:
        with self._has_free:
            for slot in slots:
                heapq.heappush(self._free, slot)
            self._has_free.notify(len(slots))

    def put_filled(self, filled: Filled) -> None:
        with self._has_filled:
            self._filled.append(filled)
            self._has_filled.notify()

    def take_filled(self, most: int) -> list[Filled]:
        """What is filled, first come first, up to `most`, by slot; blocks until there is one."""
        with self._has_filled:
            self._has_filled.wait_for(lambda: bool(self._filled))
            taken = [self._filled.popleft() for _ in range(min(most, len(self._filled)))]
        return sorted(taken, key=lambda one: one.slot)


class Pipeline:
    """The engine for devices, in the same pieces as `server.inference.engine`."""

    def __init__(
        self,
        filler: Filler,
        runner: Runner,
        sampler: Sampler,
        batch: int,
        inbox: Inbox,
        send: Send,
        *,
        decoders: int,
    ) -> None:
        """`decoders`: how many threads decode, each an image at a time."""
        self._filler = filler
        self._runner = runner
        self._sampler = sampler
        self._batch = batch
        self._inbox = inbox
        self._send = send
        self._decoders = decoders
        self._slots = Slots(slots_beside(batch, decoders))
        self._ended: SimpleQueue[list[Ended]] = SimpleQueue()

    def start(self) -> None:
        """Start the threads around the device's, which end with the process."""
        for number in range(self._decoders):
            _start(f"filler {number}", self.fill_one)
        _start("answers", self.answer_one)

    def run_forever(self) -> None:
        """Serve until the process ends. For the thread that has warmed the model: what CUDA has set up and recorded
        there (handles, workspaces, graphs) is that thread's, and another would begin anew."""
        self.start()
        _repeat(self.run_one)

    def fill_one(self) -> None:
        """Decode the next image into a free slot."""
        slot = self._slots.take_free()  # before the job, which can be taken back while it waits in the inbox
        job = self._inbox.wait_take()
        filled = self._filler.fill(job, slot)
        self._inbox.done(job)
        if filled:
            self._slots.put_filled(filled)
        else:
            self._slots.give_back(slot)

    def run_one(self) -> None:
        """Run what is filled. Its slots are free once the sampler has looked at them."""
        batch = self._slots.take_filled(self._sampler.most(self._batch))
        ended = self._runner.run(batch)
        self._ended.put(ended)
        self._sampler.look(batch, ended)
        self._slots.give_back(*(one.slot for one in batch))

    def answer_one(self) -> None:
        """Answer a batch, while the next one runs."""
        self._send(b"".join(map(self._runner.answer, self._ended.get())))


def _start(name: str, step: Callable[[], None]) -> None:
    threading.Thread(target=_repeat, args=(step,), name=name, daemon=True).start()


def _repeat(step: Callable[[], None]) -> None:
    """Do it for ever. A step that fails ends the process: what it held is answered by another."""
    try:
        while True:
            step()
    except BaseException:  # noqa: BLE001 - a thread would end alone, and everybody wait for it
        try:
            traceback.print_exc()
        finally:  # standard error may take nothing
            os._exit(1)
