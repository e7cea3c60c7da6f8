"""A worker's end of the socket to its engine: what comes over it goes to the inbox, what goes out is whole frames.

Two ways to read it. A worker whose one thread decodes and runs the model looks at the socket itself whenever it takes
the next image (`PolledInbox`): handing each image from one thread to another costs as much as a small model. Where
several threads decode beside a device, a thread of its own reads (`read_forever`).
"""

import os
import select
import socket
import threading
import traceback
from collections.abc import Callable

from server.contract.metadata import TensorSpec
from server.contract.wire import AnyMessage, Drop, FrameReader, ImageItem, Separate, Skipped, TensorItem, frame
from server.inference.inbox import LARGE_PIXELS, Inbox, Job

_READ_BYTES = 1 << 18

Receive = Callable[[AnyMessage, bytes], None]


class Outbox:
    """The sending half of the socket, shared by all threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, frames: bytes) -> None:
        """Send whole frames. If the other end has gone, so does this process."""
        try:
            with self._lock:
                self._connection.sendall(frames)
        except ConnectionError:
            os._exit(0)


class Source:
    """The receiving half: frames from the socket to `receive`. Used by one thread at a time."""

    def __init__(self, connection: socket.socket, receive: Receive) -> None:
        self._connection = connection
        self._receive = receive
        self._reader = FrameReader()
        self._buffer = memoryview(bytearray(_READ_BYTES))

    def feed_what_is_there(self) -> None:
        """Take what has come, without waiting. The end of the socket ends the process."""
        try:
            while self._feed(socket.MSG_DONTWAIT) == _READ_BYTES:
                pass
        except BlockingIOError:
            pass

    def wait_feed(self) -> None:
        """Wait until something comes, and take it. The end of the socket ends the process."""
        self._feed(0)

    def _feed(self, flags: int) -> int:
        try:
            count = self._connection.recv_into(self._buffer, flags=flags)
        except ConnectionError:  # the other end closed while frames of ours were still on their way to it
            os._exit(0)
        if not count:
            os._exit(0)
        for message, payload in self._reader.feed(self._buffer[:count]):
            self._receive(message, payload)
        return count


class PolledInbox:
    """An inbox whose one user fills it itself, from the socket, when it looks for the next job."""

    def __init__(self, inbox: Inbox, source: Source) -> None:
        self._inbox = inbox
        self._source = source
        self.done = inbox.done

    def take(self) -> Job | None:
        """The next job of those that have come by now; None if there is none."""
        self._source.feed_what_is_there()
        return self._inbox.take()

    def wait(self) -> None:
        """Block until there is a job."""
        while not self._inbox.has_job():
            self._source.wait_feed()


def receiver(inbox: Inbox, outbox: Outbox, separate: Callable[[], None]) -> Receive:
    """What to do with a message from the engine. `separate`: has images run one at a time."""

    def receive(message: AnyMessage, payload: bytes) -> None:
        match message:
            case ImageItem(seq, _, _, want, deadline, pixels, share):
                inbox.put(Job(seq, deadline, payload, pixels > LARGE_PIXELS, want, share=share))
            case TensorItem(seq, _, _, want, deadline, dtype, shape):
                inbox.put(Job(seq, deadline, payload, want=want, tensor=TensorSpec("", dtype, shape)))
            case Separate():
                separate()
            case Drop(seq):
                if inbox.remove(seq):
                    outbox.send(frame(Skipped(seq)))

    return receive


def read_forever(source: Source) -> None:
    """For a thread: take whatever comes until the process ends."""
    try:
        while True:
            source.wait_feed()
    except BaseException:  # noqa: BLE001 - nothing can be answered any more: say why, and end
        try:
            traceback.print_exc()
        finally:  # standard error may take nothing
            os._exit(1)


def end_with(connection: socket.socket) -> None:
    """From now on, the end of the connection ends the process, whatever it does: a parent that dies while a model is
    loaded, or hangs, leaves no worker behind."""
    threading.Thread(target=_wait_hang_up, args=(connection.fileno(),), name="hang-up", daemon=True).start()


def _wait_hang_up(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, 0)  # reports a hang-up without being asked to; does not report bytes to read
    poll.poll()
    os._exit(0)
